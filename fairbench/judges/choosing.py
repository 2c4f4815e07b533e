"""Options of judges as they come from the command line: text that is read and checked in one way for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean


def one_of(judge: str, options: Mapping[str, Any], name: str, known: Sequence[str]) -> str:
    """An option that is one of a few words.

    Raises:
        FairbenchError: it is none of them.
    """
    value = str(options[name])
    if value not in known:
        raise FairbenchError(
            f"The option {name} of the judge {judge} is {value!r}.{did_you_mean(value, known)} Wanted {' or '.join(known)}."
        )
    return value


def whole_number(judge: str, options: Mapping[str, Any], name: str, *, at_least: int) -> int:
    """An option that is a whole number.

    Raises:
        FairbenchError: it is none, or too small.
    """
    try:
        value = int(str(options[name]))
    except ValueError:
        value = at_least - 1
    if value < at_least:
        raise FairbenchError(
            f"The option {name} of the judge {judge} is {options[name]!r}; wanted a whole number of at least {at_least}."
        )
    return value


def file_named(judge: str, options: Mapping[str, Any], name: str, what: str) -> Path:
    """An option that names a file which is there.

    Args:
        judge: the judge's name.
        options: all of its options.
        name: the option's name.
        what: what the file holds, in words.

    Raises:
        FairbenchError: there is no such file.
    """
    path = Path(str(options[name])).expanduser()
    if not path.is_file():
        raise FairbenchError(f"The option {name} of the judge {judge} names {path}, and there is no such file. Wanted {what}.")
    return path
