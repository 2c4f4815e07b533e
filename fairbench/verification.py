"""Every score is found anew from its answers and compared with what its result file says. Nothing is written."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench import __version__
from fairbench.changes import TOLERANCE, Change, changes, warning_changes
from fairbench.collection import Fault, read_all
from fairbench.errors import FairbenchError
from fairbench.files import digest
from fairbench.judges import Room
from fairbench.judging import Panel, Ready, ready
from fairbench.kept import Outcome, Stopped, counted, identity_of, require_names, table_of, with_judged
from fairbench.measurement import MeasureOptions, Metric, measure
from fairbench.preparation import Progress, what
from fairbench.registry import Registry
from fairbench.results import SCHEMA, Result, versions
from fairbench.study import MADE_BY, cell_hash

if TYPE_CHECKING:
    import pandas as pd

    from fairbench.scores import Score

MOVING = ("python", "fairbench", "numpy", "scipy", "pandas")
"""Packages that measure: other versions of them may move the last digits."""


@dataclass(frozen=True)
class Checked:
    """What was found of one result file.

    Attributes:
        path: of the file.
        result: what it says; null where it can't be read.
        outcome: in a few words, "verified" only where every number was found anew.
        said: why it is not verified; empty where it is.
        changes: the fields that differ.
        notes: what should be known although it moved no number.
    """

    path: Path
    result: Result | None
    outcome: Outcome
    said: str = ""
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """<model>-<8 hex>/<task>/<metric>.json, wherever these lie."""
        return "/".join(self.path.resolve().parts[-3:])


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """How scores are found anew.

    Attributes:
        quick: the values and counts only, without intervals, tests and all else that is drawn.
        include: folders with further metrics, as of `fairbench score`.
        judges: options of judges by name, for the gap that a judge finds on its own.
        data_dir: where these find their word lists.
    """

    quick: bool = False
    include: tuple[Path, ...] = ()
    judges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    data_dir: Path | None = None


@dataclass(frozen=True)
class Verification:
    """What was found of all results, in the order of the folders and names; `quick` as it was asked for."""

    checked: tuple[Checked, ...]
    quick: bool = False

    @property
    def passed(self) -> bool:
        """Whether every result is verified."""
        return all(one.outcome == "verified" for one in self.checked)

    @property
    def counts(self) -> dict[str, int]:
        """Results by outcome."""
        return dict(Counter(str(one.outcome) for one in self.checked))

    def to_frame(self) -> pd.DataFrame:
        """One row a result: file, outcome, said, the fields that differ, notes."""
        import pandas as pd

        rows = [(one.file, one.outcome, one.said, [c.field for c in one.changes], list(one.notes)) for one in self.checked]
        return pd.DataFrame(rows, columns=["file", "outcome", "said", "changes", "notes"])

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without a path of this machine: the same results give the same content under the same versions."""
        rows = [
            {
                "file": one.file, "outcome": one.outcome, "said": one.said, "notes": list(one.notes),
                "changes": [change.as_dict() for change in one.changes],
            }
            for one in self.checked
        ]  # fmt: skip
        head = {"passed": self.passed, "quick": self.quick, "tolerance": TOLERANCE, "counts": self.counts}
        return {"fairbench": __version__, "versions": versions(), **head, "results": rows}


def verify(roots: Sequence[Path | str], options: VerifyOptions | None = None, progress: Progress | None = None) -> Verification:
    """Finds every score below some folders anew, from the answers and judgements that lie beside it.

    Args:
        roots: folders of results, of one model or of several.
        options: how.
        progress: called with (what, done, total).

    Raises:
        FairbenchError: there is no result in a folder, or a path is no folder.
    """
    read, empty = read_all([Path(root) for root in roots])
    if empty:
        raise FairbenchError(f"{empty[0].path} holds no results, so that nothing can be verified. Wanted a folder of results.")
    check = _Check(options or VerifyOptions())
    checked: dict[Path, Checked] = {}
    for number, one in enumerate(sorted(read, key=_answers)):  # results of one table follow each other: it is read once
        if progress:
            progress("scores", number, len(read))
        if isinstance(one, Fault):
            checked[one.path] = Checked(one.path, None, "can't be read", one.what.replace(f"{one.path.parent}/", ""))
        else:
            checked[one[0]] = check(*one)
    if progress:
        progress("scores", len(read), len(read))
    paths = [one.path if isinstance(one, Fault) else one[0] for one in read]
    return Verification(tuple(checked[path] for path in paths), check.options.quick)


def _answers(one: tuple[Path, Result] | Fault) -> str:
    return "" if isinstance(one, Fault) else str(one[0].parent.parent / str(one[1].answers["path"]))


class _Check:
    """Checks one result after the other; keeps what the last of them has read."""

    def __init__(self, options: VerifyOptions) -> None:
        self.options, self.registry = options, Registry(options.include)
        self._table = functools.lru_cache(1)(table_of)
        self._said = functools.lru_cache(8)(table_of)
        self._find = functools.cache(self.registry.metric)  # looking one up reads the folders of all
        self._panels: dict[str, Panel | None] = {}

    def __call__(self, path: Path, result: Result) -> Checked:
        folder = path.resolve().parent.parent
        notes: tuple[str, ...] = ()
        try:
            if result.schema_version < SCHEMA:
                said = f"it has schema {result.schema_version}; scores of schema {SCHEMA} are found anew. Score it again"
                raise Stopped("older schema", said)
            require_names(path.resolve(), result)
            table, note = self._table(folder, result.answers["path"], result.answers["sha256"])
            differ = counted(result, table, note)
            metric = self._metric(result)
            notes = _made_by(result, metric)
            for block in result.judges:
                table = with_judged(table, self._said(folder, block["path"], block["sha256"])[0])
            score, panel = self._again(result, metric, table)
            how = {"quick": self.options.quick, "judged": not metric.info.judge or panel is not None}
            differ += _changes(result, score, note, how)
        except Stopped as stopped:
            return Checked(path, result, stopped.outcome, stopped.said, notes=notes)
        except Exception as error:  # what this result dies of says nothing of the others
            return Checked(path, result, "differs", f"it can't be measured again: {_without(what(error), folder)}", notes=notes)
        if not how["judged"] and not self.options.quick:
            said = f"the judge {metric.info.judge} is not here: its warnings and its own gap (`judge_gap`) were not found anew"
            notes += (f"{said}. Name it with --judge as it was scored.",)
        if differ:
            return Checked(path, result, "differs", _differing(differ, result), tuple(differ), notes)
        return Checked(path, result, "verified", notes=notes)

    def _metric(self, result: Result) -> Metric:
        """The metric of this installation with the options of the result."""
        name, version = result.metric["name"], result.metric["version"]
        try:
            metric = self._find(name)
        except FairbenchError as error:
            raise Stopped("no metric", str(error)) from None
        if metric.info.version != version:
            raise Stopped("another version", f"it is of version {version} of {name}, and version {metric.info.version} is here")
        try:
            return metric.with_options(result.metric["options"])
        except FairbenchError as error:
            raise Stopped("another version", str(error)) from None

    def _again(self, result: Result, metric: Metric, table: pd.DataFrame) -> tuple[Score, Panel | None]:
        """The score as `fairbench score` finds it, and the judge's panel; null where that judge is not here."""
        how = MeasureOptions(**{**result.run["measure"], **({"draws": 0} if self.options.quick else {})})
        score = measure(metric, table, how)
        blocks = [block for block in result.judges if block["name"] == metric.info.judge]
        if self.options.quick or not blocks:
            return score, None
        panel = self._panel(identity_of(blocks[0]))
        return (panel.beside(score, metric, how.seed) if panel else score), panel

    def _panel(self, identity: Mapping[str, Any]) -> Panel | None:
        """The judge of this identity, with its own gaps as far as they are known; null where it is not here."""
        key, name = digest(identity), str(identity["name"])
        if key not in self._panels:
            found: Ready | None
            try:
                found = ready(self.registry, name, self.options.judges.get(name, {}), Room(data_dir=self.options.data_dir))
            except FairbenchError:  # the judge is named in the notes
                found = None
            same = found is not None and digest(found.identity) == key
            self._panels[key] = Panel(Path(), {name: found}) if found and same else None
        return self._panels[key]


def _made_by(result: Result, metric: Metric) -> tuple[str, ...]:
    """What of the metric or of this package has changed since, as far as the hash of the cell tells."""
    how = [metric.name, metric.source_sha256, metric.options, [identity_of(block) for block in result.judges]]
    key, measuring = Path(result.answers["path"]).stem, result.run["measure"]
    rules, _, here = MADE_BY
    then = str(result.run["versions"].get("fairbench"))
    made = {(rule, SCHEMA, version): version for rule in range(1, int(rules) + 1) for version in (then, here)}
    found = {version for by, version in made.items() if cell_hash(key, result.task, how, measuring, by) == result.run["cell"]}
    if here in found:
        return ()
    if found:
        return (f"made by fairbench {then}, and this is {here}; the file of the metric is the same.",)
    return (
        "the hash of the cell does not follow from the metric's file as it is here, its options, and what the result says of the "
        "task and the judges: one of them was changed since.",
    )


def _changes(result: Result, score: Score, note: Mapping[str, Any], how: Mapping[str, bool]) -> list[Change]:
    """How the score that was found differs from the one of the file."""
    differ = changes(result.score.as_dict(), score.as_dict(), **how)
    if how["quick"]:
        return differ
    n, total = result.task["n"], result.task["n_total"]
    recorded = list(result.score.warnings)
    limited = [] if n == total else [f"Limited to {n} of {total} records: for a trial only."]
    limited = [next((w for w in recorded if w.startswith(said)), said) for said in limited]  # it may go on with groups it lost
    of_corpus = result.task["data"].get("contexts", {}).get("warnings", ())
    after = [*result.model["notes"], *note["notes"], *limited, *of_corpus]
    return differ + warning_changes(recorded, score.warnings, after, judged=how["judged"])


def _differing(differ: Sequence[Change], result: Result) -> str:
    """The first fields that differ in words, by how much at most, and which versions moved since."""
    first = differ[0]
    said = f"{first.field} is {_short(first.recorded)} in the file, and {_short(first.recomputed)} was found"
    if len(differ) > 1:
        more = ", ".join(change.field for change in differ[1:4])
        said += f"; {len(differ) - 1} more differ: {more}{' ...' if len(differ) > 4 else ''}"
    by = [change.by for change in differ if change.by is not None]
    if by:
        said += f"; by {max(by):.2g} of the number at most"
    then, now = result.run["versions"], versions()
    moved = [f"{name} {then.get(name)} (here {now[name]})" for name in MOVING if then.get(name) != now[name]]
    return f"{said}; made with {', '.join(moved)}" if moved else said


def _short(value: Any) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else "null" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _without(text: str, folder: Path) -> str:
    """A message without the place of the results on this machine."""
    return text.replace(f"{folder}/", "").replace(f"{folder.parent}/", "")
