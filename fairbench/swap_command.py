"""`fairbench swap`: role reversal of a text, a line in, a line out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from fairbench.errors import FairbenchError

if TYPE_CHECKING:
    from fairbench.counterfactual.swapping import Reversed, Swap

STANDARD = "-"
"""What stands for standard input in a file's place."""


def swap(
    file: Annotated[str, typer.Argument(help="A text file in UTF-8, or - for standard input.")],
    attribute: Annotated[str, typer.Option(help="gender, race or religion.")] = "gender",
    names: Annotated[
        bool | None, typer.Option("--names/--no-names", help="First names too (for gender, where it is the default).")
    ] = None,
    keep_full_names: Annotated[
        bool, typer.Option("--keep-full-names", help="Leave a first name before a surname as it is, through the whole line.")
    ] = False,
    protect: Annotated[
        list[str] | None, typer.Option(help="A name or phrase that stays as it is, written so; may repeat.")
    ] = None,
    output_path: Annotated[Path | None, typer.Option("--output-path", help="A file for the result; else it is printed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line: the text, and what was changed where.")] = False,
) -> None:
    """Swap the groups of an attribute in a text, a line in, a line out."""
    from fairbench.counterfactual.swapping import Swap

    swapping = Swap(
        attribute,
        names=attribute == "gender" if names is None else names,
        keep_full_names=keep_full_names,
        protected=tuple(protect or ()),
    )
    if output_path is not None and output_path.exists() and file != STANDARD and output_path.samefile(file):
        raise FairbenchError(f"--output-path {output_path}: that is the text itself, which would be lost. Give another file.")
    try:
        with _lines(file) as lines, _output(output_path) as out:
            for line in _swapped(lines, swapping, file, as_json):
                out.write(line)
            out.flush()
    except BrokenPipeError:  # whoever read our output has enough (head): nothing to say, and nothing left to flush at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _lines(file: str) -> Iterator[BinaryIO]:
    """The text's bytes, so that every line keeps its own end."""
    if file == STANDARD:
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise FairbenchError(
                f"{file}: this file can't be read ({error.strerror}). Wanted a text file in UTF-8, or - for standard input."
            ) from None
        yield opened


@contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    """Where lines go: standard output, or a file that is written whole or not at all."""
    from fairbench.files import whole_file

    if path is None:
        yield sys.stdout.buffer
        return
    if path.is_dir():
        raise FairbenchError(f"--output-path {path}: there is a folder of that name. Wanted a file.")
    try:
        with whole_file(path) as temporary, temporary.open("wb") as writer:
            yield writer
    except OSError as error:
        raise FairbenchError(f"--output-path {path}: nothing can be written there ({error.strerror}). Choose another.") from None


def _swapped(lines: BinaryIO, swapping: Swap, file: str, as_json: bool) -> Iterator[bytes]:
    """Every line swapped, with its end."""
    for number, line in enumerate(lines, 1):
        try:
            written = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FairbenchError(
                f"{file}, line {number}: found a byte that is no UTF-8 text (0x{line[error.start]:02x}). Wanted a text file in "
                "UTF-8; convert it first (iconv -f latin1 -t utf-8)."
            ) from None
        text = written.rstrip("\r\n")
        found = swapping.swap(text)
        end = written[len(text) :]
        yield (_as_json(text, found) + (end or "\n") if as_json else found.text + end).encode()


def _as_json(text: str, found: Reversed) -> str:
    changes = [
        {"from": text[slice(*old)], "to": found.text[slice(*new)], "original": old, "swapped": new}
        for old, new in found.alignment
    ]
    return json.dumps({"text": found.text, "changes": changes}, ensure_ascii=False)
