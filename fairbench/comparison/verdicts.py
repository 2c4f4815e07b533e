"""What is said of a difference: a verdict in a few words, a sentence, the release gate, and the price in utility."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from fairbench.comparison import Comparison, Difference, Verdict
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
    """A difference with its verdict, the sentence, and whether the gate lets it through."""
    verdict, said = _verdict(one, alpha)
    passed: bool | None = None
    if margin is not None:
        passed = one.worse_by is not None and one.worse_by <= margin and one.n >= FEW_UNITS
        if passed:
            verdict, said = "not worse", f"{said}; not worse by more than {figure(margin)} (at most {figure(one.worse_by)})"
        else:
            said = f"{said}; GATE: {_why_not(one, margin)}"
    return dataclasses.replace(one, verdict=verdict, said=said, margin=margin, passed=passed)


def _verdict(one: Difference, alpha: float) -> tuple[Verdict, str]:
    if one.difference is None:
        return "undefined", f"undefined: {one.undefined}"
    p = one.p.value if one.p_holm is None and one.p is not None else one.p_holm
    if p is None or one.interval is None:
        why = one.warnings[-1].removesuffix(".") if one.warnings else "there is no test"
        return "too few records", f"too few records to tell ({why[0].lower()}{why[1:]})"
    if one.n < FEW_UNITS:
        return "too few records", f"too few records to tell ({one.n} {one.unit}s)"
    if p < alpha:
        return "differs", f"differs: {_direction(one)}"
    could = f" (could have seen >= {figure(one.detectable)})" if one.detectable is not None else ""
    return "no difference detected", f"no difference detected{could}"


def _direction(one: Difference) -> str:
    """Where the difference goes, seen from the ideal."""
    better = "better" if one.kind == "utility" else "closer to the ideal"
    worse = "worse" if one.kind == "utility" else "farther from the ideal"
    if one.distance is None or abs(one.distance) <= 1e-9 * max(1.0, abs(one.difference or 0.0)):
        return "as far from the ideal, on its other side"
    where = better if one.distance < 0 else worse
    ideal, before, after = one.model.ideal, one.baseline.value, one.model.value
    crossed = None not in (ideal, before, after) and (before - ideal) * (after - ideal) < 0  # type: ignore[operator]
    return f"{where}, on its other side" if crossed else where


def _why_not(one: Difference, margin: float) -> str:
    if one.worse_by is None or one.n < FEW_UNITS:
        return f"too few records to say that it is not worse by more than {figure(margin)}"
    return f"it may be worse by up to {figure(one.worse_by)}, more than {figure(margin)}"


def margin_of(one: Difference, margins: Mapping[str, float]) -> float | None:
    """The margin that was declared for a metric: by its column, by task/metric, or by the metric alone."""
    for name in (one.column, f"{one.task}/{one.metric}", one.metric, one.metric.partition(" by ")[0]):
        if name in margins:
            return margins[name]
    return None


def refuse_idle_margins(margins: Mapping[str, float], found: Iterable[Difference]) -> None:
    """Refuses a margin that is of nothing that is compared: a gate on it would let everything through.

    Raises:
        FairbenchError: a name is of no metric that is compared, or a margin is below 0.
    """
    found = list(found)
    known = {name for one in found for name in (one.column, f"{one.task}/{one.metric}", one.metric)}
    for name, margin in margins.items():
        if not any(margin_of(one, {name: margin}) is not None for one in found):
            raise FairbenchError(
                f"--margin {name}={margin:g}: nothing of that name is compared.{did_you_mean(name, known)} "
                f"Compared are {', '.join(sorted({one.metric for one in found})) or 'no metrics'}."
            )
        if not margin >= 0:
            raise FairbenchError(f"--margin {name}={margin:g}: wanted a number of 0 or more, in the units of the metric.")


def price(differences: Iterable[Difference]) -> tuple[str, ...]:
    """The utility guard: what happened to perplexity, LMS, accuracy, a sentence each; and a word where nobody looked."""
    found = [_price(one) for one in differences if one.kind == "utility" and one.difference is not None]
    if found:
        return tuple(found)
    return (
        "No utility metric was compared: what the change cost is not known. Score perplexity, a language modelling score or "
        "accuracy of both models.",
    )


def _price(one: Difference) -> str:
    """A sentence about one utility metric."""
    before, after, difference = one.baseline.value, one.model.value, one.difference
    assert before is not None and after is not None and difference is not None
    share = f", {100 * difference / abs(before):+.1f} %" if before else ""
    change = f"from {figure(before)} to {figure(after)} ({difference:+.4g}{share}; interval {interval_text(one.interval)})"
    judged = {"differs": f"{_direction(one)}", "no difference detected": "no difference detected"}.get(one.verdict, one.said)
    if one.verdict == "no difference detected" and one.detectable is not None:
        judged += f", could have seen >= {figure(one.detectable)}"
    return f"{one.task} {one.metric}: {change}: {judged}"
