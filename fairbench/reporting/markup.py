"""What may stand in a page: text of any origin, drawings that can do nothing; and the policy that forbids the rest."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup, escape

from fairbench.errors import FairbenchError

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"

LONGEST_NAME = 64
"""Names of more characters are cut in their middle; the whole name stands where the model is described."""

_SHAPES = ("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "textPath", "image")
_PAINTS = ("clipPath", "mask", "pattern", "marker", "linearGradient", "radialGradient", "stop", "style")
DRAWN = frozenset(("svg", "g", "defs", "use", "symbol", "title", "desc", *_SHAPES, *_PAINTS))
"""Elements that a drawing may have: none of them runs anything."""

_ORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Signs that are not seen and move the text around them."""

_JOINTS = re.compile(r"([_/@,=:])(?=.)")
_LOCAL = re.compile(r"#[^\s\"'()<>]*|data:image/(png|jpeg);base64,[A-Za-z0-9+/=\s]*")
_REACHES = re.compile(r"url\(\s*['\"]?(?!#)|@import|expression\(|javascript:", re.IGNORECASE)


def shown(value: Any) -> Any:
    """Text as it may stand in a page: signs that can't be seen are named, so that no text hides or turns round what is beside it.

    Args:
        value: any value that a template writes out; markup of ours is left alone.

    Returns:
        The text without control signs; null is an empty text.

    Example:
        >>> shown("a" + chr(0) + chr(0x202E) + "b")
        'a[U+0000][U+202E]b'
    """
    if isinstance(value, Markup):
        return value
    text = "" if value is None else str(value)
    return text if text.isascii() and text.isprintable() else "".join(map(_sign, text))


def _sign(sign: str) -> str:
    code = ord(sign)
    nothing = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF  # code points that are no characters in HTML either
    hidden = sign in _ORDERING or nothing or unicodedata.category(sign) in ("Cc", "Cs")
    return f"[U+{code:04X}]" if hidden and sign not in "\n\t" else sign


def named(name: str, longest: int = LONGEST_NAME) -> str:
    """A name as it stands in a table: one that is too long is cut in its middle, where names differ least."""
    text = str(shown(name))
    if len(text) <= longest:
        return text
    end = longest // 4
    return f"{text[: longest - end - 1]}…{text[-end:]}"


def breakable(name: str, longest: int = LONGEST_NAME) -> Markup:
    """The same, escaped, with places where a line may end: names are joined by signs at which browsers break no line."""
    return Markup(_JOINTS.sub(r"\1<wbr>", str(escape(named(name, longest)))))  # escaped before


def drawing(name: str, svg: str, described: str) -> Markup:
    """A drawing for the page.

    Args:
        name: of the figure, for messages.
        svg: the drawing.
        described: what a person who can't see it needs to know.

    Returns:
        The same drawing, written anew from its parsed tree, so that a browser sees what was checked.

    Raises:
        FairbenchError: it is no SVG, or holds something that could run, or load something from elsewhere.
    """
    if "<!ENTITY" in svg:
        raise _refused(name, "it declares entities")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise _refused(name, f"it can't be parsed ({error})") from None
    if root.tag != f"{{{SVG}}}svg":
        raise _refused(name, f"it begins with {root.tag!r}")
    _without_metadata(root)
    for element in root.iter():
        _check(name, element)
    for key, value in {"role": "img", "aria-label": str(shown(described)), "focusable": "false"}.items():
        root.set(key, value)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # written from a tree that was checked


def _without_metadata(root: ElementTree.Element) -> None:
    """Drops what a drawing says of its own making: nobody sees it."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{SVG}}}metadata":
                parent.remove(child)


def _check(name: str, element: ElementTree.Element) -> None:
    """Refuses an element that could run something or load it from elsewhere."""
    tag = str(element.tag).removeprefix(f"{{{SVG}}}")
    if tag not in DRAWN:
        raise _refused(name, f"it has an element {tag[:80]!r}")
    for key, value in element.attrib.items():
        plain = key.rpartition("}")[2]
        if plain.lower().startswith("on"):
            raise _refused(name, f"it has an attribute {plain[:80]!r}")
        if plain in ("href", "src") and not _LOCAL.fullmatch(value.strip()):
            raise _refused(name, f"it refers to {value[:80]!r}")
        if plain not in ("aria-label", "id") and _REACHES.search(value):
            raise _refused(name, f"its attribute {plain[:80]!r} refers to {value[:80]!r}")
    if tag == "style" and _REACHES.search(element.text or ""):
        raise _refused(name, "its style refers to another address")


def _refused(name: str, what: str) -> FairbenchError:
    wanted = "Wanted an SVG of shapes and text that refers to nothing outside itself; draw it with `fairbench.reporting.figures`."
    return FairbenchError(f"The drawing of figure {name[:200]!r} can't stand in a page: {what}. {wanted}")


def policy(script: str) -> str:
    """The content security policy of a page with this one script: nothing else runs, and nothing is loaded."""
    seen = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{seen}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
