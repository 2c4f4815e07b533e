"""What the choice probe can be told, and what it refuses before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.models.model import ModelCard
from fairbench.probes.choice_likelihood import NORMALISATIONS, READINGS

FORMS = ("Choice",)
OPTIONS = ("by", "normalisation", "format", "orders", "readings", "max_new_tokens")

VALUES: dict[str, tuple[str, ...]] = {
    "by": ("likelihood", "letter"),
    "normalisation": NORMALISATIONS,
    "format": ("plain", "letters"),
    "orders": ("1", "all"),
    "readings": READINGS,
}
"""The words that each option may be; of those that have a default everywhere it is the first."""


def refuse_unknown(card: ModelCard, form: str, given: Mapping[str, Any]) -> None:
    """Forms, options and values that don't exist."""
    if form not in FORMS:
        raise FairbenchError(f"The choice probe answers {', '.join(FORMS)} records, not {form}.{did_you_mean(form, FORMS)}")
    for name, value in given.items():
        if name not in OPTIONS:
            near = did_you_mean(name, OPTIONS)
            raise FairbenchError(f"The choice probe has no option {name!r}.{near} It has {', '.join(OPTIONS)}.")
        if name in VALUES and str(value) not in VALUES[name]:
            near = did_you_mean(str(value), VALUES[name])
            raise FairbenchError(f"Unknown {name} {value!r}.{near} For the choice probe: {', '.join(VALUES[name])}.")
    if card.kind == "encoder":
        raise FairbenchError(
            f"{card.name} is an encoder without a language-modelling head ({card.architecture}), so it chooses nothing. Use a "
            "causal or masked language model, or a metric on embeddings (weat, seat)."
        )


def refuse_incapable(card: ModelCard, by: str, listed: bool) -> None:
    """What this model can't be asked."""
    if card.kind == "masked":
        what = "it writes no reply" if by == "letter" else "it can't continue a list of options with a letter" if listed else ""
        if what:
            raise FairbenchError(
                f"Letters were asked of {card.name}, which is a masked model: {what}. Use by=likelihood and format=plain, or a "
                "causal model."
            )
        if not card.has_mask:
            raise FairbenchError(
                f"{card.name} is a masked model, but its tokenizer has no mask token, which the likelihood of an option needs. "
                "Set mask_token in its tokenizer_config.json, or use another model."
            )
        if card.options.apply_chat_template:
            raise FairbenchError(
                f"--apply-chat-template was asked for, but {card.name} is a masked model, which takes no conversation. Leave the "
                "flag out."
            )
    if card.kind == "served" and by == "likelihood" and not card.prompt_log_probs:
        raise FairbenchError(
            f"The likelihood of options was asked of {card.name}, whose server gives no log-probabilities of a prompt's tokens"
            f"{' under a chat template' if card.options.apply_chat_template else ''}; "
            "what it gives of the tokens that it writes itself can't stand in for them. Use --probe-options by=letter, which is "
            "another protocol with other numbers, or a server that gives them."
        )


def refuse_idle(by: str, listed: bool, given: Mapping[str, Any]) -> None:
    """Options that would be dropped in silence, because another one leaves them without a meaning."""
    why = {}
    if by == "letter":
        why = dict.fromkeys(("normalisation", "readings"), "is for by=likelihood, and by=letter was asked for")
        if given.get("format") == "plain":
            why["format"] = "can't be plain for by=letter, which lists the options"
    else:
        why["max_new_tokens"] = "is for by=letter, and by=likelihood writes nothing"
        if listed:
            why["readings"] = "is for options that are whole texts, and format=letters lists options of a question"
            if given.get("normalisation") not in (None, "sum", "unconditional"):
                why["normalisation"] = "can only be sum or unconditional for format=letters: a letter is as long as any other"
        elif str(given.get("orders")) == "all":
            why["orders"] = "can't be all for format=plain, where no option is shown beside another"
    for name, reason in why.items():
        if name in given:
            raise FairbenchError(f"The option {name} {reason}. Leave {name} out.")
