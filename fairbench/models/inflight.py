"""A few requests under way at once: the first fault stops what has not begun, and what is under way comes to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")


def each(items: Iterable[Item], work: Callable[[Item, threading.Event], None], most: int) -> None:
    """Calls `work` on every item, on at most `most` of them at a time.

    Args:
        items: taken one by one, in their order, as there is room.
        work: gets an item, and what is set once no more is wanted; it should then end its waiting.
        most: at least 1.

    Raises:
        Exception: the first that `work` raised, once all that was under way has ended. After an interrupt (Ctrl-C) nothing is
            waited for: the threads end with the process.
    """
    waiting, turn = iter(items), threading.Lock()
    stop = threading.Event()
    ended: SimpleQueue[Exception | None] = SimpleQueue()

    def run() -> None:
        fault = None
        try:
            while not stop.is_set():
                with turn:
                    item = next(waiting, stop)
                if item is stop:
                    break
                work(item, stop)  # type: ignore[arg-type]
        except Exception as error:
            stop.set()
            fault = error
        ended.put(fault)

    for _ in range(most):
        threading.Thread(target=run, daemon=True).start()
    try:
        faults = [fault for _ in range(most) if (fault := ended.get()) is not None]
    finally:
        stop.set()
    if faults:
        raise faults[0]
