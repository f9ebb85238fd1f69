"""What all tests share: the folder of doubles on the path, and for each test a memory of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_HOME, _NUMBERS = tempfile.TemporaryDirectory(prefix="luthier-tests-"), count()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The user's own memory is neither read nor written, not by the commands that a test starts either."""
    os.environ["LUTHIER_MEMORY"] = str(Path(_HOME.name) / f"{next(_NUMBERS)}.db")
