"""Drawings as parts of a web page: several can stand in one page, and none reaches outside of it."""

from __future__ import annotations

import hashlib
import re
from xml.etree import ElementTree


def inlined(drawing: str) -> str:
    """An SVG document as an element of a page, without prolog, style sheet and description.

    The document is parsed, not searched: a label may hold what looks like an id.

    Args:
        drawing: the document as matplotlib writes it.

    Returns:
        The element. Its ids begin with a digest of the drawing; it is as wide as its surroundings, at most as drawn.
    """
    root, prefix = ElementTree.fromstring(drawing), f"f{hashlib.sha256(drawing.encode()).hexdigest()[:10]}"
    for holder in root.iter():
        for part in [one for one in holder if _plain(one.tag) in ("metadata", "style")]:
            holder.remove(part)
    for element in root.iter():
        element.tag = _plain(element.tag)
        element.attrib = {_attribute(name): _own(_plain(name), value, prefix) for name, value in element.attrib.items()}
    width = float(root.attrib.pop("width").removesuffix("pt"))
    root.attrib.pop("height")
    # The lines that matplotlib's style sheet would give to everything in the page are given to this drawing alone.
    look = f"stroke-linejoin: round; stroke-linecap: butt; max-width: {width:g}pt; height: auto"
    root.attrib |= {"xmlns": "http://www.w3.org/2000/svg", "id": prefix, "width": "100%", "style": look}
    return ElementTree.tostring(root, encoding="unicode")


def _plain(name: str) -> str:
    """A name without its name space: inside a page these are not needed."""
    return name.rpartition("}")[2]


def _attribute(name: str) -> str:
    """Name of an attribute: those of XML itself (xml:space) keep their name space."""
    return name if name.startswith("{http://www.w3.org/XML/1998/namespace}") else _plain(name)


def _own(name: str, value: str, prefix: str) -> str:
    """An attribute whose ids, and references to ids, are those of this drawing alone."""
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href" and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    return re.sub(r"url\(#([^)]*)\)", rf"url(#{prefix}-\1)", value)
