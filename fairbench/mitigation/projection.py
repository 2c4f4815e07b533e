"""What the methods that change a model without training it share: sentences of a corpus, their vectors, the new folder."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.errors import FairbenchError
from fairbench.mitigation import Texts
from fairbench.mitigation.processes import Processes
from fairbench.models import checkpoint
from fairbench.models.architecture import MITIGATED
from fairbench.models.model import Model, ModelCard

if TYPE_CHECKING:
    import torch

SHORTEST = 5
"""Words that a sentence has at least, as in Meade et al. 2022."""

TOGETHER = 512
"""Sentences whose vectors are asked for at a time: lists of numbers take eight times as much memory as an array."""

_SENTENCE = re.compile(r"""\S.*?(?:[.!?…]["'”’»)\]]*(?=\s|$)|$)""")


def sentences(texts: Texts) -> Iterator[str]:
    """The sentences of a corpus of five words or more, in order, each once. A line break ends one as well."""
    seen: set[int] = set()
    for document in texts.documents():
        for line in document.splitlines():
            for found in _SENTENCE.findall(line):
                if len(found.split()) >= SHORTEST and hash(found) not in seen:
                    seen.add(hash(found))
                    yield found


def refuse_unfit(card: ModelCard, method: str) -> None:
    """Refuses a model that can't be saved with an intervention.

    Raises:
        FairbenchError: it carries one already, or code of its own.
    """
    config = checkpoint.read_config(Path(card.folder), card.name)
    if config.get("model_type") == MITIGATED:
        raise FairbenchError(
            f"{card.name} carries an intervention already ({config['intervention'].get('method')}), and a model can have one. "
            f"Apply {method} to the model that it was made of."
        )
    if "auto_map" in config:
        raise FairbenchError(
            f"{card.name} brings code of its own, which a folder with an intervention can't hold as well. {method} needs a model "
            "of an architecture that transformers has."
        )


def vectors(
    model: Model, texts: Sequence[str], pooling: str, progress: Callable[[int, int], None]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Vectors of texts from the last layer's states, special tokens among them, as the embedding probe gives them.

    Args:
        model: the loaded model.
        texts: at least one.
        pooling: "mean", "first" or "last" token.
        progress: called with (done, total).

    Returns:
        [n, width] vectors, and [len(texts)] which of the texts have one (the others are longer than the model's longest input).

    Raises:
        FairbenchError: no text has a vector.
    """
    from fairbench.models.batching import Batching
    from fairbench.probes import embedding
    from fairbench.records import Association

    options = embedding.resolve(model.card, "Association", {"pooling": pooling})
    found: list[NDArray[np.float32]] = []
    kept = np.zeros(len(texts), dtype=bool)
    for start in range(0, len(texts), TOGETHER):
        part = texts[start : start + TOGETHER]
        records = [Association(id=str(i), test="", role="", text=text) for i, text in enumerate(part)]
        answers = embedding.answer(model, records, options, Batching())
        kept[start : start + len(part)] = [answer["vector"] is not None for answer in answers]
        found.extend(np.asarray(answer["vector"], dtype=np.float32) for answer in answers if answer["vector"] is not None)
        progress(start + len(part), len(texts))
    if not found:
        raise FairbenchError(
            f"None of {len(texts)} sentences has a vector under {model.card.name}; the first one: {answers[0]['left_out']}. Give "
            "a corpus of sentences that the model can read."
        )
    return np.stack(found), kept


def first_of(found: Iterator[Any], count: int, least: int, what: str) -> list[Any]:
    """The first so many of what is found in a corpus.

    Args:
        found: what is found.
        count: how many are wanted.
        least: how many there must be.
        what: what they are and where, for the refusal: "sentences of tales.txt with words of gender".

    Raises:
        FairbenchError: there are too few.
    """
    taken = list(itertools.islice(found, count))
    refuse_few(len(taken), least, what)
    return taken


def refuse_few(count: int, least: int, what: str) -> None:
    """Refuses a number of texts from which nothing can be learnt.

    Raises:
        FairbenchError: there are fewer than `least`.
    """
    if count < least:
        raise FairbenchError(
            f"Found {count or 'no'} {what}, and fewer than {least} say too little of a direction. Give a corpus with more of "
            "them."
        )


def write(model: Model, folder: Path, intervention: Mapping[str, Any], directions: NDArray[Any] | None = None) -> None:
    """Writes a model with an intervention, and its tokenizer; of several processes only the first does.

    Args:
        model: the model without it.
        folder: an empty folder.
        intervention: as `fairbench.models.wrapped.MitigatedConfig` has it, and what else a reader should know.
        directions: [k, width] orthonormal rows of a projection.
    """
    import torch

    from fairbench.models.loading import quiet
    from fairbench.models.wrapped import wrap

    if not Processes(model.card.options.device).main:
        return
    found: torch.Tensor | None = None if directions is None else torch.as_tensor(np.ascontiguousarray(directions, np.float32))
    with quiet():
        made = wrap(model.network, model.card.kind, dict(intervention), found)
        made.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
