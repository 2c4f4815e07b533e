"""The scorers of causal models: `sum` and `mean` of token log-probabilities, and StereoSet's published mixture.

Each text is tokenised as a whole. It is conditioned on one start token, which is never scored and never stands twice; where a
tokenizer has none, the first token has nothing before it and is not scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching
from fairbench.models.causal import Text, token_log_probabilities
from fairbench.models.heads import NO_EMBEDDING, known_ids
from fairbench.models.tokens import Encoded, encode, start_token
from fairbench.probes.parts import EMPTY, TOO_LONG, Unfit, Values, ask, take_apart

if TYPE_CHECKING:
    from fairbench.models.model import Model
    from fairbench.records import Cloze, Pair, Passage


def pairs(model: Model, records: Sequence[Pair], scorer: str, batching: Batching) -> list[dict[str, Any]]:
    """`score_more score_less` (nats; a mean under `mean`) and the tokens that they are over."""
    taken = take_apart(records, lambda record: [[text_of(model, record.more)], [text_of(model, record.less)]])

    def row(more: NDArray[np.float64], less: NDArray[np.float64]) -> dict[str, Any]:
        scores = {"score_more": _reduce(more, scorer), "score_less": _reduce(less, scorer)}
        return {**scores, "tokens_more": len(more), "tokens_less": len(less)}

    found = _ask(model, taken, batching)
    return [{"left_out": item} if isinstance(item, str) else row(*item) for item in found]


def clozes(model: Model, records: Sequence[Cloze], scorer: str, batching: Batching) -> list[dict[str, Any]]:
    """`score_stereotype score_antistereotype score_unrelated`: of whole sentences, or after a context that they continue.

    Under `stereoset` a sentence that fills a context takes its first token's probability from the start token alone and all the
    others from the sentence without it; the score is the log of the geometric mean, as for a continued context.
    """
    columns = ("score_stereotype", "score_antistereotype", "score_unrelated")
    found = _ask(model, take_apart(records, lambda record: _cloze_parts(model, record, scorer)), batching)
    return [
        {"left_out": item}
        if isinstance(item, str)
        else dict(zip(columns, (_reduce(values, scorer) for values in item), strict=True))
        for item in found
    ]


def passages(model: Model, records: Sequence[Passage], window: int, batching: Batching) -> list[dict[str, Any]]:
    """`log_likelihood` (nats, summed), scored `tokens`, `words` by whitespace and `bytes` of UTF-8.

    Windows don't overlap; each starts with the start token and holds window - 1 tokens of the text.
    """
    found = _ask(model, take_apart(records, lambda record: [windows(model, record.text, window)]), batching)
    return [
        {"left_out": item}
        if isinstance(item, str)
        else {
            "log_likelihood": float(item[0].sum()),
            "tokens": len(item[0]),
            "words": scored_words(model, record.text),
            "bytes": scored_bytes(model, record.text, window),
        }
        for record, item in zip(records, found, strict=True)
    ]


def scored_words(model: Model, text: str) -> int:
    """Words by whitespace, without a start token that is written at the text's head."""
    coded = encode(model.tokenizer, text, special=False)
    return len(text[coded.offsets[0][1] :].split()) if _opens(model, coded) else len(text.split())


def scored_bytes(model: Model, text: str, window: int) -> int:
    """Bytes of UTF-8 of the scored text.

    A start token that is written at its head is not scored, and without a start token the first token of each window isn't.
    """
    coded = encode(model.tokenizer, text, special=False)
    unscored = coded.offsets[: _opens(model, coded)]
    if start_token(model.card, model.tokenizer) is None:
        unscored = coded.offsets[::window]
    return len(text.encode("utf-8")) - sum(len(text[start:end].encode("utf-8")) for start, end in unscored)


def running_text(model: Model, text: str, batching: Batching) -> tuple[float, int]:
    """Log-likelihood and scored tokens of a text, in windows."""
    try:
        parts = windows(model, text, model.card.max_length or 1024)
    except Unfit:
        return 0.0, 0
    found = np.concatenate(token_log_probabilities(model, parts, batching))
    return float(found.sum()), len(found)


def text_of(model: Model, text: str, context: str = "") -> Text:
    """A text ready to be scored, after a context (not scored) or alone.

    Raises:
        Unfit: it has no token to score, or is too long: nothing is cut off.
    """
    before = _before(model, context)
    # The space after a context belongs to the sentence, whether the tokenizer joins it to the first word or not: only then do
    # the scored tokens make up the whole of P(sentence | context).
    border = len(before) if model.card.options.apply_chat_template else len(context)
    coded = encode(model.tokenizer, before + text, special=False)
    start = start_token(model.card, model.tokenizer)
    if model.card.options.apply_chat_template and model.card.start_rule != "bos":
        start = None  # an end-of-text token before a conversation is nothing that a model has seen
    ids = coded.ids
    first = next((i for i, (_, end) in enumerate(coded.offsets) if end > border), len(ids)) if border else 0
    if start is not None and ids[:1] != (start,):
        ids, first = (start, *ids), first + 1
    first = max(first, 1)
    if first >= len(ids):
        raise Unfit(EMPTY)
    if model.card.max_length is not None and len(ids) > model.card.max_length:
        raise Unfit(TOO_LONG)
    _refuse_unknown(model, ids)
    return Text(ids=ids, first=first)


def windows(model: Model, text: str, length: int) -> list[Text]:
    """Cuts a running text into windows of `length` tokens, the start token counted.

    Raises:
        Unfit: it has no token to score.
    """
    start = start_token(model.card, model.tokenizer)
    coded = encode(model.tokenizer, text, special=False)
    ids = coded.ids[_opens(model, coded) :]
    lead = () if start is None else (start,)
    size = length - len(lead)
    cut = [Text(ids=lead + ids[i : i + size]) for i in range(0, len(ids), size)]
    cut = [window for window in cut if len(window.ids) > 1]
    if not cut:
        raise Unfit(EMPTY)
    _refuse_unknown(model, lead + ids)
    return cut


def _opens(model: Model, coded: Encoded) -> int:
    """1 where a text itself has the start token written at its head, else 0."""
    start = start_token(model.card, model.tokenizer)
    return int(start is not None and coded.ids[:1] == (start,))


def _refuse_unknown(model: Model, ids: Sequence[int]) -> None:
    if max(ids) >= known_ids(model):
        raise Unfit(NO_EMBEDDING)


def _before(model: Model, context: str) -> str:
    """What stands before a scored text: the context and a space, or the conversation up to the reply."""
    if not model.card.options.apply_chat_template:
        return f"{context} " if context else ""
    from jinja2 import TemplateError

    turns = [{"role": "user", "content": context}]
    try:
        return str(model.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise FairbenchError(
            f"The chat template of {model.card.name} can't be filled with one user message ({error}). Leave out "
            "--apply-chat-template."
        ) from error


def _cloze_parts(model: Model, record: Cloze, scorer: str) -> list[list[Text]]:
    """The texts that each of the three sentences is scored by."""
    sentences = (record.stereotype, record.antistereotype, record.unrelated)
    if "BLANK" not in record.context:
        return [[text_of(model, sentence, record.context)] for sentence in sentences]
    whole = [text_of(model, sentence) for sentence in sentences]
    if scorer != "stereoset" or start_token(model.card, model.tokenizer) is None:
        return [[text] for text in whole]
    return [[Text(text.ids[:2])] + [Text(text.ids[1:])] * (len(text.ids) > 2) for text in whole]


def _ask(model: Model, taken: Sequence[list[list[Text]] | str], batching: Batching) -> list[Values | str]:
    return ask(taken, lambda texts: token_log_probabilities(model, texts, batching))


def _reduce(values: NDArray[np.float64], scorer: str) -> float:
    return float(values.sum() if scorer == "sum" else values.mean())
