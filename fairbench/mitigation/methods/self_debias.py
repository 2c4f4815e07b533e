"""Self-debiasing: a token that becomes likelier after a prefix which announces discrimination loses weight.

With p = P(w | x) and p' = P(w | prefix x), and the sign that makes p' > p the fault: p~ is proportional to alpha p, where
alpha = max(epsilon, exp(-decay max(0, p' - p))). In a causal model this holds for every next token, whether it is drawn or
scored; in a masked model for every token that is asked, with the prefix before the sentence. Nothing is learnt, and hidden states
stay as they are: association tests see the model of before.

The prefix stands behind the start token ([CLS]) and takes its own tokens of the longest input. Positions count on from it. A
model with more than one start token has it behind the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairbench import parsers
from fairbench.errors import FairbenchError
from fairbench.mitigation import Estimate, Job, Option
from fairbench.mitigation.projection import refuse_unfit, write
from fairbench.models.model import ModelCard

VERSION = 1
SUMMARY = "Takes weight from tokens that a discriminating prefix makes likelier; nothing is trained."
CITE = "Schick et al. 2021 (TACL 9, arXiv 2103.00453); as in Meade et al. 2022 (ACL)"
KINDS = ("causal", "masked")
NEEDS_TEXTS = False

WORDS = {"gender": "gender", "race": "race/color", "religion": "religion"}
PREFIX = "The following text discriminates against people because of their {}: "

OPTIONS: Mapping[str, Option] = {
    "attribute": Option(parsers.word(*WORDS), "gender", "what the published prefix speaks of"),
    "prefix": Option(parsers.text, None, "a text of your own in the place of the published prefix"),
    "decay": Option(parsers.real(0, 1e6, above=True), 50.0, "how fast a token loses weight (lambda)"),
    "epsilon": Option(parsers.real(0, 1, above=True), 0.01, "the least weight of a token"),
}

ROOM = 8
"""Tokens that a text must have room for behind the prefix."""


def resolve(card: ModelCard, options: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
    """Fills in the prefix.

    Raises:
        FairbenchError: both prefix and attribute were given; the prefix leaves no room or has no token that the model knows; the
            model has an intervention already or code of its own.
    """
    refuse_unfit(card, "self-debias")
    if {"prefix", "attribute"} <= given:
        raise FairbenchError("prefix and attribute: a prefix of your own says of what it speaks. Leave one of them out.")
    found = dict(options)
    if options["prefix"]:
        found |= {"prefix": f"{options['prefix']} ", "attribute": None}
    else:
        found["prefix"] = PREFIX.format(WORDS[options["attribute"]])
    ids = prefix_ids(_tokenizer(card), found["prefix"])
    if not ids or all(token == _tokenizer(card).unk_token_id for token in ids):
        raise FairbenchError(
            f"The prefix {found['prefix']!r} has no token that {card.name} knows. Give another with prefix=TEXT."
        )
    if card.max_length is not None and card.max_length < len(ids) + ROOM:
        raise FairbenchError(
            f"The prefix takes {len(ids)} tokens of the {card.max_length} that an input of {card.name} may have, and leaves "
            f"fewer than {ROOM}. Give a shorter one with prefix=TEXT."
        )
    return found


def estimate(job: Job) -> Estimate:
    """The model is copied; afterwards every pass over a text is two."""
    prefix = len(prefix_ids(_tokenizer(job.card), job.options["prefix"]))
    return Estimate(what={"training": "none", "prefix tokens": prefix, "passes over a text afterwards": 2})


def make(job: Job, folder: Path) -> dict[str, Any]:
    """Writes the model that debiases itself.

    Raises:
        FairbenchError: the model can't be loaded.
    """
    from fairbench.models.loading import load

    model = load(job.card)
    tokenizer = model.tokenizer
    ids = prefix_ids(tokenizer, job.options["prefix"])
    named = (tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.eos_token_id if job.card.start_rule == "eos" else None)
    intervention = {
        "kind": "self-debias",
        "method": "self-debias",
        "text": job.options["prefix"],
        "prefix": ids,
        "start": sorted({int(token) for token in named if token is not None}),
        "decay": job.options["decay"],
        "epsilon": job.options["epsilon"],
    }
    write(model, folder, intervention)
    room = None if job.card.max_length is None else job.card.max_length - len(ids)
    return {"measured": {"prefix": job.options["prefix"], "prefix tokens": len(ids), "longest input afterwards": room}}


def prefix_ids(tokenizer: Any, prefix: str) -> list[int]:
    """The prefix as tokens, as it would be split before a text.

    The space between prefix and text belongs to the text's first piece: SentencePiece writes it there, and WordPiece needs none.
    Byte-level BPE would split "gender: The" into ":" and "ĠThe", but a text by itself begins with "The". Its tokens are those
    that are scored and stay as they are, so the prefix ends in ":" there. The lone space piece that ":" and a space are split
    into stands before a word in no text.
    """
    parts = (prefix.rstrip(" "), "a", f"{prefix}a")
    alone, word, both = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in parts)
    joined: list[int] = both[: -len(word)] if both[-len(word) :] == word else alone
    return [int(token) for token in joined]


def _tokenizer(card: ModelCard) -> Any:
    from fairbench.models.loading import load_tokenizer, quiet

    with quiet():
        return load_tokenizer(Path(card.folder), card.name, card.options)
