"""The processes of one training: one alone, or several that `accelerate launch` started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class Processes:
    """Which of the processes this is, and what only the first of them does."""

    def __init__(self) -> None:
        """Joins the others, if there are any."""
        from accelerate import PartialState

        self.state = PartialState()

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return bool(self.state.is_main_process)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.state.num_processes)

    def wait(self) -> None:
        """Until all have come here."""
        self.state.wait_for_everyone()

    @contextlib.contextmanager
    def main_first(self) -> Iterator[None]:
        """The first process alone, then the others, who find what it left on disk."""
        with self.state.main_process_first():
            yield
