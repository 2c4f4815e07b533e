"""Texts written side by side by transformers' own loop, which asks here at each step which token a text takes and if it ends.

What a checkpoint would do beside (repetition penalties, forced tokens, a temperature of its own) is kept out. Texts that have
ended leave the batch when they make up half of it. Whether a network writes the same beside shorter and longer texts as alone,
and after others have left, is tried before it is relied on.
"""

from __future__ import annotations

import contextlib
import inspect
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairbench.models.batching import forget_lengths, heeds_length, padding_id
from fairbench.models.heads import agree, fused_activations, largest_error, trial_ids
from fairbench.models.loading import quiet

if TYPE_CHECKING:
    import torch

    from fairbench.models.model import Model

STEPS = 4
"""Tokens that a trial writes."""

LIKELY = 16
"""The likeliest tokens are compared in a trial: what the others get is drawn too seldom to matter."""


@dataclass
class Line:
    """A text that is being written: `prompt` ids, the ids `written` so far, and whether it has ended."""

    prompt: tuple[int, ...]
    written: list[int] = field(default_factory=list)
    ended: bool = False


@dataclass(frozen=True)
class Way:
    """How one network may be asked.

    Attributes:
        rows: "left padded": prompts of any lengths go together; "equal lengths": of one length only; "one at a time".
        leaves: texts that have ended may leave a batch.
    """

    rows: str
    leaves: bool

    def describe(self) -> dict[str, str]:
        """For the result file."""
        return {"rows": self.rows, "ended rows": "leave the batch" if self.leaves else "stay to the batch's end"}


Choose = Callable[[Sequence[Any], "torch.Tensor"], "torch.Tensor"]
"""The next token [N] of each line, from the logits [N, V] after it."""

Ends = Callable[[Any], bool]
"""Whether a line ends with the token that it has just got."""


def write(model: Model, lines: Sequence[Line], most: int, asked: tuple[Choose, Ends], leaves: bool) -> None:
    """Writes lines on, side by side, until each has ended or has `most` new tokens.

    Args:
        model: a causal model.
        lines: with at least one token in each prompt; what is written is put into them.
        most: new tokens a line.
        asked: which token a line takes, and whether it ends with it.
        leaves: lines that have ended leave the batch.
    """
    import torch

    width = max(len(line.prompt) for line in lines)
    fill = padding_id(model)
    rows = [[fill] * (width - len(line.prompt)) + list(line.prompt) for line in lines]
    ids = torch.tensor(rows, device=model.device)
    mask = torch.tensor([[int(i >= width - len(line.prompt)) for i in range(width)] for line in lines], device=model.device)
    fed, kept = list(lines), None
    forget_lengths(model.network)
    with torch.inference_mode(), quiet(), _habits_aside(model.network), fused_activations(model.network):
        while fed:
            step = _Step(fed, width, asked, leaves)
            found = _turn(model.network, {"input_ids": ids, "attention_mask": mask, **(kept or {})}, width + most, step)
            ids = found.sequences
            stay = [i for i, line in enumerate(fed) if not line.ended]
            if not stay or ids.shape[1] >= width + most:
                break
            index = torch.tensor(stay, device=ids.device)
            mask = torch.cat([mask, mask.new_ones(len(mask), ids.shape[1] - mask.shape[1])], dim=1)[index]
            ids, fed = ids[index], [fed[i] for i in stay]
            found.past_key_values.batch_select_indices(index)
            kept = {_cache_name(model.network): found.past_key_values}


def _turn(network: Any, inputs: dict[str, torch.Tensor], longest: int, step: _Step) -> Any:
    """The loop of transformers from where it stands up to `longest` tokens, or until no line that is fed goes on."""
    from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

    if "attention_mask" not in inspect.signature(network.forward).parameters:
        del inputs["attention_mask"]
    most = longest - inputs["input_ids"].shape[1]
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=most, do_sample=False, return_dict_in_generate=True, disable_compile=True
    )
    processors, criteria = LogitsProcessorList([_Chooser(step)]), StoppingCriteriaList([_Watch(step)])
    return network.generate(**inputs, generation_config=config, logits_processor=processors, stopping_criteria=criteria)


@dataclass
class _Step:
    """What both of the loop's questions need to know."""

    lines: list[Any]
    width: int
    asked: tuple[Choose, Ends]
    leaves: bool

    def going(self, input_ids: torch.Tensor) -> list[int]:
        """Which lines have not ended, with what is written in them brought up to date: a loop may take its last step back."""
        found = [i for i, line in enumerate(self.lines) if not line.ended]
        written = input_ids[:, self.width :].tolist()
        for i in found:
            self.lines[i].written = written[i]
        return found


@dataclass
class _Chooser:
    """Leaves of all logits only that of the chosen token, which the loop then finds to be the largest."""

    step: _Step

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        going = self.step.going(input_ids)
        logits = scores if len(going) == len(scores) else scores[going]
        tokens = self.step.asked[0]([self.step.lines[i] for i in going], logits)
        scores.fill_(-float("inf"))
        scores[:, 0] = 0  # what is written after an end is seen by nobody
        scores[going, 0] = -float("inf")
        scores[going, tokens] = 0
        return scores


@dataclass
class _Watch:
    """Asks of each line whether it ends with its new token, and ends the loop when enough of them have."""

    step: _Step

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        import torch

        lines = self.step.lines
        going = self.step.going(input_ids)
        for i in going:
            lines[i].ended = self.step.asked[1](lines[i])
        left = sum(not lines[i].ended for i in going)
        over = 2 * left <= len(lines) if self.step.leaves else left == 0
        return torch.full((len(input_ids),), over, device=input_ids.device)


@contextlib.contextmanager
def _habits_aside(network: Any) -> Iterator[None]:
    """Hides how the checkpoint would decode: `generate` takes up all of it that a request leaves open."""
    from transformers import GenerationConfig

    kept = network.generation_config
    network.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        network.generation_config = kept


def _cache_name(network: Any) -> str:
    """What the network calls its cache: state-space models have a name of their own."""
    return "cache_params" if "cache_params" in inspect.signature(network.forward).parameters else "past_key_values"


_WAYS: weakref.WeakKeyDictionary[Any, Way] = weakref.WeakKeyDictionary()


def way_of(model: Model) -> Way:
    """How this network may be asked; found by trial on first use."""
    if model.network not in _WAYS:
        _WAYS[model.network] = _try(model)
    return _WAYS[model.network]


@dataclass
class _Told(Line):
    """A line whose tokens are given, and the log-probabilities [V] that the network had at each of them."""

    tokens: list[int] = field(default_factory=list)
    seen: dict[int, NDArray[np.float64]] = field(default_factory=dict)


def _try(model: Model) -> Way:
    """Compares texts written alone with the same beside others: of their own length, then of other lengths, then leaving."""
    ids, dtype = trial_ids(model), model.network.dtype
    longest = max((model.card.max_length or 2 * len(ids)) - STEPS, 1)
    texts = [(ids[n : n + min(n, longest)], ids[-n - STEPS : -n]) for n in (2, 5, 11, 24)]
    alone = [_told(model, [text])[0] for text in texts]
    others = [_told(model, [(p, t), (p[::-1], t), (p[1:] + p[:1], t)])[0] for p, t in texts]
    noise = np.concatenate([_apart(a, b) for a, b in zip(others, alone, strict=True)])
    if not noise.max() <= largest_error(dtype):
        return Way("one at a time", leaves=False)

    def same(found: list[NDArray[np.float64]], wanted: list[NDArray[np.float64]]) -> bool:
        # No more than the noise in narrow dtypes either: where there is none, as on most processors, a text stays the same
        # whatever its neighbours, and the rounding of another kernel for padded texts would end that.
        return agree(np.concatenate([_apart(a, b) for a, b in zip(found, wanted, strict=True)]), noise, dtype)

    padded = not heeds_length(model.network) and _holds(lambda: same(_told(model, texts), alone))
    beside = texts[::2] if padded else [(p[::-1], t) for p, t in [texts[1]] * 2]
    leaving = [(p, t[:n]) for n, (p, t) in enumerate(beside, 1)]
    leaves = _holds(lambda: same(_told(model, [texts[1], *leaving], leaves=True)[:1], alone[1:2]))
    return Way("left padded" if padded else "equal lengths", leaves)


def _told(model: Model, texts: Sequence[tuple[list[int], list[int]]], leaves: bool = False) -> list[NDArray[np.float64]]:
    """The log-probabilities [tokens, V] along given texts, each a prompt and what is written after it, side by side."""
    import torch

    def choose(lines: Sequence[_Told], logits: torch.Tensor) -> torch.Tensor:
        for line, row in zip(lines, logits.log_softmax(-1).cpu().double().numpy(), strict=True):
            line.seen[len(line.written)] = row
        return torch.tensor([line.tokens[len(line.written)] for line in lines], device=logits.device)

    lines = [_Told(tuple(prompt), tokens=tokens) for prompt, tokens in texts]
    write(model, lines, STEPS, (choose, lambda line: len(line.written) >= len(line.tokens)), leaves)
    return [np.stack([line.seen[n] for n in range(len(line.tokens))]) for line in lines]


def _apart(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the log-probabilities of the likeliest tokens lie apart, flat."""
    likely = np.argsort(-wanted, axis=-1)[:, :LIKELY]
    a, b = (np.take_along_axis(x, likely, axis=-1) for x in (found, wanted))
    return np.where(a == b, 0.0, a - b).ravel()  # both may be minus infinity


def _holds(test: Callable[[], bool]) -> bool:
    """Whatever an architecture raises at what it does not know, there is a plainer way."""
    try:
        return test()
    except Exception:
        return False
