"""The processes of one training: one alone, or several that `accelerate launch` or `torchrun` started."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairbench.models.model import Model


PATIENCE = datetime.timedelta(days=7)
"""How long the others wait for the first, which may prepare many texts; by default they give up after minutes."""


class Processes:
    """Which of the processes this is, and what only the first of them does."""

    def __init__(self, device: str) -> None:
        """Joins the others, if there are any. `device`: as in a model's options."""
        from accelerate import PartialState

        from fairbench.models.loading import choose_device

        self.state = PartialState(cpu=choose_device(device).type == "cpu", timeout=PATIENCE)

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return bool(self.state.is_main_process)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.state.num_processes)

    def own(self, model: Model) -> Model:
        """A model on this process's own device, where there are several processes."""
        if self.count == 1:
            return model
        return dataclasses.replace(model, network=model.network.to(self.state.device), device=self.state.device)

    def wait(self) -> None:
        """Until all have come here."""
        self.state.wait_for_everyone()

    @contextlib.contextmanager
    def main_first(self) -> Iterator[None]:
        """The first process alone, then the others, who find what it left on disk."""
        with self.state.main_process_first():
            yield
