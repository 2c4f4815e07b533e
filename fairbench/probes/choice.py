"""Which of several options a model chooses: by how likely it finds each of them, or by the letter that it writes.

The same question has other answers under another normalisation, format or order of the options, and these are other protocols
rather than the same metric; so all of them stand in what `resolve` returns. Likelihoods are sums unless the user says otherwise:
that is the probability that the option is what the model writes, while a mean over tokens favours names that a vocabulary cuts
into many pieces (all but the first of which are nearly sure), and these are the names of some groups more than of others.

A weak model likes one option whatever the prompt says, and then its choices show no bias that its `scores` may well show: of
Winogender's twins a story model of 260,000 parameters chose otherwise in .4 %, with a margin that moved by five standard errors.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from fairbench.errors import FairbenchError
from fairbench.models.batching import Batching
from fairbench.models.decoding import Decoding, Wish
from fairbench.models.generating import generate, named_ends
from fairbench.models.model import Model, ModelCard
from fairbench.probes import likelihood
from fairbench.probes.choice_letters import INSTRUCTION, LETTERS, Listing, orders, read_reply
from fairbench.probes.choice_likelihood import NEUTRAL, NORMALISATIONS, READINGS, SLACK, Question, best, scores
from fairbench.probes.choice_options import FORMS, OPTIONS, refuse_idle, refuse_incapable, refuse_unknown
from fairbench.records import UNPARSED, Choice, Record

__all__ = ["FORMS", "OPTIONS", "VERSION", "answer", "engine", "notes", "resolve", "sanity"]

VERSION = 1

MAX_NEW_TOKENS = 20
"""Length of a reply at most: room for "The answer is (B)." and not for much beside it."""

TIE = "the best options are equally likely"
NOT_FINITE = "a log-likelihood is not finite"
NO_PROMPT = "the options are whole texts without a prompt, to which there is no reply"

_LISTED = "PROMPT, a line 'A. OPTION' for each option, {}'Answer:'"


def resolve(card: ModelCard, form: str, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Fills in the options and refuses what this model can't do, before anything is loaded.

    Args:
        card: the model's card.
        form: name of a record form.
        requested: `by` "likelihood" (default) or "letter" (the model writes, and the letter is read out of its reply);
            `format` "plain" (default: the options themselves follow the prompt) or "letters" (they are listed, and the letter's
            likelihood is asked); `normalisation`, one of NORMALISATIONS (default "sum"); `readings` "whole" (default) or
            "partial", for options that are whole texts: partial scores only what they share, and then what a model thinks of the
            differing word itself does not count, nor does anything where a text ends with that word; `orders`
            1 or "all" (every option once at every place: the default where options are listed); `max_new_tokens` of a reply (20).
            A null counts as not given.

    Returns:
        All that can change a choice, for the result file and the cell's hash.

    Raises:
        FairbenchError: an unknown option or value, options that don't go together, or a model that can't answer so.
    """
    given = {name: value for name, value in requested.items() if value is not None}
    refuse_unknown(card, form, given)
    by = str(given.get("by", "likelihood"))
    listed = by == "letter" or given.get("format") == "letters"
    refuse_incapable(card, by, listed)
    refuse_idle(by, listed, given)
    every = listed and str(given.get("orders", "all")) == "all"
    own = _letter(card, given) if by == "letter" else _likelihood(card, listed, given)
    chat = card.options.apply_chat_template
    template = likelihood.chat_template(card) if chat and card.kind != "served" else None
    return {
        "by": by,
        "format": "letters" if listed else "plain",
        **own,
        "orders": "all" if every else 1,
        "chat_template": chat,
        "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest() if template is not None else None,
        "lower_case": card.lower_case,
        "max_length": card.max_length,
        "too_long": "left out",
    }


def answer(
    model: Model, records: Sequence[Record], options: Mapping[str, Any], batching: Batching
) -> list[dict[str, Any] | list[dict[str, Any]]]:
    """Choices of records, in their order.

    Args:
        model: the loaded model.
        records: `Choice` records.
        options: from `resolve`.
        batching: how many inputs go together; changes no answer.

    Returns:
        For each record a row or, where its options are shown in several orders, a row for each of these, with
        `choice`: index into the record's options, whatever the order;
        `scores`: of each option, in the record's order: nats, per token or byte if so normalised (by likelihood);
        `order`: by how many places the options were turned round, and `position`: the place at which the chosen option stood
        (where options are listed);
        `reply`: what the model wrote (by letter).
        In the place of a choice `left_out` has the reason: the record can't be asked, several options are equally likely (no
        order of theirs decides between them), or no option can be read out of the reply.

    Raises:
        FairbenchError: options that need a prompt, and no record has one.
    """
    choices = cast("Sequence[Choice]", records)
    unfit = [_unfit(record, options) for record in choices]
    if choices and all(reason == NO_PROMPT for reason in unfit):
        raise FairbenchError(
            f"The options of these records are whole texts without a prompt, and {_needs_prompt(options)}. Use by=likelihood, "
            "format=plain and another normalisation than unconditional, without --apply-chat-template."
        )
    listed = options["format"] == "letters"
    shown = [orders(record, options["orders"] == "all") for record in choices]
    asked = [listing for own, reason in zip(shown, unfit, strict=True) if reason is None for listing in own]
    run = _by_letter if options["by"] == "letter" else _by_likelihood
    rows = iter(run(model, asked, options, batching))
    found: list[dict[str, Any] | list[dict[str, Any]]] = []
    for own, reason in zip(shown, unfit, strict=True):
        table = [next(rows) if reason is None else {"left_out": reason} for _ in own]
        found.append([{**row, "order": one.order} for row, one in zip(table, own, strict=True)] if listed else table[0])
    return found


def engine(model: Model) -> dict[str, str]:
    """Which of the equal ways to the numbers this network allows; for the result, not for the hash."""
    return likelihood.engine(model)


def notes(card: ModelCard, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences that belong into every score of this model under these options."""
    if str(options.get("start_token")).startswith("none"):
        return ("No start token: the first token of a text without a prompt is not scored.",)
    return ()


def sanity(model: Model) -> str | None:
    """A sentence that flags a model which finds plain text no likelier than half of guessing, else null."""
    return likelihood.sanity(model)


def _by_likelihood(
    model: Model, listings: Sequence[Listing], options: Mapping[str, Any], batching: Batching
) -> Iterator[dict[str, Any]]:
    listed = options["format"] == "letters"
    questions = [
        Question(one.prompt(), one.letters)
        if listed
        else Question(one.record.prompt.rstrip(), tuple(_text(one.record, option) for option in one.record.options))
        for one in listings
    ]
    how = {"normalisation": options["normalisation"], "readings": options.get("readings", READINGS[0])}
    for one, found in zip(listings, scores(model, questions, **how, batching=batching), strict=True):
        if isinstance(found, str) or not all(map(math.isfinite, found)):
            yield {"left_out": found if isinstance(found, str) else NOT_FINITE}
            continue
        # Options that are listed are scored in the order in which they stand.
        by_option = [found[one.shown.index(i)] for i in range(len(found))]
        chosen = best(by_option)
        row = {"left_out": TIE} if chosen is None else _chosen(one, chosen) if listed else {"choice": chosen}
        yield {**row, "scores": by_option}


def _by_letter(
    model: Model, listings: Sequence[Listing], options: Mapping[str, Any], batching: Batching
) -> Iterator[dict[str, Any]]:
    decoding = Decoding(sample=False, max_new_tokens=options["max_new_tokens"], stop=tuple(options["stop"]))
    wishes = [Wish(one.prompt(INSTRUCTION), f"{one.record.id} {one.order}") for one in listings]
    written = generate(model, wishes, decoding, batching) if wishes else []
    for one, reply in zip(listings, written, strict=True):
        if isinstance(reply, str):
            yield {"left_out": reply}
            continue
        place = read_reply(reply.text, [one.record.options[i] for i in one.shown])
        row = {"left_out": UNPARSED} if place is None else _chosen(one, one.shown[place])
        yield {**row, "reply": reply.text}


def _chosen(one: Listing, chosen: int) -> dict[str, Any]:
    return {"choice": chosen, "position": one.shown.index(chosen)}


def _text(record: Choice, option: str) -> str:
    """An option as it follows its prompt; a whole text stays as it is written."""
    return option.strip() if record.prompt.strip() else option


def _unfit(record: Choice, options: Mapping[str, Any]) -> str | None:
    """Why a record is not asked, whatever the model."""
    texts = [option.strip() for option in record.options]
    if len(texts) < 2:
        return "there are fewer than two options"
    if not all(texts):
        return "an option is empty"
    if len(set(texts)) < len(texts):
        return "two options are the same text"
    if options["format"] == "letters" and len(texts) > len(LETTERS):
        return f"there are more than {len(LETTERS)} options, and no letter for each"
    return NO_PROMPT if not record.prompt.strip() and _needs_prompt(options) else None


def _needs_prompt(options: Mapping[str, Any]) -> str:
    """Which option asks for a prompt; empty where none does."""
    if options["by"] == "letter" or options["format"] == "letters":
        return "letters stand for options of a question"
    if options.get("normalisation") == "unconditional":
        return "the normalisation unconditional compares an option with itself after another prompt"
    return "a chat template takes an option for the reply to its prompt" if options["chat_template"] else ""


def _likelihood(card: ModelCard, listed: bool, given: Mapping[str, Any]) -> dict[str, Any]:
    normalisation = str(given.get("normalisation", NORMALISATIONS[0]))
    masked = card.kind == "masked"
    score = "of each of the option's tokens behind a mask, summed" if masked else "of the option's tokens, summed"
    how: dict[str, Any] = {
        "normalisation": normalisation,
        "neutral_prompt": NEUTRAL if normalisation == "unconditional" else None,
        # A null would be taken for a choice of the user's.
        **({} if listed else {"readings": str(given.get("readings", READINGS[0]))}),
        "score": f"log-probability {score}",
        "asked": _LISTED.format("") if listed else "PROMPT OPTION, tokenised as one; a token across the border is the option's",
        "ties": f"left out: scores that differ by no more than {SLACK:g} times the larger of 1 and their size",
    }
    if card.kind == "served":
        return how
    special = {"start_token": None, "special_tokens": "the tokenizer's own, never scored", "padding": "right, masked"}
    if not masked:
        special = {"start_token": _start(card), "special_tokens": "start token only", "padding": "right, unseen"}
    return {**how, **special}


def _letter(card: ModelCard, given: Mapping[str, Any]) -> dict[str, Any]:
    # A model that continues text would go on with the next question of a quiz; a conversation ends its reply itself.
    stop = [] if card.options.apply_chat_template else ["\n"]
    return {
        "asked": _LISTED.format(f"'{INSTRUCTION}', "),
        "decoding": "greedy",
        "max_new_tokens": _length(given.get("max_new_tokens", MAX_NEW_TOKENS)),
        "stop": stop,
        # They lie in a file that is no part of the model's identity.
        "end_tokens": named_ends(Path(card.folder)) if card.kind == "causal" else None,
        "read": "one letter, or the text of one option; several or none: left out",
    }


def _length(value: Any) -> int:
    try:
        length = int(str(value))
    except ValueError:
        length = 0
    if length < 1:
        raise FairbenchError(f"The option max_new_tokens is {value!r}; wanted the length of a reply, a whole number above 0.")
    return length


def _start(card: ModelCard) -> str:
    """What a causal score conditions on, in words that stand in the result."""
    if card.options.apply_chat_template:
        return "bos, once, then the template" if card.start_rule == "bos" else "the template's first token"
    return "none: the first token of a text without a prompt is not scored" if card.start_rule == "none" else card.start_rule
