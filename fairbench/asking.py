"""Asking: the records of a task go to a network part by part, and each part is saved before the next one is asked."""

from __future__ import annotations

import time
from typing import Any

from fairbench.answers import AnswerStore
from fairbench.asked import Asked
from fairbench.files import digest
from fairbench.models.batching import Batching
from fairbench.models.model import Model, ModelCard
from fairbench.plan import Ask
from fairbench.preparation import Progress
from fairbench.records import UNASKED, Labelled, Record, as_row
from fairbench.registry import Answers, Registry
from fairbench.training import Prepared


class Asker:
    """Asks one model; its network is loaded when the first answer is missing, and one network is held at a time."""

    def __init__(self, card: ModelCard, registry: Registry, batching: Batching, progress: Progress) -> None:
        self.card, self.registry, self.batching, self.progress = card, registry, batching, progress
        self._loaded: tuple[str, Model] | None = None
        self._flags: dict[tuple[str, str], str | None] = {}

    def ask(self, ask: Ask, asked: Asked, store: AnswerStore, prepared: Prepared) -> None:
        """Makes the answers that are missing and finishes their store.

        Args:
            ask: the probe with its options.
            asked: the records.
            store: where the answers go; whole parts that it holds are not asked again.
            prepared: the network that they are put to.
        """
        probe, done, number = self.registry.probe(ask.probe), 0, -1
        what = f"{ask.task.name} ({ask.probe})"
        self.progress(what, 0, asked.n)
        for number, part in enumerate(asked.parts()):
            if not store.has_part(number):
                model = self._model(prepared)
                if hasattr(model, "remember"):  # behind a server each reply is kept at once, and not asked for again
                    model.remember(store.folder / f"{store.key}.replies.jsonl")
                start = time.perf_counter()
                unfit = [_unfit(record, prepared) for record in part]
                fit = [record for record, reason in zip(part, unfit, strict=True) if reason is None]
                answers = iter(probe.answer(model, fit, ask.options, self.batching))
                table = [
                    {**as_row(record), **row}
                    for record, reason in zip(part, unfit, strict=True)
                    for row in (_rows(next(answers)) if reason is None else [{"left_out": reason}])
                ]
                store.write_part(number, table, time.perf_counter() - start)
            done += len(part)
            self.progress(what, done, asked.n)
        self._finish(number + 1, ask, asked, store, prepared)

    def _finish(self, parts: int, ask: Ask, asked: Asked, store: AnswerStore, prepared: Prepared) -> None:
        """Joins the parts, with a note of how the answers came to be."""
        probe, model = self.registry.probe(ask.probe), self._model(prepared)
        key = ask.probe, digest(dict(prepared.identity))
        if key not in self._flags:
            self._flags[key] = probe.sanity(model)
        flag = self._flags[key]
        warnings = asked.data.provenance.get("warnings", ())
        store.finish(
            parts,
            {
                "device": getattr(model.device, "type", "server"),
                "engine": probe.engine(model),
                "attention": getattr(getattr(model.network, "config", None), "_attn_implementation", None),
                "notes": [*([flag] if flag else []), *probe.notes(self.card, ask.options), *warnings],
                "prepared": dict(prepared.about()),
            },
        )
        if hasattr(model, "forget"):
            model.forget()

    def _model(self, prepared: Prepared) -> Model:
        """The network of these answers."""
        key = digest(dict(prepared.identity))
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None  # freed before the next one is loaded
            self._loaded = key, prepared.load()
        return self._loaded[1]


def _rows(answers: Answers) -> list[dict[str, Any]]:
    """What was answered to one record, as rows."""
    return answers if isinstance(answers, list) else [answers]


def _unfit(record: Record, prepared: Prepared) -> str | None:
    """Why a record is put to no model."""
    if record.meta.get(UNASKED):
        return str(record.meta[UNASKED])
    return "the text is in the training data" if isinstance(record, Labelled) and prepared.seen(record.text) else None
