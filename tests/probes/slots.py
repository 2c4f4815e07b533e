"""Slots to ask about and tiny models to ask: what the tests of the fill probe share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from fairbench.models.batching import Batching
from fairbench.models.loading import inspect_model, load
from fairbench.models.model import Model
from fairbench.probes import fill
from fairbench.records import Slot

SPEC = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "models" / "tiny.py")
tiny = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tiny)

TEMPLATES = (
    "[TARGET] said that the [ATTRIBUTE] was late.",
    "The [TARGET] is an [ATTRIBUTE].",
    "It's the '[TARGET]', isn't it, [ATTRIBUTE]?",
    "Is the [ATTRIBUTE] going with [TARGET]?",
)
TARGETS = ("he", "Emily", "old carpenter", "umbrella", "person")
ATTRIBUTES = ("nurse", "doctor", "beautiful thing", None)
SCORES = ("log_p", "log_prior", "mass")


def slot(template, target, attribute=None):
    return Slot(id=f"{template}/{target}/{attribute}", template=template, target=target, attribute=attribute)


RECORDS = [slot(template, target, word) for template in TEMPLATES for word in ATTRIBUTES for target in TARGETS]


def spread(network):
    """Random weights of a size at which a wrong position or mask shows."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))


class Models:
    """Tiny models by their name in tiny.py, each built once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, {}

    def __call__(self, name: str) -> Model:
        if name not in self.made:
            self.made[name] = load(inspect_model(str(getattr(tiny, name)(self.folder / name))))
            spread(self.made[name].network)
        return self.made[name]


def ask(model, records, batching=None, **requested):
    return fill.answer(model, records, fill.resolve(model.card, "Slot", requested), batching or Batching())


def left_out(model, *records, **requested):
    return [row.get("left_out") for row in ask(model, records, **requested)]


def forward(model, ids):
    """[T, V] log-probabilities of one input through the whole network."""
    with torch.no_grad():
        output = model.network(torch.tensor([list(ids)]))
    logits = output.logits if "logits" in output else output.prediction_logits
    return torch.log_softmax(logits[0].double(), dim=-1).numpy()
