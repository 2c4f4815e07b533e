"""Which results of two models may stand beside each other; where they may not, the first field in which they differ is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairbench.collection import Found
from fairbench.comparison import NOT_SCORED, Refused
from fairbench.comparison.sharing import Shared
from fairbench.registry import Registry
from fairbench.results import Result

SAME_TOKENIZER = ("perplexity",)
"""Metrics per token: they count in pieces of one tokenizer (spec 24)."""

LIKELIHOODS = ("Pair", "Cloze", "Slot", "Passage")
"""Record forms that are asked for likelihoods: a causal model's are of other things than a masked one's."""

WHY = {
    "model.kind": "their likelihoods are of other things: of a whole text, or of the tokens under a mask",
    "probe.training.data": "their classifiers learnt from other texts",
    "task.limit": "one of them is a trial over some of the records",
    "task.records_sha256": "they were asked different records",
}


def matched(
    baseline: Sequence[Found], model: Sequence[Found], registry: Registry
) -> tuple[list[tuple[Found, Found]], list[Refused]]:
    """Pairs of results that can be compared, and what can't be, with the field that differs.

    A result is compared with the one of the same name. Where the other model has none of that name but others of the same task
    and metric, those are tried; what they differ in is the reason. A result without any counterpart is refused too.
    """
    pairs, refused = [], []
    theirs = {one.column: one for one in model}
    taken = set()
    for one in baseline:
        same = [theirs[one.column]] if one.column in theirs else [other for other in model if _kin(one, other)]
        found = [(other, difference(one, other, registry)) for other in same]
        fits = next((other for other, differs in found if differs is None), None)
        if fits is not None and fits.path not in taken:
            taken.add(fits.path)
            pairs.append((one, fits))
        elif found and (differs := found[0][1]) is not None:
            refused.append(differs)
        elif not found:
            refused.append(Refused(one.column, NOT_SCORED, "scored", "not scored", "only the baseline was scored on it"))
    return pairs, refused


def difference(baseline: Found, model: Found, registry: Registry) -> Refused | None:
    """The first field in which two results of one task and metric differ so that they can't be compared; null where none does."""
    for field, mine, theirs in _fields(baseline, model, registry):
        if mine != theirs:
            return Refused(baseline.column, field, mine, theirs, WHY.get(field, ""))
    return None


def other_tokens(baseline: Found, model: Found, tables: Shared) -> Refused | None:
    """Why a figure per token can't be compared: the models cut the same texts into other numbers of tokens; else null.

    The tokenizers' files are not asked, for the same tokenizer may be written in several ways.
    """
    if baseline.result.metric["name"] not in SAME_TOKENIZER:
        return None
    counts = [t.assign(id=t["id"].astype(str)).groupby("id")["tokens"].sum() for t in (tables.baseline, tables.model)]
    if counts[0].equals(counts[1]):
        return None
    why = "it is a figure per token, and the models have different tokens; compare word_perplexity or bits_per_byte"
    return Refused(baseline.column, "answers.tokens", int(counts[0].sum()), int(counts[1].sum()), why)


def _kin(one: Found, other: Found) -> bool:
    return one.task == other.task and one.metric == other.metric


def _fields(one: Found, other: Found, registry: Registry) -> Iterator[tuple[str, Any, Any]]:
    """What must be equal, in the order in which it is asked."""
    a, b = one.result, other.result
    for part, names in (("task", ("version", "form", "limit")), ("metric", ("version",)), ("probe", ("name", "version"))):
        yield from ((f"{part}.{name}", getattr(a, part).get(name), getattr(b, part).get(name)) for name in names)
    yield from _options("metric.options", a.metric["options"], b.metric["options"])
    yield from _options("probe.options", *(_chosen(one.result, registry) for one in (one, other)))
    if (judge := _judge(one, registry)) != (other_judge := _judge(other, registry)):
        yield from _options("judges", judge, other_judge)
    yield "task.records_sha256", a.task.get("records_sha256"), b.task.get("records_sha256")
    if a.task.get("form") in LIKELIHOODS:
        yield "model.kind", a.model.get("kind"), b.model.get("kind")
    yield "probe.training.data", *(_learnt_from(result) for result in (a, b))


def _chosen(result: Result, registry: Registry) -> dict[str, Any]:
    """Options of the probe that a user can choose, and whether a chat template was used; the others follow from the model.

    The last layer is "last", whatever its number.
    """
    options = dict(result.probe["options"])
    start = str(options.get("start_token"))
    known = (*registry.probe(result.probe["name"]).OPTIONS, "context")
    chosen = {name: value for name, value in options.items() if name in known}
    if "layer" in chosen and chosen["layer"] == result.model.get("layers"):
        chosen["layer"] = "last"
    # Which token a text begins with is the tokenizer's; whether there is one moves a score.
    return {**chosen, "chat_template": bool(options.get("chat_template")), "start_token": start.replace("eos", "bos")}


def _judge(one: Found, registry: Registry) -> dict[str, Any]:
    """What can change the words of the judge that a metric reads; empty for a metric without one."""
    card = registry.metrics().get(one.result.metric["name"])
    said = next((dict(j) for j in one.result.judges if card is not None and j.get("name") == card.judge), {})
    return {name: value for name, value in said.items() if name not in ("failed", "seconds", "path", "sha256", "rows")}


def _learnt_from(result: Result) -> Any:
    """The digest of what a classifier learnt from; null where none was trained."""
    data = (result.probe.get("training") or {}).get("data")
    return data.get("sha256") if isinstance(data, dict) else data


def _options(part: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted({*mine, *theirs}):
        yield f"{part}.{name}", mine.get(name), theirs.get(name)
