"""A page as a parser sees it."""

from __future__ import annotations

from html.parser import HTMLParser


class Read(HTMLParser):
    """A page as a parser sees it.

    Attributes:
        tags: (name, attributes) of every element, in order.
        texts: the visible text below each element that has an id, by id.
        faults: end tags that close nothing, and elements that are left open.
        scripts, styles: contents of these elements.
    """

    VOID = frozenset(("meta", "input", "br", "img", "wbr", "link", "hr"))

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {"": ""}
        self.faults: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._open: list[tuple[str, str | None]] = []
        self.feed(page)
        self.close()
        self.faults += [f"<{name}> is left open" for name, _ in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append((tag, dict(attrs).get("id")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.faults.append(f"</{tag}> closes {self._open[-1:]}")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        inside = self._open[-1][0] if self._open else ""
        if inside in ("script", "style"):
            (self.scripts if inside == "script" else self.styles).append(data)
            return
        self.texts[""] += data
        for _, name in self._open:
            if name:
                self.texts[name] = self.texts.get(name, "") + data

    def elements(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of every element of this name."""
        return [attributes for tag, attributes in self.tags if tag == name]
