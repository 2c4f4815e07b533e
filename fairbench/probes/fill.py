"""Which words a model puts into a slot: the probability of a target with its attribute and without, and the likeliest fills.

Kurita et al. 2019 (W19-3823) compare a target's probability with its prior, that is with the attribute hidden; Webster et al.
2020 (arXiv 2010.06032) leave the attribute open and look at what fills it. A causal model has no prior of that sort: there the
attribute gives way to a neutral filler. Each of these choices stands in what `resolve` returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.models.batching import Batching
from fairbench.models.model import Model, ModelCard
from fairbench.models.served import refuse_served
from fairbench.probes import fill_causal, fill_masked, likelihood
from fairbench.records import Record, Slot

VERSION = 1
FORMS = ("Slot",)
OPTIONS = ("scorer", "filler", "multi_token", "top")

SCORERS = ("mean", "sum")
"""Of a causal model's sentence: log-likelihood per token, or in all."""

MULTI_TOKEN = ("mean", "skip")
"""What a masked model's log-probability of a target of several tokens is: their mean, or nothing (left out)."""

FILLERS = ("person", "individual")
"""What stands for the attribute in a causal model's prior: as a rule, and after the article "an"."""

TOP = 5

_OF_KIND = {"causal": ("scorer", "filler", "top"), "masked": ("multi_token", "top")}
_CHOICES = {"scorer": SCORERS, "multi_token": MULTI_TOKEN}


def resolve(card: ModelCard, form: str, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Fills in the options and refuses what this model can't do, before anything is loaded.

    Args:
        card: the model's card.
        form: name of a record form.
        requested: for causal models `scorer` "mean" (default) or "sum", and `filler`, a word ("person"; after the article "an"
            "individual", but a filler that is named otherwise stands everywhere); for masked models `multi_token` "mean"
            (default) or "skip"; `top`, how many fills are kept (5). A null counts as not given.

    Returns:
        All that can change an answer, for the result file and the cell's hash.

    Raises:
        FairbenchError: an unknown option or value, an option of the other kind of model, or a model without what it takes.
    """
    given = {name: value for name, value in requested.items() if value is not None}
    _refuse(card, form, given)
    for name, choices in _CHOICES.items():
        if given.get(name, choices[0]) not in choices:
            near = did_you_mean(str(given[name]), choices)
            raise FairbenchError(f"Unknown {name} {given[name]!r}.{near} For the fill probe: {' or '.join(choices)}.")
    own = _causal(card, given) if card.kind == "causal" else _masked(given)
    return {**own, "top": _top(given.get("top", TOP)), "lower_case": card.lower_case, "max_length": card.max_length,
            "too_long": "left out"}  # fmt: skip


def answer(model: Model, records: Sequence[Record], options: Mapping[str, Any], batching: Batching) -> list[dict[str, Any]]:
    """Fills of slots, in their order.

    Args:
        model: the loaded model.
        records: `Slot` records. Those of one template and attribute must be in one call, for they share their `mass`.
        options: from `resolve`.
        batching: how many inputs go together; changes no answer.

    Returns:
        For each record `left_out` with the reason, or
        `log_p`: nats, of the target with its attribute; `log_prior`: without it; both null where the attribute is open;
        `mass`: in [0, 1] for targets of one token: probability that all distinct targets of this template and attribute hold
        at the slot (several tokens: by the product of their probabilities); of an open attribute: that its `top_fills` hold;
        `top_fills`: the likeliest words at the target, or at the open attribute, the likeliest first; each is one token that
        begins a word and holds a letter, in a small vocabulary perhaps the word's beginning only;
        `tokens`: of the target.
    """
    kind = fill_causal if model.card.kind == "causal" else fill_masked
    return kind.slots(model, cast("Sequence[Slot]", records), options, batching) if records else []


def engine(model: Model) -> dict[str, str]:
    """Which of the equal ways to the numbers this network allows; for the result, not for the hash."""
    return likelihood.engine(model)


def notes(card: ModelCard, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences that belong into every score of this model under these options."""
    if card.kind != "causal":
        return ()
    seen = "Mass and top fills of a causal model are read after the text before the slot; what stands behind it is not seen."
    return (seen, *likelihood.notes(card, options))


def sanity(model: Model) -> str | None:
    """A sentence that flags a model which finds plain text no likelier than half of guessing, else null."""
    return likelihood.sanity(model)


def _causal(card: ModelCard, given: Mapping[str, Any]) -> dict[str, Any]:
    filler = str(given.get("filler", FILLERS[0])).strip()
    if not filler:
        raise FairbenchError(f"The filler is empty. Wanted a word that can stand for any attribute, such as {FILLERS[0]}.")
    start = "none: the first token is not scored" if card.start_rule == "none" else card.start_rule
    return {
        "scorer": given.get("scorer", SCORERS[0]),
        "filler": filler,
        "filler_after_an": FILLERS[1] if filler == FILLERS[0] else filler,
        "prior": "of the sentence with the filler as its attribute",
        "slot": "mass and top fills after the text before it",
        "start_token": start,
        "special_tokens": "start token only",
        "padding": "right, unseen",
    }


def _masked(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "multi_token": given.get("multi_token", MULTI_TOKEN[0]),
        "target": "a mask for each of its tokens, all at once",
        "prior": "at the target, with a mask for each token of the attribute as well",
        "slot": "top fills at a single mask",
        "special_tokens": "the tokenizer's own",
        "padding": "right, masked",
    }


def _top(value: Any) -> int:
    try:
        top = int(str(value))
    except ValueError:
        top = 0
    if top < 1:
        raise FairbenchError(
            f"The option top is {value!r}; wanted how many of the likeliest fills are kept, a whole number above 0."
        )
    return top


def _refuse(card: ModelCard, form: str, given: Mapping[str, Any]) -> None:
    """Forms and options that don't exist, those of another kind of model, and models that fill nothing in."""
    if form not in FORMS:
        raise FairbenchError(f"The fill probe answers {', '.join(FORMS)} records, not {form}.{did_you_mean(form, FORMS)}")
    refuse_served(card, "fill", "the probabilities of words at a place")
    if card.kind == "encoder":
        raise FairbenchError(
            f"{card.name} is an encoder without a language-modelling head ({card.architecture}), so it fills no slot. Use a "
            "causal or masked language model, or a metric on embeddings (weat, seat)."
        )
    if card.kind == "masked" and not card.has_mask:
        raise FairbenchError(
            f"{card.name} is a masked model, but its tokenizer has no mask token, which a slot needs. Set mask_token in its "
            "tokenizer_config.json, or use another model."
        )
    for name in given:
        if name not in OPTIONS:
            near = did_you_mean(name, OPTIONS)
            raise FairbenchError(f"The fill probe has no option {name!r}.{near} It has {', '.join(OPTIONS)}.")
        if name not in _OF_KIND[card.kind]:
            other = "causal" if card.kind == "masked" else "masked"
            raise FairbenchError(
                f"The fill probe takes {name} for {other} models only, and {card.name} is a {card.kind} one: it takes "
                f"{' and '.join(_OF_KIND[card.kind])}. Leave {name} out."
            )
    if card.options.apply_chat_template:
        raise FairbenchError(
            "--apply-chat-template was asked for, but a slot is a word in a bare sentence and no reply. Leave the flag out."
        )
