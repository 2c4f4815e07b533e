"""What reads the options of a training or a mitigation: each takes an option's name and value, and gives it or refuses it.

A value may be text from the command line or already what it means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairbench.errors import FairbenchError, did_you_mean

Parser = Callable[[str, Any], Any]
"""(name, value) -> what it means; raises FairbenchError where it is none."""


def whole(low: int, high: int) -> Callable[[str, Any], int]:
    """A whole number from `low` to `high`."""

    def parse(name: str, value: Any) -> int:
        try:
            number = float(str(value))
        except ValueError:
            number = float("nan")
        if not number.is_integer() or isinstance(value, bool) or not low <= number <= high:
            raise FairbenchError(f"{name}={value}: wanted a whole number from {low} to {high}.")
        return int(number)

    return parse


def real(low: float, high: float, *, above: bool = False, below: bool = False) -> Callable[[str, Any], float]:
    """A number from `low` to `high`, or `above` the one and `below` the other."""

    def parse(name: str, value: Any) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = float("nan")
        if not low <= number <= high or (above and number == low) or (below and number == high):
            limits = f"{'above' if above else 'from'} {low:g} {'and below' if below else 'to'} {high:g}"
            raise FairbenchError(f"{name}={value}: wanted a number {limits}.")
        return number

    return parse


def word(*words: str) -> Callable[[str, Any], str]:
    """One of some words."""

    def parse(name: str, value: Any) -> str:
        if value not in words:
            raise FairbenchError(f"{name}={value}: wanted {' or '.join(words)}.{did_you_mean(str(value), words)}")
        return str(value)

    return parse


def yes_no(name: str, value: Any) -> bool:
    """True or false, or how people write them."""
    found = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(str(value).lower())
    if found is None:
        raise FairbenchError(f"{name}={value}: wanted true or false.")
    return found


def text(name: str, value: Any) -> str:
    """Anything that is not empty."""
    if not str(value).strip():
        raise FairbenchError(f"{name} is empty. Wanted a value, or leave it out.")
    return str(value).strip()
