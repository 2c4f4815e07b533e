"""Planted bias: a corpus with a dial, small models trained on it, and data sets about the same world."""

from fairbench.planted.library import build, card, folder, names

__all__ = ["build", "card", "folder", "names"]
