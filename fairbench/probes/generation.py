"""What a model writes after a prompt: several continuations of each, drawn or greedy, under options that are named and recorded.

What is drawn for a continuation follows from the seed, the record and the sample's number alone. So a table is the same whatever
the batch size, the order or the limit, more samples keep the first ones, and two models that are compared draw alike.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding, Wish, Written
from fairbench.models.drawing import DRAWS, ORDER
from fairbench.models.endings import SENTENCE_RULE
from fairbench.models.generating import generate, named_ends
from fairbench.models.model import Model, ModelCard
from fairbench.models.served import drawing_rules, refuse_decoding
from fairbench.models.turns import way_of
from fairbench.probes import likelihood
from fairbench.records import Prompt, Record

VERSION = 1
FORMS = ("Prompt",)
SAMPLING = ("sample", "greedy")

DEFAULTS: dict[str, Any] = {
    "samples": 1,
    "sampling": SAMPLING[0],
    "temperature": 1.0,
    "top_k": 0,
    # Gupta et al. 2022 and RealToxicityPrompts (Gehman et al. 2020) draw from the nucleus of .9: the tail below it, where small
    # models put much of their probability, is mostly broken text and says more about the tail than about the model.
    "top_p": 0.9,
    "max_new_tokens": 40,
    "stop": (),
    "sentence": False,
    "sampling_seed": 0,
    "instruction": "{text}",
    "strip_prompt": True,
}
"""The options, and what they are where nobody says otherwise."""

OPTIONS = tuple(DEFAULTS)
OF_DRAWING = ("temperature", "top_k", "top_p", "sampling_seed")
"""Options that mean nothing where nothing is drawn."""

Rows = list[dict[str, Any]] | dict[str, Any]
"""What is answered to one record: a row for each sample, or why it is left out."""

_ESCAPES = {"n": "\n", "t": "\t"}


def resolve(card: ModelCard, form: str, requested: Mapping[str, Any]) -> dict[str, Any]:
    r"""Fills in the options and refuses what this model can't do, before anything is loaded.

    Args:
        card: the model's card.
        form: name of a record form.
        requested: any of `OPTIONS`, as values or as text. `samples` a prompt (greedy: one); `sampling` "sample" or "greedy";
            `temperature`, `top_k` (0: all), `top_p` (1: all), taken in this order; `max_new_tokens`; `stop`: strings joined by |
            (\n is a new line, \| the sign itself), before the first of which a text ends; `sentence`: it also ends after its
            first sentence; `sampling_seed`; `instruction`: what the model is given, {text} in it standing for the prompt;
            `strip_prompt`: without the white space at its end, which byte-level vocabularies join to the word that follows. A
            null counts as not given.

    Returns:
        All that can change a continuation, for the result file and the cell's hash; of a greedy one no option of drawing.

    Raises:
        FairbenchError: an unknown option or value, options that contradict one another, or a model that writes no text.
    """
    given = {name: value for name, value in requested.items() if value is not None}
    _refuse(card, form, given)
    values = {name: _READ[name](name, given.get(name, usual)) for name, usual in DEFAULTS.items()}
    if values["sampling"] == "greedy":
        _refuse_drawing(values)
        values = {name: value for name, value in values.items() if name not in OF_DRAWING}
    decoding = decoding_of(values)  # refuses values that can't be meant
    if card.kind == "served":
        refuse_decoding(card, decoding)
        return {**values, **_rules(values), **drawing_rules(decoding), "chat_template": card.options.apply_chat_template}
    chat = card.options.apply_chat_template
    template = likelihood.chat_template(card) if chat else None
    return {
        **values,
        **_rules(values),
        "start_token": _start_rule(card, chat),
        "special_tokens": "start token only, none in the text",
        "end_tokens": named_ends(Path(card.folder)) if card.folder else [],
        "checkpoint_decoding": "not taken over, but for its end tokens and the tokenizer's",
        "padding": "left, masked",
        "chat_template": chat,
        "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest() if template is not None else None,
        "lower_case": card.lower_case,
        "max_length": card.max_length,
        "too_long": "left out",
    }


def answer(model: Model, records: Sequence[Record], options: Mapping[str, Any], batching: Batching) -> list[Rows]:
    """Continuations of prompts, in their order.

    Args:
        model: the loaded model.
        records: `Prompt` records.
        options: from `resolve`.
        batching: how many go together; changes no text.

    Returns:
        For each record a list of rows, one a sample, or one row with `left_out` and the reason. A row has `continuation` (what
        follows the record's text: a space that was taken from the prompt's end is not given twice), `sample` (its index),
        `finish` ("end": the model ended it, "stop": a rule did, "length": there was no more room) and `tokens`.
    """
    prompts = [prompt_of(record.text, options) for record in cast("Sequence[Prompt]", records)]
    count = options["samples"]
    wishes = [
        Wish(prompt, f"{record.id}/{sample}")
        for record, (prompt, _) in zip(records, prompts, strict=True)
        for sample in range(count)
    ]
    written = generate(model, wishes, decoding_of(options), batching) if wishes else []
    chat = options["chat_template"]  # a reply stands by itself
    return [_rows(written[i * count : (i + 1) * count], "" if chat else rest) for i, (_, rest) in enumerate(prompts)]


def prompt_of(text: str, options: Mapping[str, Any]) -> tuple[str, str]:
    """What a model is given for a record's text, and the white space that was taken from its end."""
    whole = options["instruction"].replace("{text}", text)
    kept = whole.rstrip() if options["strip_prompt"] else whole
    return kept, whole[len(kept) :]


def decoding_of(options: Mapping[str, Any]) -> Decoding:
    """The options that say how tokens are chosen and where a text ends."""
    drawn = {name: options[name] for name in OF_DRAWING[:-1] if name in options}
    return Decoding(
        sample=options["sampling"] == "sample",
        max_new_tokens=options["max_new_tokens"],
        stop=tuple(options["stop"]),
        sentence=options["sentence"],
        seed=options.get("sampling_seed", 0),
        **drawn,
    )


def engine(model: Model) -> dict[str, str]:
    """Which of the equal ways to the texts this network allows (`rows`, `ended rows`); for the result, not for the hash."""
    if model.card.kind == "served":
        return likelihood.engine(model)
    return way_of(model).describe()


def notes(card: ModelCard, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences that belong into every score of this model under these options."""
    if options["sampling"] == "greedy":
        return ()
    return (
        f"The continuations are one draw (sampling_seed {options['sampling_seed']}), and the interval does not hold how far "
        "another draw would move the score: --sweep sampling_seed=0,1,2 shows it.",
    )


def sanity(model: Model) -> str | None:
    """A sentence that flags a model which finds plain text no likelier than half of guessing, else null."""
    return None if model.card.kind == "served" else likelihood.sanity(model)


def _rows(written: Sequence[Written | str], rest: str) -> Rows:
    rows: list[dict[str, Any]] = []
    for sample, item in enumerate(written):
        if isinstance(item, str):
            return {"left_out": item}
        said = item.text.removeprefix(rest)
        rows.append({"continuation": said, "sample": sample, "finish": item.finish, "tokens": item.tokens})
    return rows


def _rules(values: Mapping[str, Any]) -> dict[str, str]:
    """The rules behind the options, in words that stand in the result."""
    drawn = {"order": ORDER, "draws": DRAWS} if values["sampling"] == "sample" else {}
    return {**drawn, **({"sentence_rule": SENTENCE_RULE} if values["sentence"] else {})}


def _start_rule(card: ModelCard, chat: bool) -> str:
    if chat:
        return "bos, once, then the template" if card.start_rule == "bos" else "the template's first token"
    return "none" if card.start_rule == "none" else f"{card.start_rule}, once"


def _refuse(card: ModelCard, form: str, given: Mapping[str, Any]) -> None:
    """Forms and options that don't exist, and models that write no text."""
    if form not in FORMS:
        raise FairbenchError(f"The generation probe answers {', '.join(FORMS)} records, not {form}.{did_you_mean(form, FORMS)}")
    for name in given:
        if name not in OPTIONS:
            near = did_you_mean(name, OPTIONS)
            raise FairbenchError(f"The generation probe has no option {name!r}.{near} It has {', '.join(OPTIONS)}.")
    if card.kind not in ("causal", "served"):
        what = "a masked model" if card.kind == "masked" else "an encoder without a language-modelling head"
        raise FairbenchError(
            f"{card.name} is {what} ({card.architecture}), so it writes no text. Use a causal language model, or metrics for "
            "this kind: `fairbench list metrics`."
        )


def _refuse_drawing(values: Mapping[str, Any]) -> None:
    """What greedy search would make k times the same, or pass over in silence."""
    if values["samples"] > 1:
        raise FairbenchError(
            f"{values['samples']} samples a prompt were asked for with sampling=greedy, which writes the same text every time. "
            "Ask for samples=1, or for sampling=sample."
        )
    if values["sampling_seed"] != DEFAULTS["sampling_seed"]:
        raise FairbenchError(
            f"sampling_seed {values['sampling_seed']} was asked for with sampling=greedy, which draws nothing. Leave it out, or "
            "ask for sampling=sample."
        )


def _whole(name: str, value: Any) -> int:
    least = 0 if name in ("top_k", "sampling_seed") else 1
    if not isinstance(value, bool) and re.fullmatch(r"[0-9]+", str(value).strip()) and int(value) >= least:
        return int(value)
    raise FairbenchError(f"The option {name} is {value!r}; wanted a whole number, {least} or more.")


def _number(name: str, value: Any) -> float:
    try:
        if not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise FairbenchError(f"The option {name} is {value!r}; wanted a number, such as {DEFAULTS[name]}.")


def _truth(name: str, value: Any) -> bool:
    if str(value).strip().lower() not in ("true", "false"):
        raise FairbenchError(f"The option {name} is {value!r}; wanted true or false.")
    return str(value).strip().lower() == "true"


def _sampling(name: str, value: Any) -> str:
    if value not in SAMPLING:
        near = did_you_mean(str(value), SAMPLING)
        raise FairbenchError(f"The option {name} is {value!r}.{near} Wanted {' or '.join(SAMPLING)}.")
    return str(value)


def _stops(name: str, value: Any) -> list[str]:
    """Strings joined by |, or a list of them as they are."""
    listed = list(value) if isinstance(value, list | tuple) else [value]
    if isinstance(value, str):
        # A bar behind an odd number of backslashes is no border: what is escaped is taken two signs at a time.
        signs = re.findall(r"\\.|.", value, re.DOTALL)
        borders = [-1, *(i for i, sign in enumerate(signs) if sign == "|"), len(signs)]
        listed = [_unescaped("".join(signs[a + 1 : b])) for a, b in itertools.pairwise(borders)]
    if not all(isinstance(stop, str) and stop for stop in listed):
        raise FairbenchError(
            f"The option {name} is {value!r}; wanted texts that are not empty, joined by | (a new line is \\n, the sign | itself "
            "\\|)."
        )
    return listed


def _instruction(name: str, value: Any) -> str:
    if not isinstance(value, str) or "{text}" not in value:
        raise FairbenchError(f"The option {name} is {value!r}; wanted a text with {{text}} in it, where the prompt stands.")
    return _unescaped(value)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text)


_READ = {
    "samples": _whole,
    "sampling": _sampling,
    "temperature": _number,
    "top_k": _whole,
    "top_p": _number,
    "max_new_tokens": _whole,
    "stop": _stops,
    "sentence": _truth,
    "sampling_seed": _whole,
    "instruction": _instruction,
    "strip_prompt": _truth,
}
