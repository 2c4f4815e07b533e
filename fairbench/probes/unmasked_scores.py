"""The scorers of masked models that mask nothing: AUL and AULA (Kaneko and Bollegala 2022).

The sentence goes in as it is, and each of its tokens is predicted with itself in sight. So no token is favoured because it is
frequent, as behind a mask, and one pass scores a whole sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairbench.models.batching import Batching
from fairbench.models.unmasked import Seen, received_attention, seen_log_probabilities
from fairbench.probes.masked_scores import cloze_row, encode_whole, one_blank
from fairbench.probes.parts import EMPTY, Unfit, Values, ask, take_apart

if TYPE_CHECKING:
    from fairbench.models.model import Model
    from fairbench.records import Cloze, Pair

SCORERS = ("aul", "aula")


def pairs(model: Model, records: Sequence[Pair], scorer: str, batching: Batching) -> list[dict[str, Any]]:
    """`score_more score_less` and the tokens that they are means over.

    `aul`: the mean of log P(token | the sentence), in nats. `aula`: each of these is multiplied by the attention that its token
    receives (a share of 1 over the whole input) before the mean, so its unit is no nat and its size falls with the length.
    """
    taken = take_apart(records, lambda record: [[_seen(model, record.more)], [_seen(model, record.less)]])
    rows: list[dict[str, Any]] = []
    for item in _ask(model, taken, scorer, batching):
        if isinstance(item, str):
            rows.append({"left_out": item})
            continue
        more, less = item
        scores = {"score_more": float(more.mean()), "score_less": float(less.mean())}
        rows.append({**scores, "tokens_more": len(more), "tokens_less": len(less)})
    return rows


def clozes(model: Model, records: Sequence[Cloze], scorer: str, batching: Batching) -> list[dict[str, Any]]:
    """`score_stereotype score_antistereotype score_unrelated`: the same of three sentences that fill a context."""

    def parts(record: Cloze) -> list[list[Seen]]:
        one_blank(record)
        return [[_seen(model, text)] for text in (record.stereotype, record.antistereotype, record.unrelated)]

    found = _ask(model, take_apart(records, parts), scorer, batching)
    return [{"left_out": item} if isinstance(item, str) else cloze_row([float(v.mean()) for v in item]) for item in found]


def _seen(model: Model, sentence: str) -> Seen:
    coded = encode_whole(model, sentence)
    places = tuple(place for place, added in enumerate(coded.special) if not added)
    if not places:
        raise Unfit(EMPTY)
    return Seen(ids=coded.ids, places=places)


def _ask(model: Model, taken: Sequence[list[list[Seen]] | str], scorer: str, batching: Batching) -> list[Values | str]:
    def run(texts: list[Seen]) -> Values:
        values = seen_log_probabilities(model, texts, batching)
        if scorer == "aul":
            return values
        return [v * a for v, a in zip(values, received_attention(model, texts, batching), strict=True)]

    return ask(taken, run)
