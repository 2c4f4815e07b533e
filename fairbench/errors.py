"""The two ways in which fairbench says no: to a request, and to a number.

FairbenchError   the request was wrong (unknown name, bad file, unfit model); the command line prints it and exits with 2
DataAbsent       one of them: a task's data are nowhere to be had
Undefined        the score has no value on these answers; it becomes null with this reason
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FairbenchError(Exception):
    """A request that can't be served: one paragraph that says what was found, what was wanted and what to do."""


class DataAbsent(FairbenchError):
    """A task's data are nowhere to be had. What only a suite holds is then skipped with this reason."""


class Undefined(Exception):
    """A metric has no value on these answers. Never replaced by 0 or by the ideal: the score is null with this reason."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Names the nearest legal spelling of `name`, as a sentence with a leading space, or an empty string.

    Example:
        >>> did_you_mean("crows_pair", ["crows_pairs", "weat"])
        ' Did you mean crows_pairs?'
    """
    near = difflib.get_close_matches(name, list(dict.fromkeys(options)), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(near)}?" if near else ""
