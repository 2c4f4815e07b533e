"""Scores and training histories for an experiment tracker: trackio (`pip install 'fairbench[tracking]'`) or wandb.

Neither is needed for anything else; both have the MIT licence. trackio keeps its runs on this machine, in TRACKIO_DIR, unless
TRACKIO_SPACE_ID or TRACKIO_SERVER_URL name another place. wandb sends them to its server unless WANDB_MODE is offline.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from fairbench.collection import Collection, Found, collect
from fairbench.errors import FairbenchError, did_you_mean
from fairbench.scores import Score, jsonable
from fairbench.tidy import CLEAN, WHOLE, parts

INSTALL: Mapping[str, str] = {"trackio": "pip install 'fairbench[tracking]'", "wandb": "pip install wandb"}
"""The trackers, and how each is installed."""

COURSE = "training.json"
"""File of a mitigated model: how its training went (`fairbench.mitigation.following.COURSE`, which is slow to import)."""

ABOUT = "fairbench.json"
"""File of a mitigated model: method, options, base."""


class Run(Protocol):
    """A run of a tracker, as far as it is used here: trackio.Run and wandb.Run are both like it."""

    def log(self, metrics: dict[str, Any], /, step: int | None = None) -> None:
        """Numbers by name."""


@dataclass(frozen=True, kw_only=True)
class Tracker:
    """Where things are logged to.

    Attributes:
        to: "trackio" or "wandb".
        project: name of the project.
        name: of the run; the model's label or the folder's name where null. With several models it goes before their labels.
    """

    to: str
    project: str = "fairbench"
    name: str | None = None


def log_scores(results: Collection | Sequence[Path | str], tracker: Tracker) -> list[str]:
    """Logs every score of some results, one run a model.

    A score is `<task>/<metric>[@choices]/value`, with `low`, `high`, `p`, `n` and `ideal` beside it; the clean one has `clean/`
    before these. What is not known is not logged. The run's config says what the model is, which versions were used, which
    scores are undefined and why, and which are trials only.

    Args:
        results: folders that `fairbench score` wrote into, or what was collected from them.
        tracker: where to.

    Returns:
        Names of the runs.

    Raises:
        FairbenchError: the tracker is unknown, not installed, or refuses; there are no results.
    """
    require_tracker(tracker.to)
    collection = results if isinstance(results, Collection) else collect(results)
    if not collection.found:
        faults = " ".join(map(str, collection.faults[:3]))
        raise FairbenchError(f"There are no results to log. Wanted folders that `fairbench score` wrote into. {faults}".strip())
    names = []
    for label in collection.models:
        found = collection.of(label)
        name = label if tracker.name is None else tracker.name if len(collection.models) == 1 else f"{tracker.name} {label}"
        with _run(tracker, name, config_of(found)) as run:
            run.log(dict(item for one in found for item in _numbers(one)))
        names.append(name)
    return names


def log_training(folder: Path, tracker: Tracker) -> str:
    """Logs how the training of a mitigated model went: each entry of its history at its step, as `training/<name>`.

    Args:
        folder: that `fairbench mitigate` made.
        tracker: where to.

    Returns:
        Name of the run.

    Raises:
        FairbenchError: the tracker is unknown, not installed, or refuses; the folder has no history.
    """
    require_tracker(tracker.to)
    try:
        course = json.loads((folder / COURSE).read_text(encoding="utf-8"))
        history = [dict(entry) for entry in course["history"]]
        steps = [int(entry.pop("step")) for entry in history]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FairbenchError(
            f"{folder / COURSE} can't be read as the history of a training ({type(error).__name__}: {error}). Wanted the "
            "folder of a model that `fairbench mitigate` trained; methods that train nothing write none."
        ) from None
    name = tracker.name or folder.resolve().name
    whole = {key: value for key, value in course.items() if key != "history"}
    with _run(tracker, name, {"training": whole, "mitigation": _about(folder)}) as run:
        for step, entry in zip(steps, history, strict=True):
            run.log({f"training/{key}": value for key, value in entry.items() if _is_known(value)}, step=step)
    return name


def require_tracker(to: str) -> None:
    """Refuses a tracker that is unknown or not installed.

    Raises:
        FairbenchError: says how to install it.
    """
    import importlib.util

    if to not in INSTALL:
        raise FairbenchError(f"There is no tracker {to!r}.{did_you_mean(to, INSTALL)} Wanted one of: {', '.join(INSTALL)}.")
    if importlib.util.find_spec(to) is None:
        raise FairbenchError(
            f"The tracker {to} is not installed. Wanted the package {to}: `{INSTALL[to]}`. Without it nothing is logged; results "
            "and training histories lie in their files all the same."
        )


@contextmanager
def _run(tracker: Tracker, name: str, config: Mapping[str, Any]) -> Iterator[Run]:
    """A run that is open until the end of the block, however that comes."""
    import importlib

    # What trackers print is news for people: standard output belongs to the command, which may write JSON there.
    with redirect_stdout(sys.stderr):
        yield from _opened(tracker, name, config, importlib.import_module(tracker.to))


def _opened(tracker: Tracker, name: str, config: Mapping[str, Any], module: Any) -> Iterator[Run]:
    """The run between its beginning and its end."""
    try:
        run = cast(Run, module.init(project=tracker.project, name=name, config=jsonable(config)))
    except Exception as error:  # whatever a tracker raises: no login, no network, a name that it does not take
        raise FairbenchError(
            f"{tracker.to} could not begin the run {name!r} of project {tracker.project!r} ({type(error).__name__}: {error}). "
            "Wanted a tracker that is set up; log in, or for wandb set WANDB_MODE=offline."
        ) from error
    try:
        yield run
    finally:
        module.finish()  # not the run's own, after which trackio would still hold it for the current one


def config_of(found: Sequence[Found]) -> dict[str, Any]:
    """What the scores of one model rest on: JSON-ready, a folder's path left out."""
    model = {key: value for key, value in found[0].result.model.items() if key != "name"}
    scores = [(one.column, one.result.score) for one in found]
    return {
        "model": {"label": found[0].label, **model},
        "tasks": {one.task: one.result.task["version"] for one in found},
        "metrics": {one.column: one.result.metric["version"] for one in found},
        "probes": {one.column: one.result.probe for one in found},
        "versions": found[0].result.run.get("versions", {}),
        "undefined": {column: score.undefined for column, score in scores if score.value is None},
        "trials": [one.column for one in found if one.limited],
    }


def _numbers(one: Found) -> Iterator[tuple[str, float]]:
    """What is logged of a result, by name."""
    for part, _, score in parts(one.result.score):
        if part in (WHOLE, CLEAN):
            before = f"{one.column}/" if part == WHOLE else f"{one.column}/{CLEAN}/"
            yield from ((before + key, value) for key, value in _figures(score).items())


def _figures(score: Score) -> dict[str, float]:
    """The figures of a score that are known."""
    between = score.interval
    found = {
        "value": score.value,
        "low": between.low if between else None,
        "high": between.high if between else None,
        "p": score.p_value,
        "n": score.n,
        "ideal": score.ideal,
    }
    return {key: value for key, value in found.items() if value is not None and _is_known(value)}


def _is_known(value: Any) -> bool:
    """Whether it is a number that can be logged; undefined is not 0."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _about(folder: Path) -> dict[str, Any]:
    """Method, options and seed of a mitigated model, as far as its folder tells; names of this machine's folders stay out."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return {key: about[key] for key in ("method", "options", "versions") if key in about}
    except (OSError, ValueError, TypeError):
        return {}
