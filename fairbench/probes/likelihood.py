"""How likely a model finds a text: pairs, clozes and passages, under a scorer that is named and recorded.

The same pair gives another number under every scorer and start token (CrowS-Pairs of one GPT-2 shape: 44.0 with a start token,
50.0 without), so nothing here is implicit: `resolve` writes down each choice before anything runs and refuses what can't be done.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from fairbench.errors import FairbenchError, did_you_mean
from fairbench.models.batching import Batching, pads_well
from fairbench.models.causal import engine_of
from fairbench.models.loading import sanity_text
from fairbench.models.masked import head_of
from fairbench.models.model import Model, ModelCard
from fairbench.models.served import refuse_served
from fairbench.models.unmasked import gives_attention
from fairbench.probes import causal_scores, masked_scores, unmasked_scores
from fairbench.records import Cloze, Pair, Passage, Record

VERSION = 2
FORMS = ("Pair", "Cloze", "Passage")
OPTIONS = ("scorer", "context")

SCORERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("causal", "Pair"): ("sum", "mean"),
    ("causal", "Cloze"): ("stereoset", "sum", "mean"),
    ("causal", "Passage"): ("sum",),
    ("masked", "Pair"): ("pll-shared", "pll", "pll-changed", "aul", "aula", "published"),
    ("masked", "Cloze"): ("stereoset", "pll", "aul", "aula"),
}
"""Scorers by kind of model and form of record, the default first."""

UNMASKED = unmasked_scores.SCORERS
"""Those of them that show a masked model the whole sentence."""

CONTEXTS = ("filled", "continued")
"""What a cloze's context is: it holds BLANK and is filled (intrasentence), or the sentence continues it (intersentence)."""

NO_WINDOW = 1024
"""Window of a passage where neither model nor tokenizer names a longest input."""


def resolve(card: ModelCard, form: str, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Fills in the options and refuses what this model can't do, before anything is loaded.

    Args:
        card: the model's card.
        form: name of a record form.
        requested: `scorer`, one of `SCORERS`; `context`, for clozes: "filled" or "continued" where the task knows (a masked
            model can be refused at once for continued ones), else each record's own context decides. A null counts as not given.

    Returns:
        All that can change a likelihood, for the result file and the cell's hash.

    Raises:
        FairbenchError: an unknown option or scorer, a scorer of the other kind of model, or a model without what it takes.
    """
    given = {name: value for name, value in requested.items() if value is not None}
    _refuse_unknown(card, form, given)
    context = given.get("context")
    if context == "continued":
        _refuse_continuation(card, str(given.get("scorer", "stereoset")))
    chat = card.options.apply_chat_template
    _refuse_chat(card, form, given.get("scorer"))
    scorers = SCORERS[card.kind, form]
    # The published mixture for clozes has no place for a template; the mean per token is what it is closest to.
    scorer = str(given.get("scorer", "mean" if chat and form == "Cloze" else scorers[0]))
    if card.kind == "masked":
        _refuse_incapable(card, scorer)
    template = chat_template(card) if chat else None
    # Only where it is so: a key more would give every other cell another hash.
    weighted = {"attention": "eager, to read its weights: mean over layers, heads, then positions"} if scorer == "aula" else {}
    return {
        "scorer": scorer,
        "context": context,
        "start_token": _start_rule(card, scorer, chat) if card.kind == "causal" else None,
        "special_tokens": "start token only" if card.kind == "causal" else "the tokenizer's own, never scored",
        # A causal model can't see what stands after a token, so what is padded needs no mask.
        "padding": "right, unseen" if card.kind == "causal" else "right, masked",
        "chat_template": chat,
        "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest() if template is not None else None,
        "lower_case": card.lower_case,
        "max_length": card.max_length,
        "too_long": f"windows of {card.max_length or NO_WINDOW}" if form == "Passage" else "left out",
        **weighted,
    }


def answer(model: Model, records: Sequence[Record], options: Mapping[str, Any], batching: Batching) -> list[dict[str, Any]]:
    """Likelihoods of records, in their order.

    Args:
        model: the loaded model.
        records: of one form: Pair, Cloze or Passage.
        options: from `resolve`.
        batching: how many inputs go together; changes no answer.

    Returns:
        For each record its form's answer columns, or `left_out` with the reason in their place. Scores are in nats (`aula`:
        nats times shares of attention):
        Pair -> `score_more score_less tokens_more tokens_less`; Cloze -> `score_stereotype score_antistereotype
        score_unrelated`; Passage -> `log_likelihood tokens words bytes`.
    """
    if not records:
        return []
    scorer = options["scorer"]
    scores: Any = masked_scores
    if model.card.kind == "causal" or scorer in UNMASKED:
        scores = causal_scores if model.card.kind == "causal" else unmasked_scores
    if isinstance(records[0], Pair):
        rows = scores.pairs(model, cast("Sequence[Pair]", records), scorer, batching)
    elif isinstance(records[0], Cloze):
        clozes = cast("Sequence[Cloze]", records)
        if all("BLANK" not in record.context for record in clozes):
            _refuse_continuation(model.card, scorer)
        rows = scores.clozes(model, clozes, scorer, batching)
    else:
        window = model.card.max_length or NO_WINDOW
        rows = causal_scores.passages(model, cast("Sequence[Passage]", records), window, batching)
    return [row if _finite(row) else {"left_out": "a log-likelihood is not finite"} for row in rows]


def engine(model: Model) -> dict[str, str]:
    """Which of the equal ways to the numbers this network allows (`logits`, `rows`); for the result, not for the hash."""
    if model.card.kind == "served":
        return {"replies": "of a server"}
    if model.card.kind == "causal":
        return engine_of(model).describe()
    return {"logits": head_of(model).kind, "rows": "plain" if pads_well(model) else "equal lengths"}


def notes(card: ModelCard, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences that belong into every score of this model under these options."""
    if str(options.get("start_token")).startswith("none"):
        return ("No start token: the first token of every text is not scored.",)
    return ()


def sanity(model: Model) -> str | None:
    """A sentence that flags a model which finds plain text no likelier than half of guessing (in nats), else null.

    The mean negative log-likelihood per token (masked: each token behind a mask) is compared with log(V) / 2.
    """
    if model.card.kind in ("encoder", "served") or (model.card.kind == "masked" and not model.card.has_mask):
        return None  # it has no likelihoods to look at
    scores = causal_scores if model.card.kind == "causal" else masked_scores
    total, tokens = scores.running_text(model, sanity_text(model.card), Batching())
    limit = math.log(model.card.vocabulary or len(model.tokenizer)) / 2
    if tokens == 0:
        return f"{model.card.name} has no token to score in a plain sentence: its scores mean nothing."
    loss = -total / tokens
    if math.isfinite(loss) and loss <= limit:
        return None
    return (
        f"{model.card.name} finds plain text unlikely: {loss:.2f} nats a token, above {limit:.2f} (half of guessing); it may be "
        "untrained, or not read as it was trained, and its scores may mean nothing."
    )


def chat_template(card: ModelCard) -> str:
    """The default chat template as it lies in the model's folder.

    Raises:
        FairbenchError: there is none.
    """
    folder = Path(card.folder)
    alone = folder / "chat_template.jinja"
    if alone.is_file():
        return alone.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    written = json.loads(config.read_text(encoding="utf-8")).get("chat_template") if config.is_file() else None
    if isinstance(written, list):  # several by name, as older files have them
        written = {entry["name"]: entry["template"] for entry in written}.get("default")
    if not isinstance(written, str) or not written:
        raise FairbenchError(
            f"{card.name} has no chat template (neither chat_template.jinja nor one in tokenizer_config.json), but "
            "--apply-chat-template was asked for. Leave the flag out, or use the model's chat version."
        )
    return written


def _refuse_unknown(card: ModelCard, form: str, given: Mapping[str, Any]) -> None:
    """Names that don't exist, and scorers that belong to another kind of model or form."""
    if form not in FORMS:
        raise FairbenchError(f"The likelihood probe answers {', '.join(FORMS)} records, not {form}.{did_you_mean(form, FORMS)}")
    for name in given:
        if name not in OPTIONS:
            near = did_you_mean(name, OPTIONS)
            raise FairbenchError(f"The likelihood probe has no option {name!r}.{near} It has {' and '.join(OPTIONS)}.")
    refuse_served(card, "likelihood", "the likelihood of a text")
    if card.kind == "encoder":
        raise FairbenchError(
            f"{card.name} is an encoder without a language-modelling head ({card.architecture}), so it gives no likelihoods. "
            "Use a causal or masked language model, or a metric on embeddings (weat, seat)."
        )
    if given.get("context") not in (None, *CONTEXTS):
        near = did_you_mean(str(given["context"]), CONTEXTS)
        raise FairbenchError(f"Unknown context {given['context']!r}.{near} Known: {', '.join(CONTEXTS)}.")
    known = SCORERS.get((card.kind, form), ())
    if not known:
        raise FairbenchError(
            f"{card.name} is a masked model and gives no likelihood of running text (perplexity). Use a causal model."
        )
    scorer = given.get("scorer")
    if scorer is None or scorer in known:
        return
    everywhere = list(dict.fromkeys(name for names in SCORERS.values() for name in names))
    if scorer not in everywhere:
        near = did_you_mean(str(scorer), everywhere)
        raise FairbenchError(f"Unknown scorer {scorer!r}.{near} For {card.kind} models and {form} records: {', '.join(known)}.")
    *others, last = known
    choice = f"{', '.join(others)} or {last}" if others else last
    raise FairbenchError(
        f"The scorer {scorer} is not for {form} records under a {card.kind} model, which {card.name} is. Use {choice}."
    )


def _refuse_incapable(card: ModelCard, scorer: str) -> None:
    """Scorers that need of a masked model what its card says it has not."""
    if not card.has_mask and scorer not in UNMASKED:
        raise FairbenchError(
            f"{card.name} is a masked model, but its tokenizer has no mask token, which the scorer {scorer} needs. Set "
            f"mask_token in its tokenizer_config.json, use a scorer that masks nothing ({', '.join(UNMASKED)}), or another model."
        )
    if scorer == "aula" and not gives_attention(card.architecture):
        raise FairbenchError(
            f"The scorer aula weighs each token by the attention that it receives, and {card.name} ({card.architecture}) does "
            "not say how much every token attends to every other one. Use the scorer aul, or another model."
        )


def _refuse_continuation(card: ModelCard, scorer: str) -> None:
    """How likely a sentence is after a context: a masked model can say so by its next-sentence head only."""
    if card.kind == "masked" and not (card.next_sentence and scorer == "stereoset"):
        found = f"{card.name} has no next-sentence head ({card.architecture})"
        if card.next_sentence:
            found = f"the scorer {scorer} does not use the next-sentence head of {card.name}"
        raise FairbenchError(
            f"A sentence that continues a context (StereoSet intersentence) was asked of a masked model, but {found}. Use a "
            "causal model, or a masked one with that head (BertForPreTraining) and the scorer stereoset."
        )


def _refuse_chat(card: ModelCard, form: str, scorer: str | None) -> None:
    if not card.options.apply_chat_template:
        return
    what = None
    if card.kind == "masked":
        what = f"{card.name} is a masked model, which takes no conversation"
    elif form == "Passage":
        what = "the likelihood of running text is asked, which is no reply"
    elif scorer == "stereoset":
        what = "the scorer stereoset is defined on bare sentences (use sum or mean)"
    if what:
        raise FairbenchError(f"--apply-chat-template was asked for, but {what}. Leave the flag out.")


def _start_rule(card: ModelCard, scorer: str, chat: bool) -> str:
    """What a causal score conditions on, in words that stand in the result."""
    if card.start_rule == "none" and not chat:
        return "none: the first token is not scored"
    if chat:
        return "bos, once, then the template" if card.start_rule == "bos" else "the template's first token"
    if scorer == "stereoset":
        return f"{card.start_rule} for the first token, none for the others (a continued context: for all)"
    return card.start_rule


def _finite(row: Mapping[str, Any]) -> bool:
    return all(math.isfinite(value) for value in row.values() if isinstance(value, float))
