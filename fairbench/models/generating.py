"""Continuations of prompts, many at a time, each of them the same as if it had been written alone.

A prompt is conditioned on one start token, as causal scores are, or stands as the user's message in the model's chat template.
Of the checkpoint's own decoding only its end tokens are taken over.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding, Finish, Wish, Written
from fairbench.models.drawing import draw, likeliest, uniforms
from fairbench.models.endings import cut
from fairbench.models.heads import FULL_BYTES, NO_EMBEDDING, known_ids
from fairbench.models.tokens import encode, start_token
from fairbench.models.turns import Line, way_of, write

if TYPE_CHECKING:
    import torch

    from fairbench.models.model import Model

EMPTY = "the prompt has no token, and the model no start token"
TOO_LONG = "the prompt and the new tokens are longer than the model's longest input"
NOT_FINITE = "the model's logits are not finite"

CACHE_BYTES = {"cpu": 512 << 20}
CACHE_BYTES_ELSEWHERE = 4 << 30
"""Keys and values that a batch may come to where the user says nothing. A step feeds one token a row: many rows fill a device."""

LOGIT_BYTES = {"cpu": 128 << 20}
LOGIT_BYTES_ELSEWHERE = 1 << 30
"""Logits of a step of a batch, likewise."""


@dataclass
class Text(Line):
    """A continuation in the making.

    Attributes:
        before: the prompt as its tokens read.
        numbers: what it draws with, a row of them a token; empty where nothing is drawn.
        finish: why it ended; null while it goes on.
        text: the continuation, set where a stop rule has cut it.
        broken: the network gave no finite logits.
    """

    before: str = ""
    numbers: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    finish: Finish | None = None
    text: str | None = None
    broken: bool = False


def generate(model: Model, wishes: Sequence[Wish], decoding: Decoding, batching: Batching) -> list[Written | str]:
    """Writes on after prompts.

    Args:
        model: a causal model, or a served one, which writes by itself.
        wishes: prompts with keys; what is drawn for each follows from its key and the seed alone.
        decoding: how tokens are chosen and where a text ends.
        batching: how many go together; a budget counts prompt and new tokens. It changes no text.

    Returns:
        For each wish, in order, what was written, or the reason why it is left out.

    Raises:
        FairbenchError: the model can't write.
    """
    if hasattr(model, "generate"):
        return _cut_served(model.generate(wishes, decoding), wishes, decoding)
    if not hasattr(model.network, "generate"):
        raise FairbenchError(
            f"{model.card.name} ({type(model.network).__name__}) has no `generate`, so it can't write text. Use a causal "
            "language model of transformers."
        )
    found: list[Text | str] = []
    for wish in wishes:
        ids = prompt_ids(model, wish.prompt, decoding.max_new_tokens)
        found.append(ids if isinstance(ids, str) else _text(model, wish, ids, decoding))
    _write_all(model, [text for text in found if isinstance(text, Text)], decoding, batching)
    return [text if isinstance(text, str) else _written(model, text) for text in found]


def prompt_ids(model: Model, prompt: str, room: int) -> tuple[int, ...] | str:
    """The tokens that are written on after, or the reason why there is none to be: nothing is cut off.

    Args:
        model: with its tokenizer.
        prompt: the text; under a chat template the user's message.
        room: new tokens that must have room behind it.
    """
    chat = model.card.options.apply_chat_template
    ids = encode(model.tokenizer, conversation(model, prompt) if chat else prompt, special=False).ids
    start = start_token(model.card, model.tokenizer)
    if chat and model.card.start_rule != "bos":
        start = None  # an end-of-text token before a conversation is nothing that a model has seen
    if start is not None and ids[:1] != (start,):
        ids = (start, *ids)
    if not ids:
        return EMPTY
    if max(ids) >= known_ids(model):
        return NO_EMBEDDING
    if model.card.max_length is not None and len(ids) + room > model.card.max_length:
        return TOO_LONG
    return ids


def conversation(model: Model, message: str) -> str:
    """A user's message in the model's chat template, up to where the reply begins.

    Raises:
        FairbenchError: the template takes no such conversation.
    """
    from jinja2 import TemplateError

    turns = [{"role": "user", "content": message}]
    try:
        return str(model.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise FairbenchError(
            f"The chat template of {model.card.name} can't be filled with one user message ({error}). Leave out "
            "--apply-chat-template."
        ) from error


def end_tokens(model: Model) -> frozenset[int]:
    """Ids that end a text: those that the checkpoint names for it, and the tokenizer's end token."""
    places = model.network.generation_config, model.network.config.get_text_config()
    named = next(filter(None, (_listed(getattr(place, "eos_token_id", None)) for place in places)), [])
    return frozenset([*named, *_listed(model.tokenizer.eos_token_id)])


def named_ends(folder: Path) -> list[int]:
    """The end tokens that a checkpoint's files name: generation_config.json, or config.json where that names none."""
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        said = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if found := _listed(said.get("eos_token_id")):
            return found
    return []


def _cut_served(found: list[Written | str], wishes: Sequence[Wish], decoding: Decoding) -> list[Written | str]:
    """The same rules for where a text ends: a server knows stop strings at most."""
    out: list[Written | str] = []
    for wish, item in zip(wishes, found, strict=True):
        at = None if isinstance(item, str) else cut(item.text, decoding, wish.prompt)
        out.append(item if isinstance(item, str) or at is None else Written(item.text[:at], item.tokens, "stop"))
    return out


def _listed(ids: Any) -> list[int]:
    """End tokens as configurations write them: none, one or several."""
    return [] if ids is None else [int(i) for i in ids] if isinstance(ids, list | tuple) else [int(ids)]


def _text(model: Model, wish: Wish, ids: tuple[int, ...], decoding: Decoding) -> Text:
    numbers = uniforms(decoding.seed, wish.key, decoding.max_new_tokens) if decoding.sample else np.empty(0)
    return Text(ids, before=_read(model, ids), numbers=numbers)


def _read(model: Model, ids: Sequence[int]) -> str:
    return str(model.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _continuation(model: Model, text: Text, ids: Sequence[int]) -> str:
    """What the ids after a prompt read, as the tokenizer reads both together: a first word has its space only behind another."""
    whole = _read(model, [*text.prompt, *ids])
    return whole.removeprefix(text.before) if whole.startswith(text.before) else _read(model, ids)


def _write_all(model: Model, texts: Sequence[Text], decoding: Decoding, batching: Batching) -> None:
    """Batches of similar length, of which a budget counts prompts and new tokens."""
    if not texts:
        return
    way = way_of(model)
    lengths = [len(text.prompt) + decoding.max_new_tokens for text in texts]
    if way.rows == "one at a time":
        batching = Batching(rows=1)
    elif batching.budget is None and batching.rows is None:
        batching = Batching(budget=_budget(model, min(lengths)))
    asked = (_chooser(model, decoding), _ends(model, decoding))
    for batch in batching.cut(lengths, model.device.type, equal=way.rows != "left padded"):
        write(model, [texts[i] for i in batch], decoding.max_new_tokens, asked, way.leaves)


def _budget(model: Model, shortest: int) -> int:
    """Tokens, prompts and new ones together, whose keys and values and whose logits a device holds well."""
    config, size, device = model.network.config.get_text_config(), model.network.dtype.itemsize, model.device.type
    heads, shared = (getattr(config, name, None) for name in ("num_attention_heads", "num_key_value_heads"))
    wide = int(config.hidden_size)
    if isinstance(heads, int) and isinstance(shared, int):
        wide = shared * (getattr(config, "head_dim", None) or wide // heads)
    tokens = CACHE_BYTES.get(device, CACHE_BYTES_ELSEWHERE) // (2 * config.num_hidden_layers * wide * size)
    rows = LOGIT_BYTES.get(device, LOGIT_BYTES_ELSEWHERE) // (4 * config.vocab_size)
    if "logits_to_keep" not in inspect.signature(model.network.forward).parameters:  # it makes them for every prompt's token
        tokens = min(tokens, FULL_BYTES // (config.vocab_size * size))
    return max(int(min(tokens, rows * shortest)), 1)


def _chooser(model: Model, decoding: Decoding) -> Callable[[Sequence[Text], torch.Tensor], torch.Tensor]:
    """The next token of each text. Rows of the vocabulary that no token of the tokenizer has are never chosen."""
    import torch

    known = sorted(model.tokenizer.get_vocab().values())

    def choose(texts: Sequence[Text], logits: torch.Tensor) -> torch.Tensor:
        if len(known) < logits.shape[1]:
            nameless = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device)
            nameless[[i for i in known if i < len(nameless)]] = False
            logits = logits.masked_fill(nameless, -float("inf"))
        finite = logits.amax(-1).isfinite()  # false for NaN as well
        if not finite.all():
            logits = logits.masked_fill(~finite[:, None], 0.0)
            for text, fine in zip(texts, finite.tolist(), strict=True):
                text.broken = not fine
        if not decoding.sample:
            return likeliest(logits)
        return draw(logits, np.array([text.numbers[len(text.written)] for text in texts]), decoding)

    return choose


def _ends(model: Model, decoding: Decoding) -> Callable[[Text], bool]:
    """Whether a text ends with its last token."""
    final = end_tokens(model)

    def ends(text: Text) -> bool:
        if text.broken:
            return True
        if text.written[-1] in final:
            text.finish = "end"
        elif decoding.stop or decoding.sentence:
            said = _continuation(model, text, text.written)
            if (at := cut(said, decoding, text.before)) is not None:
                text.finish, text.text = "stop", said[:at]
        return text.finish is not None

    return ends


def _written(model: Model, text: Text) -> Written | str:
    if text.broken:
        return NOT_FINITE
    ids = text.written[: len(text.written) - (text.finish == "end")]
    said = _continuation(model, text, ids) if text.text is None else text.text
    return Written(said, len(ids), text.finish or "length")
