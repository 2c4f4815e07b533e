"""The examples in docstrings run and say what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import fairbench.metrics
import pytest

METRICS = [f"fairbench.metrics.{file.name}" for file in pkgutil.iter_modules(fairbench.metrics.__path__)]


@pytest.mark.parametrize("name", [*METRICS, "fairbench", "fairbench.errors"])
def test_examples_are_there_and_right(name: str):
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted > 0 and failed == 0
