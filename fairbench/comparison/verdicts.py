"""What is said of a difference: a verdict in a few words, a sentence, the release gate, and the price in utility."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fairbench.comparison import Comparison, Difference, Ungated, Verdict
from fairbench.comparison.measuring import FEW_UNITS
from fairbench.correlations import holm
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.wording import figure, interval_text

FamilyKey = tuple[str, str]


def corrected(comparisons: Sequence[Comparison]) -> tuple[list[Comparison], tuple[FamilyKey, ...]]:
    """Comparisons with Holm's correction over the headline metrics of all of them, and which tests these are."""
    family = [
        (c.model, one.column, one.p.value) for c in comparisons for one in c.differences if one.headline and one.p is not None
    ]
    adjusted = dict(zip([(model, column) for model, column, _ in family], holm([p for *_, p in family]), strict=True))
    made = [
        dataclasses.replace(
            c,
            differences=tuple(
                dataclasses.replace(one, p_holm=adjusted.get((c.model, one.column)) if one.headline else None)
                for one in c.differences
            ),
        )
        for c in comparisons
    ]
    return made, tuple(adjusted)


def judged(one: Difference, alpha: float, margin: float | None) -> Difference:
    """A difference with its verdict, the sentence, and whether the gate lets it through; its groups too, uncorrected."""
    verdict, said = _verdict(one, alpha)
    groups = {name: judged(part, alpha, None) for name, part in one.by_group.items()}
    passed: bool | None = None
    if margin is not None:
        passed = one.worse_by is not None and one.worse_by <= margin
        verdict = "not worse" if passed else verdict
        said = f"{said}; {_gate(one, margin)}"
    warnings = (*one.warnings, NEVER) if _can_never(one, alpha) else one.warnings
    return dataclasses.replace(
        one, verdict=verdict, said=said, margin=margin, passed=passed, by_group=groups, warnings=warnings
    )  # fmt: skip


NEVER = "With so many tests and so few draws this test can't come below alpha after Holm's correction: take more --draws."


def _can_never(one: Difference, alpha: float) -> bool:
    """Whether the smallest p that there can be, corrected as this one was, is too large."""
    if one.p is None or one.p_holm is None or one.least_p is None or one.p.value > 1.01 * one.least_p:
        return False
    return one.p_holm >= alpha


def _verdict(one: Difference, alpha: float) -> tuple[Verdict, str]:
    if one.difference is None:
        return "undefined", f"undefined: {one.undefined}"
    if one.p is None:
        why = next((text for text in one.warnings if text.startswith("No interval")), "there is no test")
        return "no test", f"no test: {why.partition(': ')[2].removesuffix('.') or 'all draws give the same difference'}"
    if one.n < FEW_UNITS:
        return "too few records", f"too few records to tell ({one.n} {one.unit}s)"
    p = one.p.value if one.p_holm is None else one.p_holm
    if p < alpha:
        return "differs", f"differs: {_direction(one)}"
    could = f" (could have seen >= {figure(one.detectable)})" if one.detectable is not None else ""
    return "no difference detected", f"no difference detected{could}"


def _direction(one: Difference) -> str:
    """Where the difference goes, seen from the ideal. Across the ideal only the bound can say that it came closer."""
    better = "better" if one.kind == "utility" else "closer to the ideal"
    worse = "worse" if one.kind == "utility" else "farther from the ideal"
    ideal, before, after = one.model.ideal, one.baseline.value, one.model.value
    if None not in (ideal, before, after) and (before - ideal) * (after - ideal) < 0:  # type: ignore[operator]
        return f"to the other side of the ideal, {_nearer(one)}"
    return better if one.distance is not None and one.distance < 0 else worse


def _nearer(one: Difference) -> str:
    """Whether a model that went across the ideal is closer to it, as far as the bound or the two models' intervals show."""
    ends = [
        [abs(end - float(score.ideal or 0)) for end in (score.interval.low, score.interval.high)]
        for score in (one.baseline, one.model)
        if score.interval is not None
        and not (score is one.baseline and score.interval.low <= float(score.ideal or 0) <= score.interval.high)
    ]
    if (one.worse_by is not None and one.worse_by < 0) or (len(ends) == 2 and max(ends[1]) < min(ends[0])):
        return "and closer to it"
    return "whether closer to it is not shown"


def _gate(one: Difference, margin: float) -> str:
    """What the gate says."""
    if one.difference is None:
        return "GATE: it has no value, so nothing can be said"
    if one.worse_by is None:
        why = one.no_bound or "there is no test"
        return f"GATE: too few records to say that it is not worse by more than {figure(margin)} ({why})"
    if one.worse_by > margin:
        return f"GATE: it may be worse by up to {figure(one.worse_by)}, more than {figure(margin)}"
    if one.worse_by < 0:
        return f"not worse by more than {figure(margin)}: better by at least {figure(-one.worse_by)}"
    return f"not worse by more than {figure(margin)}: by at most {figure(one.worse_by)}"


def margin_of(one: Difference, margins: Mapping[str, float]) -> float | None:
    """The margin that was declared for a metric: by its column, by task/metric, or by the metric alone."""
    for name in (one.column, f"{one.task}/{one.metric}", one.metric, one.metric.partition(" by ")[0]):
        if name in margins:
            return margins[name]
    return None


def ungated(comparisons: Sequence[Comparison], columns: Sequence[str], margins: Mapping[str, float]) -> Iterator[Ungated]:
    """Metrics with a margin that are not compared for some model: refused, not scored there, or of a file that is broken.

    Args:
        comparisons: of all models.
        columns: what the baseline was scored on.
        margins: by metric, task/metric or column.
    """
    asked = [column for column in columns if any(_named(column, name) for name in margins)]
    asked += [d.column for c in comparisons for d in c.differences if margin_of(d, margins) is not None]
    for one in comparisons:
        compared, refused = {d.column for d in one.differences}, {r.column: r for r in one.refused}
        for column in dict.fromkeys(asked):
            if column not in compared:
                why = refused.get(column)
                yield Ungated(one.model, column, why.said if why else "it was not scored on it")


def _named(column: str, name: str) -> bool:
    """Whether a margin's name means a column: the column, task/metric, or the metric alone."""
    whole = column.partition("@")[0]
    return name in (column, whole, whole.partition("/")[2])


def refuse_idle_margins(margins: Mapping[str, float], found: Iterable[Difference], columns: Sequence[str]) -> None:
    """Refuses a margin that is of nothing that the baseline was scored on: a gate on it would let everything through.

    Raises:
        FairbenchError: a name is of no metric that is compared, or a margin is below 0.
    """
    found = list(found)
    known = {name for one in found for name in (one.column, f"{one.task}/{one.metric}", one.metric)}
    for name, margin in margins.items():
        there = any(_named(column, name) for column in columns)
        if not there and not any(margin_of(one, {name: margin}) is not None for one in found):
            raise FairbenchError(
                f"--margin {name}={margin:g}: nothing of that name is compared.{did_you_mean(name, known)} "
                f"Compared are {', '.join(sorted({one.metric for one in found})) or 'no metrics'}."
            )
        if not margin >= 0:
            raise FairbenchError(f"--margin {name}={margin:g}: wanted a number of 0 or more, in the units of the metric.")


def price(differences: Iterable[Difference]) -> tuple[str, ...]:
    """The utility guard: what happened to perplexity, LMS, accuracy, a sentence each; and a word where nobody looked."""
    found = [_price(one) for one in differences if one.kind == "utility"]
    if found:
        return tuple(found)
    return (
        "No utility metric was compared: what the change cost is not known. Score perplexity, a language modelling score or "
        "accuracy of both models.",
    )


def _price(one: Difference) -> str:
    """A sentence about one utility metric."""
    before, after, difference = one.baseline.value, one.model.value, one.difference
    if before is None or after is None or difference is None:
        return f"{one.task} {one.metric}: not known ({one.said})"
    share = f", {100 * difference / abs(before):+.1f} %" if before else ""
    change = f"from {figure(before)} to {figure(after)} ({difference:+.4g}{share}; interval {interval_text(one.interval)})"
    return f"{one.task} {one.metric}: {change}: {one.said.removeprefix('differs: ')}"
