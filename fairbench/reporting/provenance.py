"""Where numbers come from: what many results share (a task's data, a probe's options, versions) is said once and referred to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairbench.scores import jsonable

SHARED = {
    "task": "Tasks and their data",
    "probe": "Probes and their options",
    "judges": "Judges",
    "program": "Programs and versions",
}
"""What results share, and what the page calls it."""

OF_A_PROGRAM = ("versions", "platform", "engine", "measure")
"""Parts of a result's `run` that are the same for all that one run measured."""


@dataclass(frozen=True)
class Block:
    """What some results share.

    Attributes:
        kind: one of SHARED.
        anchor: where the page has it ("probe-3").
        name: in words.
        lines: (what, value).
        files: the result files that it is true of.
    """

    kind: str
    anchor: str
    name: str
    lines: tuple[tuple[str, str], ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Provenance:
    """What all results share, and of each file which blocks and which lines of its own it has."""

    blocks: tuple[Block, ...]
    own: Mapping[str, tuple[tuple[str, str], ...]]

    @property
    def by_file(self) -> Mapping[str, tuple[Block, ...]]:
        """The blocks of each result."""
        found: dict[str, list[Block]] = {}
        for block in self.blocks:
            for file in block.files:
                found.setdefault(file, []).append(block)
        return {file: tuple(blocks) for file, blocks in found.items()}


def provenance(results: Mapping[str, Mapping[str, Any]]) -> Provenance:
    """Sorts what results say of their making into what they share and what is their own.

    Args:
        results: of each file the `task probe judges run` blocks of its result.
    """
    shared: dict[str, dict[str, tuple[Any, list[str]]]] = {kind: {} for kind in SHARED}
    own = {}
    for file, result in results.items():
        run = result.get("run") or {}
        program = {key: run[key] for key in OF_A_PROGRAM if run.get(key)}
        parts = {"task": result.get("task"), "probe": result.get("probe"), "judges": result.get("judges"), "program": program}
        for kind, content in parts.items():
            if content:
                key = json.dumps(jsonable(content), sort_keys=True, default=str)
                shared[kind].setdefault(key, (content, []))[1].append(file)
        own[file] = (("file", file), *flat({key: value for key, value in run.items() if key not in OF_A_PROGRAM}))
    return Provenance(tuple(_blocks(shared)), own)


def _blocks(shared: Mapping[str, Mapping[str, tuple[Any, list[str]]]]) -> Iterator[Block]:
    for kind, contents in shared.items():
        names = list(_told_apart([_name(kind, content) for content, _ in contents.values()]))
        for at, (content, files) in enumerate(contents.values(), 1):
            lines = tuple(flat(content if isinstance(content, Mapping) else {"": content}))
            yield Block(kind, f"{kind}-{at}", names[at - 1], lines, tuple(files))


def _told_apart(names: Sequence[str]) -> Iterator[str]:
    """The names; those that several blocks have get a number."""
    for at, name in enumerate(names):
        several = names.count(name)
        yield name if several == 1 else f"{name}, number {names[:at].count(name) + 1} of {several}"


def _name(kind: str, content: Any) -> str:
    """What a block is called."""
    if kind == "judges":
        return ", ".join(dict.fromkeys(str(one.get("name", "judge")) for one in content))
    if kind == "program":
        fairbench = (content.get("versions") or {}).get("fairbench")
        return f"fairbench {fairbench}" if fairbench else "program"
    version = f" version {content['version']}" if content.get("version") is not None else ""
    return f"{content.get('name', kind)}{version}"


def about(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a report says of itself, a line each: ("versions numpy", "2.0 (61 results)").

    Args:
        content: a report's `about`; its `versions` say of each package how many results were made with which version.
    """
    versions = content.get("versions") or {}
    yield from flat({key: value for key, value in content.items() if key != "versions"})
    for package, counts in versions.items():
        several = (f"{version} ({count} {'result' if count == 1 else 'results'})" for version, count in counts.items())
        yield f"versions {package}", ", ".join(several)


def flat(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """What nested mappings say, a line each: ("data revision", "4f2a..."). What is null or empty is left out."""
    for key, value in content.items():
        name = f"{above} {str(key).replace('_', ' ')}".strip()
        if isinstance(value, Mapping):
            yield from flat(value, name)
        elif isinstance(value, (list, tuple)):
            for one in value:
                if isinstance(one, Mapping):
                    yield from flat(one, f"{name} {one.get('name', '')}".strip())
            if plain := [str(one) for one in value if not isinstance(one, Mapping)]:
                yield name, ", ".join(plain)
        elif value is not None and value != "":
            yield name, str(value).lower() if isinstance(value, bool) else str(value)
