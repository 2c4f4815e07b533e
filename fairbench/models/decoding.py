"""What text a model is to write, and what it wrote: the same for a model in this process and for one behind a server."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fairbench.errors import FairbenchError

Finish = Literal["end", "stop", "length"]
"""Why a text ends: the model ended it, a stop rule did, or there was no more room."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How the next token is chosen, and when a text ends. All of it stands in the result and in the answers' hash.

    Attributes:
        sample: draw from the probabilities; else the likeliest token every time (greedy; the next three are then not looked at).
        temperature: divides the logits before anything else, above 0.
        top_k: only so many of the likeliest tokens; 0 for all.
        top_p: then only the likeliest tokens that together hold this share of the probability (nucleus); 1 for all.
        max_new_tokens: the length at most.
        stop: a text ends before the first of these strings, which is no part of it.
        sentence: it also ends after its first sentence.
        seed: of all that is drawn, together with the key of each text.
    """

    sample: bool = True
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    max_new_tokens: int = 20
    stop: tuple[str, ...] = ()
    sentence: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises FairbenchError where a value can't be meant."""
        for name, wanted, good in (
            ("temperature", "a number above 0 (for the likeliest token every time: greedy)", 0 < self.temperature < math.inf),
            ("top_k", "a whole number above 0, or 0 for all tokens", self.top_k >= 0),
            ("top_p", "a share above 0 and at most 1", 0 < self.top_p <= 1),
            ("max_new_tokens", "a whole number above 0", self.max_new_tokens >= 1),
            ("stop", "texts that are not empty", all(self.stop)),
        ):
            if not good:
                raise FairbenchError(f"The option {name} is {getattr(self, name)!r}; wanted {wanted}.")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "stop": list(self.stop)}


@dataclass(frozen=True)
class Wish:
    """A text to be continued.

    Attributes:
        prompt: the text; under a chat template the user's message.
        key: names this continuation among all of a run (record id and sample). What is drawn for it follows from the key and the
            seed alone, never from its neighbours in a batch.
    """

    prompt: str
    key: str


@dataclass(frozen=True)
class Written:
    """What was written after a prompt.

    Attributes:
        text: the continuation alone, cut where a stop rule says so.
        tokens: how many it took, those that were cut off with it but not the one that ends it; null where a server does not say.
        finish: why it ends.
    """

    text: str
    tokens: int | None
    finish: Finish
