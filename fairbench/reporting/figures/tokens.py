"""Which words a decision hangs on: the sensitivity of a prediction, token by token under the text."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.reporting.figures.style import FAINT, INK, PALE, colour, hatch, tall, text, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPECIAL = ("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]", "<s>", "</s>", "<pad>", "<unk>", "<mask>", "<|endoftext|>")
"""Tokens that stand for no text; the probe's own answers hold none, answers from elsewhere may."""

SIZE = 9.0
"""Of the letters, points."""

CELL = 0.602 * SIZE / 72
"""Inches that a letter of DejaVu Sans Mono takes."""

LONGEST = 24
"""Letters of a token; what is longer loses its middle."""

MOST = 300
"""Tokens that are drawn."""

TEXT, BAR = 1.0, 1.0
"""Heights of the text and of a lane of bars, in lines."""


@dataclass(frozen=True)
class _Token:
    """A token on the paper: what is written, where it begins (in letters), in which line, and its two figures."""

    said: str
    x: float
    width: float
    line: int
    moved: float
    weight: float
    special: bool


def tokens(
    token_text: Sequence[str], token_sensitivity: Sequence[float | None], ax: Axes, weight: Sequence[float] | None = None
) -> Axes:
    """A text with a bar under each token: how far the prediction moves with it, and the weight that it has.

    Args:
        token_text: the tokens in the order of the text, answer column `token_text`.
        token_sensitivity: of each token, at least 0, column `token_sensitivity`; null or NaN where it was not found.
        ax: the only Axes of its figure, which gets the height that the lines need.
        weight: v of each token, at least 0, column `token_weight`: how far the token tells the protected group. Hatched bars.

    Returns:
        The Axes. A bar is as long as its figure is beside the largest one of its kind in the text, and the longest bars have
        their figures said below. Special tokens and those without a figure are grey. After 300 tokens the rest is counted only.

    Raises:
        FairbenchError: the lists are empty, differ in length, or hold a negative or infinite number.
    """
    weights = _read(token_text, token_sensitivity, weight)
    columns = max(int((ax.get_figure(root=True).get_figwidth() - 0.3) / CELL), LONGEST + 2)  # type: ignore[union-attr]
    moved = [math.nan if value is None else float(value) for value in token_sensitivity]
    placed = _placed(token_text[:MOST], moved, weights, columns)
    lanes = 1 if weight is None else 2
    height = TEXT + lanes * BAR + 0.4
    lines = placed[-1].line + 1
    tall(ax, lines * height, each=0.17, around=1.0)
    most = max((value for value in moved if math.isfinite(value)), default=0.0)
    heaviest = max(weights, default=0.0)
    for token in placed:
        _draw(ax, token, token.line * height, (most, heaviest if weight is not None else 0.0))
    ax.set_xlim(0, columns)
    ax.set_ylim(lines * height, 0)
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlabel(_key(len(token_text), most, None if weight is None else heaviest, columns))
    return titled(ax, _sentence(token_text, moved, None if weight is None else weights))


def _read(words: Sequence[str], moved: Sequence[float | None], weight: Sequence[float] | None) -> list[float]:
    """The weights, zeros where there are none; refuses lists that don't belong together."""
    lengths = {len(words), len(moved), len(words if weight is None else weight)}
    if len(lengths) != 1 or not len(words):
        raise FairbenchError(
            f"Found {len(words)} tokens, {len(moved)} sensitivities"
            + ("" if weight is None else f" and {len(weight)} weights")
            + ". Wanted one of each for every token of a text that has tokens."
        )
    figures = [value for value in moved if value is not None and not math.isnan(value)]
    weights = [0.0] * len(words) if weight is None else [float(value) for value in weight]
    odd = [value for value in (*figures, *weights) if not 0 <= value < math.inf]
    if odd:
        raise FairbenchError(f"Found {odd[0]} among the sensitivities and weights. Wanted finite numbers of at least 0.")
    return weights


def _placed(words: Sequence[str], moved: Sequence[float], weights: Sequence[float], columns: int) -> list[_Token]:
    """The tokens on their lines, a gap of half a letter between them; no line is longer than the paper is wide."""
    placed: list[_Token] = []
    x, line = 0.0, 0
    for word, far, weight in zip(words, moved, weights, strict=False):
        said = _said(word)
        width = _width(said)
        if x and x + width > columns:
            x, line = 0.0, line + 1
        placed.append(_Token(said, x, width, line, far, weight, word in SPECIAL or math.isnan(far)))
        x += width + 0.5
    return placed


def _said(word: str) -> str:
    """A token as it is written: nothing and blanks are shown by signs."""
    if word == "":
        return "∅"
    said = text(word, LONGEST, lines=1)
    return said or ("↵" if "\n" in word else "␣")


def _width(said: str) -> float:
    """Letters that a text takes; those of East Asia take two, marks upon letters none."""
    kinds = [(unicodedata.east_asian_width(letter), unicodedata.category(letter)) for letter in said]
    return sum(0.0 if kind in ("Mn", "Me", "Cf") else 2.0 if wide in "WF" else 1.0 for wide, kind in kinds)


def _draw(ax: Axes, token: _Token, top: float, largest: tuple[float, float]) -> None:
    """A token with its bars, which hang from the top of their lanes."""
    ink = FAINT if token.special else INK
    style: dict[str, Any] = {"family": ["DejaVu Sans Mono", "monospace"], "fontsize": SIZE, "ha": "left", "va": "center"}
    ax.text(token.x, top + TEXT / 2, token.said, color=ink, gid="token", **style)
    looks = (("sensitivity", token.moved, colour(0), ""), ("weight", token.weight, "white", hatch(1)))
    for lane, (gid, value, face, pattern) in enumerate(looks):
        if gid == "weight" and largest[1] == 0:
            continue
        hung = top + TEXT + lane * BAR
        ax.hlines(hung, token.x, token.x + token.width, color=PALE, linewidth=0.8)
        if not token.special and value > 0:
            high = value / largest[lane] * (BAR - 0.15)
            ax.bar(
                token.x, high, token.width, hung, align="edge", color=face, hatch=pattern,
                edgecolor=INK if pattern else face, linewidth=0.5, gid=gid,
            )  # fmt: skip


def _key(n: int, most: float, heaviest: float | None, columns: int) -> str:
    """How to read it."""
    said = [f"filled bar: how far the prediction moves with the token (longest: {most:.3g})"]
    if heaviest is not None:
        said.append(f"hatched bar: weight v of the token (longest: {heaviest:.3g})")
    said.append(f"{n} tokens" if n <= MOST else f"the first {MOST} of {n} tokens")
    return text("; ".join(said), columns)


def _sentence(words: Sequence[str], moved: Sequence[float], weights: Sequence[float] | None) -> str:
    """What is seen."""
    known = [i for i, value in enumerate(moved) if math.isfinite(value) and words[i] not in SPECIAL]
    mean = math.fsum(moved[i] for i in known) / len(known) if known else 0.0
    if not mean:
        return "The prediction moves with no token of this text"
    top = max(known, key=lambda i: moved[i])
    said = f"The prediction moves most with “{_said(words[top])}”"
    said += f" ({moved[top] / mean:.1f} times the average token)" if len(known) > 1 else ""
    whole = math.fsum(weights or ())
    if weights is None or not whole:
        return said
    heavy = max(known, key=lambda i: weights[i])
    if len({weights[i] for i in known}) == 1:
        return f"{said}; every token has the same weight" if len(known) > 1 else said
    return f"{said}; “{_said(words[heavy])}” has most weight ({100 * weights[heavy] / whole:.0f} %)"
