"""What a sweep comes to before anything runs: the choices of each score, every one as the answers that it needs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.files import digest
from fairbench.measurement import Metric
from fairbench.models.model import ModelCard
from fairbench.naming import metric_label
from fairbench.plan import Ask, Plan, ScoreOptions, make_plan, probe_options
from fairbench.probes import embedding, fill, likelihood
from fairbench.registry import Registry

PROBE_AXES = ("pooling", "layer", "scorer", "multi_token")
"""Probe options whose values are known here, so that their axis may be named without any. The others need theirs to be given."""

ROW_AXES = ("template", "words")
"""Axes over parts of the rows, which need no model."""

Axes = Mapping[str, tuple[str, ...]]
"""What is swept: an axis and its values, none for all that there are; of `words` the number of halves."""


@dataclass(frozen=True)
class Swept:
    """A score that is swept.

    Attributes:
        axes: those of the sweep that it has.
        choices: each choice of probe options, the default first, and the answers that it needs, with this metric alone.
    """

    metric: Metric
    axes: tuple[str, ...]
    choices: tuple[tuple[Mapping[str, Any], Ask], ...]

    @property
    def default(self) -> Ask:
        """What the same request asks for without a sweep."""
        return self.choices[0][1]

    @property
    def name(self) -> str:
        """<task>/<metric>, with the notion whose groups are compared."""
        return f"{self.default.task.name}/{self.label}"

    @property
    def label(self) -> str:
        """The metric as it is called beside others of its name."""
        return metric_label(self.metric.name, self.metric.options)


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep comes to, before data and model are looked at."""

    plan: Plan
    scores: tuple[Swept, ...]
    skipped: Mapping[str, str]


def plan_sweep(model: str, options: ScoreOptions, axes: Axes) -> SweepPlan:
    """Resolves every choice.

    Args:
        model: Hub id, folder, or planted:NAME.
        options: those of the default choice.
        axes: what is swept.

    Raises:
        FairbenchError: no such axis, a value that it can't have, or an axis that nothing asked for has.
    """
    plan, registry = make_plan(model, options), Registry(options.include_path)
    owned = {ask.probe: registry.probe(ask.probe).OPTIONS for ask in plan.asks}
    _refuse_unknown(axes, [name for names in owned.values() for name in names])
    scores: list[Swept] = []
    skipped = dict(plan.skipped)
    for ask in plan.asks:
        own: list[Swept] = []
        for metric in ask.metrics:
            try:
                own.append(_swept(registry, plan.card, ask, metric, options=options, axes=axes))
            except FairbenchError as error:
                if options.tasks or options.metrics:
                    raise
                skipped[f"{ask.task.name}/{metric.name}"] = str(error)
        scores += own
        for axis in (axis for axis in axes if axis not in ROW_AXES and own and axis not in own[0].axes):
            has = f"leaves this model no choice of {axis}" if axis in owned[ask.probe] else f"has no {axis}"
            skipped[f"{ask.task.name} over {axis}"] = f"the {ask.probe} probe, which answers it, {has}"
    for axis in axes:
        if not any(axis in score.axes for score in scores):
            has = ", ".join(dict.fromkeys(name for names in owned.values() for name in names))
            raise FairbenchError(
                f"--sweep {axis}: nothing that was asked for has more than one choice of it on {model}. The probe options here "
                f"are {has}. Leave the axis out or name other tasks."
            )
    return SweepPlan(plan, tuple(score for score in scores if score.axes), skipped)


def same_answers(ask: Ask) -> str:
    """A name that asks have in common if they need the same table of answers."""
    return digest([ask.task.name, ask.probe, ask.options, ask.variants])


def _refuse_unknown(axes: Axes, owned: Sequence[str]) -> None:
    known = list(dict.fromkeys([*PROBE_AXES, *owned, *ROW_AXES]))
    if not axes:
        raise FairbenchError(f"There is nothing to sweep. Wanted at least one of {', '.join(known)}.")
    for axis, values in axes.items():
        if axis not in known:
            raise FairbenchError(
                f"There is no axis {axis!r} to sweep.{did_you_mean(axis, known)} Wanted one of {', '.join(known)}."
            )
        if axis == "template" and values:
            raise FairbenchError(
                f"--sweep template={','.join(values)}: this axis takes no values, each template is tried alone and left out. "
                "Write --sweep template."
            )
        if axis == "words" and values and (len(values) > 1 or not values[0].isdecimal() or int(values[0]) < 1):
            raise FairbenchError(f"--sweep words={','.join(values)}: wanted how many halves to draw, a whole number (words=20).")
        if axis not in (*PROBE_AXES, *ROW_AXES) and not values:
            raise FairbenchError(f"--sweep {axis}: its values are not known here. Name them: --sweep {axis}=FIRST,SECOND.")


def _swept(registry: Registry, card: ModelCard, ask: Ask, metric: Metric, *, options: ScoreOptions, axes: Axes) -> Swept:
    """The choices of one score, those that come to the same answers once."""

    def asked(choice: Mapping[str, str]) -> Ask:
        resolved, moved = probe_options(registry, card, ask.task, metric, {**options.probe, **choice})
        return Ask(ask.task, ask.probe, resolved, (metric,), {metric.name: moved}, ask.variants)

    values: dict[str, Sequence[str]] = {}
    for axis, given in axes.items():
        if axis not in ROW_AXES and axis in registry.probe(ask.probe).OPTIONS:
            found = given or [value for value in _all_values(card, ask, axis) if _possible(asked, {axis: value})]
            if given or len(found) > 1:
                values[axis] = found
    choices = {same_answers(ask): asked({})}
    for combination in itertools.product(*values.values()):
        one = asked(dict(zip(values, combination, strict=True)))
        choices.setdefault(same_answers(one), one)
    labelled = tuple(({axis: one.options[axis] for axis in values}, one) for one in choices.values())
    return Swept(metric, tuple(axis for axis in axes if axis in values or axis in ROW_AXES), labelled)


def _all_values(card: ModelCard, ask: Ask, axis: str) -> tuple[str, ...]:
    """All values of an axis that this probe could have with this kind of model and this form of record."""
    layers = () if card.layers is None else (*map(str, range(card.layers + 1)), embedding.INPUT)
    values: dict[tuple[str, str], tuple[str, ...]] = {
        ("embedding", "pooling"): embedding.POOLINGS,
        ("embedding", "layer"): layers,
        ("likelihood", "scorer"): likelihood.SCORERS.get((card.kind, ask.task.info.form), ()),
        ("fill", "scorer"): fill.SCORERS,
        ("fill", "multi_token"): fill.MULTI_TOKEN,
    }
    return values.get((ask.probe, axis), ())


def _possible(asked: Callable[[Mapping[str, str]], Ask], choice: Mapping[str, str]) -> bool:
    try:
        asked(choice)
    except FairbenchError:
        return False
    return True
