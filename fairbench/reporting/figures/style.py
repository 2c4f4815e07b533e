"""How figures look and how they are kept: quiet axes, safe text, colours that survive grey paper, the same bytes each time."""

from __future__ import annotations

import io
import math
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbench.errors import FairbenchError
from fairbench.files import whole_file
from fairbench.reporting.figures.inline import inlined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#000000", "#CC79A7", "#F0E442")
"""The colours of Okabe and Ito (2008), which most colour-blind readers tell apart. Neighbours differ by 12 or more in lightness
(CIE L*), so they stay apart in grey."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Shapes that stand beside the colours."""

HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "+++", "ooo")
"""Patterns of areas that stand beside the colours."""

INK, FAINT, PALE = "#222222", "#6B6B6B", "#D9D9D9"
"""Text and lines; what is said in passing (5.3 : 1 on white); grids."""

KINDS = (".svg", ".png", ".pdf")
"""Files that a figure can be kept as."""

DPI = 200
"""Of PNG files."""

TALLEST = 60.0
"""Inches that a figure may be high: beyond it a table serves better."""

LOOK: Mapping[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],  # Verdana is as wide: for pages, on machines without DejaVu
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    **dict.fromkeys(("axes.labelsize", "legend.fontsize"), 9.0),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), 8.5),
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "text.parse_math", "text.usetex"), False),
    **dict.fromkeys(("axes.grid", "axes.axisbelow"), True),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "white"),
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "grid.color": PALE,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "fairbench",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}
"""Settings of matplotlib under which figures are drawn and kept, whatever the user's own file says."""


@contextmanager
def drawn(width: float, height: float) -> Iterator[Axes]:
    """A sheet of paper of its own: one Axes in the look of the house, without the state of pyplot.

    Args:
        width: of the figure, inches.
        height: of the figure, inches; some figures change it to what their rows need.

    Yields:
        An Axes to give to one of the figures; keep it with `save` or `svg`, inside the block or after it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with _look():
        # Room at the edges: letters are a little wider at other resolutions and in other fonts of a page.
        figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06))
        FigureCanvasAgg(figure)
        yield figure.add_subplot()


@contextmanager
def _look(**more: Any) -> Iterator[None]:
    """The look of the house; a letter that the font lacks is drawn as a box, and no reason to complain."""
    import matplotlib as mpl
    from matplotlib.rcsetup import cycler

    settings: Any = {**LOOK, "axes.prop_cycle": cycler(color=COLOURS), **more}
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        warnings.filterwarnings("ignore", message=r".*does not support .* natively", category=UserWarning)
        yield


def save(ax: Axes, path: Path | str) -> None:
    """Keeps the figure of an Axes; the same figure gives the same bytes.

    Args:
        ax: what was drawn.
        path: ends in .svg, .png or .pdf. In all of them letters are drawn or the font lies inside: they look alike everywhere.

    Raises:
        FairbenchError: another ending.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise FairbenchError(f"{path} ends in {kind or 'nothing'}. Figures are kept as {', '.join(KINDS)}: give one of these.")
    nobody = {".svg": ("Date", "Creator"), ".png": ("Software",), ".pdf": ("CreationDate", "Creator", "Producer")}[kind]
    with _look(), whole_file(path) as file:
        _printed(_settled(ax), file, kind, dict.fromkeys(nobody))


def svg(ax: Axes) -> str:
    """The figure of an Axes as an <svg> element to be put into an HTML page.

    Letters stay text, so they can be searched and read out. There is no prolog, no style sheet and no address but that of the
    SVG language itself; ids begin with a digest of the drawing, so that several can stand in one page. It is as wide as its
    surroundings, at most as drawn.

    Returns:
        The element; the same figure gives the same text.
    """
    kept = io.StringIO()
    with _look(**{"svg.fonttype": "none"}):
        _printed(_settled(ax), kept, ".svg", {"Date": None, "Creator": None})
    return inlined(kept.getvalue())


def sheet(ax: Axes) -> Figure:
    """The whole figure that an Axes stands in."""
    from matplotlib.figure import Figure

    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def _printed(figure: Figure, file: Any, kind: str, metadata: Mapping[str, Any]) -> None:
    """Writes a figure whose layout is settled. `savefig` would draw it twice, the first time to see how large it is."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    dpi, canvas = figure.dpi, figure.canvas
    try:
        if kind == ".png":
            figure.set_dpi(DPI)
            FigureCanvasAgg(figure).print_png(file, metadata=metadata)  # type: ignore[no-untyped-call]
        elif kind == ".pdf":
            FigureCanvasPdf(figure).print_pdf(file, metadata=metadata)  # type: ignore[no-untyped-call]
        else:
            FigureCanvasSVG(figure).print_svg(file, metadata=metadata)  # type: ignore[no-untyped-call]
    finally:
        figure.set_dpi(dpi)
        figure.set_canvas(canvas)


def _settled(ax: Axes) -> Figure:
    """The figure with its layout fixed for good: laid out anew at each drawing it would creep by parts of a point."""
    figure = sheet(ax)
    engine = figure.get_layout_engine()
    if engine is not None:
        for _ in range(2):  # the second pass starts from what the first one placed
            engine.execute(figure)
        figure.set_layout_engine("none")
    return figure


def colour(i: int) -> str:
    """The i-th colour; after the last they begin again."""
    return COLOURS[i % len(COLOURS)]


def marker(i: int) -> str:
    """The i-th marker. It moves on by one with every round of the colours, so that no pair of both comes back for 64."""
    return MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]


def hatch(i: int) -> str:
    """The i-th hatch; it moves on like the markers."""
    return HATCHES[(i + i // len(COLOURS)) % len(HATCHES)]


def text(value: object, width: int = 40, lines: int = 3) -> str:
    r"""Any text, made safe and short enough to be drawn: names of models, groups and words come from anywhere.

    Args:
        value: what to write.
        width: letters a line; a longer word loses its middle.
        lines: how many there may be, the last ends in an ellipsis where more follows; a single line loses its middle.

    Returns:
        Lines joined by "\n", without control characters and without marks that turn the direction of writing round. "$" is kept
        as it is: drawn text is no mathematics under this look (`drawn`, `titled`).

    Example:
        >>> text("a\x00b \u202ec" + "d" * 100, width=12)
        'ab cddddd…dd'
    """
    whole = " ".join("".join(_letters(str(value))).split())
    if any(unicodedata.east_asian_width(letter) in "WF" for letter in whole):
        width = max(width // 2, 4)  # such letters are twice as wide
    if lines == 1:
        return whole if len(whole) <= width else _cut(whole, width)
    words = [word if len(word) <= width else _cut(word, width) for word in whole.split(" ")]
    wrapped = textwrap.wrap(" ".join(words), width, max_lines=lines, placeholder=" …", break_on_hyphens=False)
    return "\n".join(wrapped)


def _letters(value: str) -> Iterator[str]:
    """The letters that can be drawn; of marks that are piled on one letter the first two."""
    piled = 0
    for letter in value:
        kind = unicodedata.category(letter)
        piled = piled + 1 if kind in ("Mn", "Me") else 0
        if letter in "\t\n\r\v\f\u2028\u2029":
            yield " "
        elif (kind[0] != "C" or letter in "\u200c\u200d") and piled <= 2:  # the joiners are letters of several scripts
            yield letter


def _cut(word: str, width: int) -> str:
    """A long word without its middle: names of models differ at either end."""
    tail = max(width // 3 - 1, 1)
    return f"{word[: width - tail - 1]}…{word[-tail:]}"


def ideal_line(ax: Axes, value: float, *, horizontal: bool = False, label: str = "ideal", side: str = "center") -> None:
    """The dashed line of the ideal, labelled at its end.

    Args:
        ax: where.
        value: the ideal, in data; nothing is drawn where it is not finite.
        horizontal: where values go up; else the line stands upright.
        label: how it is called; its value is written beside it.
        side: of an upright line, where its label stands: center, left or right of it.
    """
    if not math.isfinite(value):
        return
    (ax.axhline if horizontal else ax.axvline)(value, color=INK, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1.5, gid="ideal")
    said = text(f"{label} {value:.4g}")
    if horizontal:
        at, off, coords, around = (1.0, value), (4, 0), ("axes fraction", "data"), {"va": "center"}
    else:
        ha, across = {"center": ("center", 0), "left": ("right", -3), "right": ("left", 3)}[side]
        at, off, coords, around = (value, 1.0), (across, 3), ("data", "axes fraction"), {"ha": ha}
    options: dict[str, Any] = {**around, "fontsize": 8, "annotation_clip": False}
    ax.annotate(said, at, off, xycoords=coords, textcoords="offset points", **options)


def tall(ax: Axes, rows: float, *, each: float = 0.3, around: float = 1.2) -> None:
    """Gives the figure the height that its rows need.

    Args:
        ax: the only Axes of its figure; in a figure of several the height is left alone.
        rows: how many there are.
        each: inches a row.
        around: inches for the title and the axis.
    """
    if alone(ax):
        sheet(ax).set_figheight(min(around + each * max(rows, 1), TALLEST))


def alone(ax: Axes) -> bool:
    """Whether the figure has no other Axes, but for the bar that explains its colours."""
    return all(one is ax or one.get_label() == "<colorbar>" for one in sheet(ax).axes)


def titled(ax: Axes, sentence: str) -> Axes:
    """Sets the sentence that says what is seen, as wide as the figure, and sees to it that no text is read as mathematics.

    To be called last: it looks at every text that was drawn.

    Returns:
        The Axes; `ax.get_title(loc="left")` is the sentence in lines.
    """
    from matplotlib.text import Text
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    figure = sheet(ax)
    letters = max(int(figure.get_figwidth() * 11), 24)  # a bold letter of 10 points takes a little under 1/11 inch
    title = ax.set_title(text(sentence, letters, lines=4), loc="left")
    if alone(ax):  # from the left edge of the paper: beside long labels there is little room
        raised = ScaledTranslation(0, 16 / 72, figure.dpi_scale_trans)  # above the label of an ideal
        title.set_transform(blended_transform_factory(figure.transFigure, ax.transAxes) + raised)
        title.set_x(0.01)
    for one in figure.findobj(Text):
        assert isinstance(one, Text)
        one.set_parse_math(False)
    return ax
