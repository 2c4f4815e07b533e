from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of the published data: FAIRBENCH_DATA, or ../shared/data beside the checkout."""
    named = os.environ.get("FAIRBENCH_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the published data are not here (FAIRBENCH_DATA)")
    return folder
