"""Does a figure of single examples follow what people find unfair? Correlations with judgements, and which figure follows better.

With several people an example is as unfair as the share of them who say so (Pearson, Spearman), or as most of them say
(point-biserial r, AUC; ties are left out there and counted). Krishna et al. (2022, ACL) compare prediction sensitivity with the
counterfactual metric in this way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from fairbench.correlations import holm
from fairbench.errors import FairbenchError
from fairbench.following import (
    CORRELATIONS,
    TESTS,
    Estimate,
    People,
    Tested,
    differences,
    estimates,
    people,
    sample,
    tested,
)
from fairbench.judgements import NO_ANNOTATION, NO_FIGURE, Figures, Judgements, find_figures, read_judgements
from fairbench.metric import MeasureOptions
from fairbench.scores import jsonable

if TYPE_CHECKING:
    import pandas as pd

FEW = 10
FEW_OF_A_KIND = 20
"""With 5 unfair examples of 50 the interval of a difference was seen to leave out the truth 12 to 14 times in 100, with 20 of 200
7 times; 5 is right."""
DROPPED_WARNING = 0.01


@dataclass(frozen=True, kw_only=True)
class AgreementOptions:
    """How judgements are read and compared.

    Attributes:
        id_column: the column that names the example, in every table.
        annotator: the column that names who judged; null for `annotator`, if there is one.
        positive: the class whose probability alone the figure `counterfactual` compares; null for all classes.
        measure: level, draws and seed of the bootstrap.
    """

    id_column: str = "id"
    annotator: str | None = None
    positive: int | None = None
    measure: MeasureOptions = field(default_factory=MeasureOptions)


@dataclass(frozen=True, kw_only=True)
class Followed:
    """How well one figure follows the judgements: `estimates` by name of MEASURES, and what was left out by reason."""

    figure: str
    n: int
    left_out: Mapping[str, int]
    estimates: Mapping[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Two figures on the examples that have both.

    Attributes:
        differences: first minus second for each of MEASURES, with the paired bootstrap's interval.
        tests: for "pearson" and "spearman" the outcome of each of TESTS.
    """

    first: str
    second: str
    n: int
    differences: Mapping[str, Estimate]
    tests: Mapping[str, Mapping[str, Tested]]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well figures follow people's judgements."""

    people: People
    figures: tuple[Followed, ...]
    contrasts: tuple[Contrast, ...]
    measure: MeasureOptions
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready built-in types."""
        plain: dict[str, Any] = jsonable(dataclasses.asdict(self))
        plain["measure"].pop("by_group")
        return plain

    def to_frame(self) -> pd.DataFrame:
        """A row for each figure and measure; then one for each pair of figures (`minus` names the second) and measure."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for one in self.figures:
            rows += [_row(one.figure, None, name, estimate, {}) for name, estimate in one.estimates.items()]
        for pair in self.contrasts:
            for name, estimate in pair.differences.items():
                rows.append(_row(pair.first, pair.second, name, estimate, pair.tests.get(name, {})))
        return pd.DataFrame(rows)


def _row(figure: str, minus: str | None, name: str, estimate: Estimate, tests: Mapping[str, Tested]) -> dict[str, Any]:
    interval = estimate.interval
    return {
        "figure": figure,
        "minus": minus,
        "measure": name,
        "value": estimate.value,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "p": estimate.p,
        "n": estimate.n,
        "undefined": estimate.undefined,
        **{f"{test}_p": tests[test].p if test in tests else None for test in TESTS},
    }


def agreement(
    table: pd.DataFrame,
    annotation: str | Sequence[str],
    columns: Sequence[str],
    answers: Sequence[pd.DataFrame] = (),
    options: AgreementOptions | None = None,
) -> Agreement:
    """Compares figures of single examples with people's judgements of them.

    Args:
        table: a row an annotated example (or several, each with another person's judgement), with `id` and the judgement.
        annotation: the column of judgements, 0 for fair and 1 for unfair; several columns hold one person's each.
        columns: figures to compare, each larger where the example is less fair: columns of the table or of `answers`, or
            "counterfactual" (from `probs` and `source`); "sensitivity@2" is that of the second table of answers.
        answers: tables with a row an example, joined by id.
        options: names of columns, level, draws, seed.

    Raises:
        FairbenchError: a column is missing, a judgement is neither 0 nor 1, no id is in both tables, or one is there twice.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"id": [1, 2, 3, 4], "unfair": [0, 0, 1, 1], "move": [0.1, 0.3, 0.2, 0.9]})
        >>> found = agreement(table, "unfair", ["move"])
        >>> found.figures[0].estimates["auc"].value
        0.75
    """
    options = options or AgreementOptions()
    annotation = [annotation] if isinstance(annotation, str) else list(annotation)
    _refuse_names(annotation, columns)
    judged = read_judgements(table, annotation, options.id_column, options.annotator)
    figures = {name: find_figures(name, table, answers, options.id_column, options.positive) for name in columns}
    for name, one in figures.items():
        _refuse_strangers(name, judged, one)
    how = options.measure
    found = Agreement(
        people=people(judged, how),
        figures=tuple(_followed(name, one, judged, how) for name, one in figures.items()),
        contrasts=_corrected([_contrast(pair, judged, how) for pair in combinations(figures.items(), 2)]),
        measure=how,
    )
    return dataclasses.replace(found, warnings=_warnings(judged, found))


def _refuse_names(annotation: Sequence[str], columns: Sequence[str]) -> None:
    if not annotation or not columns:
        raise FairbenchError("Wanted at least one column of judgements and one figure to compare with them.")
    for names, what in ((annotation, "judgements"), (columns, "figures")):
        twice = next((name for name in names if list(names).count(name) > 1), None)
        if twice is not None:
            raise FairbenchError(f"The column {twice!r} is named twice among the {what}. Leave one out.")
    both = next((name for name in columns if name in annotation), None)
    if both is not None:
        raise FairbenchError(f"The column {both!r} was given as a judgement and as a figure. Wanted two different columns.")


def _refuse_strangers(name: str, judged: Judgements, figures: Figures) -> None:
    """Tables that have no example in common are joined by the wrong column."""
    theirs = {*figures.examples, *figures.values}
    if theirs.isdisjoint({*judged.ids, *judged.without}):
        ours, others = (", ".join(map(repr, list(ids)[:3])) for ids in (judged.ids, figures.examples or figures.values))
        raise FairbenchError(
            f"No id of the judgements stands in the table with the figure {name!r}: found {ours} and {others}. Wanted the "
            "ids of the answers in the file of judgements; name the column with --id if it has another name."
        )


def _followed(name: str, figure: Figures, judged: Judgements, how: MeasureOptions) -> Followed:
    """One figure beside the judgements."""
    drawn_from = sample(judged, [figure])
    known = {*figure.examples, *judged.without}.difference(judged.ids)
    left_out = {NO_ANNOTATION: len(known), NO_FIGURE: len(judged.ids) - drawn_from.n}
    return Followed(
        figure=name,
        n=drawn_from.n,
        left_out={reason: count for reason, count in left_out.items() if count},
        estimates=estimates(drawn_from, how),
    )


def _contrast(pair: Sequence[tuple[str, Figures]], judged: Judgements, how: MeasureOptions) -> Contrast:
    """Two figures beside the judgements, on the examples that have both."""
    (first, one), (second, other) = pair
    drawn_from = sample(judged, [one, other])
    return Contrast(
        first=first,
        second=second,
        n=drawn_from.n,
        differences=differences(drawn_from, how),
        tests={measure: {test: tested(test, measure, drawn_from) for test in TESTS} for measure in CORRELATIONS},
    )


def _corrected(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """The contrasts with Holm's correction of each test over all of them, where there are several."""
    if len(contrasts) < 2:
        return tuple(contrasts)
    made: list[dict[str, dict[str, Tested]]] = [{m: dict(tests) for m, tests in one.tests.items()} for one in contrasts]
    for measure in contrasts[0].tests:
        for test in TESTS:
            found = [(tests, p) for tests in made if (p := tests[measure][test].p) is not None]
            for (tests, _), p_holm in zip(found, holm([p for _, p in found]), strict=True):
                tests[measure][test] = dataclasses.replace(tests[measure][test], p_holm=p_holm)
    return tuple(dataclasses.replace(one, tests=tests) for one, tests in zip(contrasts, made, strict=True))


def _warnings(judged: Judgements, found: Agreement) -> tuple[str, ...]:
    """What must be read beside the numbers."""
    who, level = found.people, found.measure.level
    said = []
    if who.most == 1:
        said.append("Every example was judged once: how far people agree with each other is not known.")
    if who.alpha.interval and who.alpha.interval.low <= 0:
        said.append(
            "People may agree with each other by chance alone (the interval of alpha reaches 0): no figure can follow that."
        )
    parts = [*(one.estimates for one in found.figures), *(one.differences for one in found.contrasts)]
    every = [estimate for part in parts for estimate in part.values()]
    if any(e.interval and e.interval.method.endswith("clusters") for e in every):
        said.append("Examples share clusters: the intervals resample clusters, but every p takes the examples for independent.")
    unfair = int(np.nansum(judged.majority))
    fewest = min(unfair, int(np.isfinite(judged.majority).sum()) - unfair)
    if 0 < fewest < FEW_OF_A_KIND or who.examples < FEW:
        kind = f"{fewest} examples that most people find {'unfair' if fewest == unfair else 'fair'}"
        said.append(f"The intervals rest on {kind} and are not to be relied on: they come out too narrow below {FEW_OF_A_KIND}.")
    dropped = max(e.dropped for e in every)
    if dropped > DROPPED_WARNING * found.measure.draws:
        said.append(f"Up to {dropped} of {found.measure.draws} bootstrap draws had no value and were dropped.")
    return (*said, *(text for one in found.contrasts for text in _disagreements(one, level)))


def _disagreements(one: Contrast, level: float) -> Iterator[str]:
    """Where Williams' t and the bootstrap don't come to the same: the former supposes normal figures."""
    for measure, tests in one.tests.items():
        p, interval = tests["williams"].p, one.differences[measure].interval
        if p is not None and interval and (p < 1 - level) is (interval.low <= 0 <= interval.high):
            yield (
                f"{one.first} - {one.second}: Williams' t and the paired bootstrap disagree on the {measure} correlations. "
                "Williams' t supposes normal figures; with skewed ones and few unfair examples it was seen to reject 25 times in "
                "100 where 5 are right. Rely on the intervals, and on ranks or the AUC."
            )
