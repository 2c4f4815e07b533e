"""Figures that follow from files beside the results: training logs, planted curves, token sensitivities in answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairbench.collection import Collection, Fault, Found
from fairbench.comparison.sharing import answers_of
from fairbench.errors import FairbenchError, Undefined
from fairbench.registry import Registry
from fairbench.reporting.plate import Plate
from fairbench.wording import figure

COURSE = "training.json"
CURVES = "curves.json"
MOST_CURVES = 8
"""Metrics whose curve against the planted dial is drawn: the headline ones first."""

MOST_COURSES = 8
MOST_TEXTS = 3
"""Texts a result whose tokens are shown: those with the largest sensitivity."""


def found_plates(collection: Collection) -> tuple[list[Plate], list[Fault]]:
    """The figures, and a fault for each file that was not what it should be."""
    made: list[Plate] = []
    faults: list[Fault] = []
    for root in collection.roots:
        for path in sorted(root.rglob(CURVES)):
            made += _calibrations(path, faults)
        for path in sorted(root.rglob(COURSE))[:MOST_COURSES]:
            made += _course(path, faults)
    for one in {one.answers: one for one in collection.found}.values():  # metrics share a table of answers
        made += _tokens(one, faults)
    return made, faults


def _calibrations(path: Path, faults: list[Fault]) -> Iterator[Plate]:
    """A figure for each metric of a file of planted curves; other files of that name are none of ours."""
    from fairbench.reporting.figures.calibration import calibration, calibration_points

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = content["scores"] if isinstance(content, dict) else []
    except (OSError, ValueError, KeyError):
        return
    keys = list(dict.fromkeys((row.get("metric"), row.get("task"), row.get("options", "default")) for row in rows))
    cards = Registry().metrics()
    usual = [key for key in keys if key[2] == "default" and all(isinstance(part, str) for part in key)]
    usual = [key for key in usual if key[0] not in cards or cards[key[0]].kind != "utility"]
    usual.sort(key=lambda key: key[0] in cards and not cards[key[0]].headline)
    for metric, task, options in usual[:MOST_CURVES]:
        try:
            points = calibration_points(path, metric, task, options)
        except FairbenchError as error:
            faults.append(Fault(path, str(error)))
            return
        known = points[points["value"].notna()]
        yield Plate(
            f"planted-{task}-{metric}",
            "planted",
            lambda ax, points=points, metric=metric: calibration(points, ax, metric=metric),  # type: ignore[misc]
            f"{metric} on {task}: models with a planted bias of a known size, by how strong it was. A metric that sees what it "
            "claims rises with the dial and is at its ideal at 0.",
            "; ".join(f"dial {dial:g}: mean {figure(part['value'].mean())}" for dial, part in known.groupby("dial")),
        )


def _course(path: Path, faults: list[Fault]) -> Iterator[Plate]:
    from fairbench.reporting.figures.losses import losses, read_history

    if not (path.parent / "fairbench.json").is_file():  # some other program's
        return
    try:
        history = read_history(path)
    except FairbenchError as error:
        faults.append(Fault(path, str(error)))
        return
    first, last = history[0], history[-1]
    yield Plate(
        f"training-{path.parent.name}",
        "training",
        lambda ax: losses(history, ax),
        f"Training of {path.parent.name}: the loss and its terms, before their weights, against the step.",
        f"loss {figure(first['loss'])} at step {first['step']}, {figure(last['loss'])} at step {last['step']}",
    )


def _tokens(one: Found, faults: list[Fault]) -> Iterator[Plate]:
    """Some texts of a result of prediction sensitivity, token by token; none where its answers are not kept."""
    from fairbench.reporting.figures.tokens import tokens

    if one.result.probe["name"] != "sensitivity":
        return
    try:
        table = answers_of(one)
    except Undefined:
        return
    except FairbenchError as error:
        faults.append(Fault(one.path, str(error)))
        return
    if "token_text" not in table.columns or "sensitivity" not in table.columns:
        return
    shown = table[table["token_text"].notna()].sort_values("sensitivity", ascending=False).head(MOST_TEXTS)
    for number, row in enumerate(shown.to_dict("records"), 1):
        words: Sequence[str] = [str(token) for token in row["token_text"]]
        weight = row.get("token_weight")
        yield Plate(
            f"tokens-{one.label}-{one.task}-{number}",
            "tokens",
            lambda ax, row=row, words=words, weight=weight: tokens(  # type: ignore[misc]
                words, list(row["token_sensitivity"]), ax, None if weight is None else list(weight)
            ),
            f"{one.label}, {one.task}, record {row['id']}: how far the prediction moves with each token, and how far the token "
            "tells the protected group.",
            f"{len(words)} tokens; sensitivity of the text {figure(row['sensitivity'])}",
            height=2.4,
        )
