"""What all tests share: the folder of doubles on the path, and for each test a memory of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from luthier.memory.sqlite_store import SQLiteStore

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("no deadline", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("no deadline")

_HOME, _NUMBERS = tempfile.TemporaryDirectory(prefix="luthier-tests-"), count()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    """An empty memory in a file."""
    from luthier.memory.sqlite_store import SQLiteStore

    made = SQLiteStore(tmp_path / "memory.db")
    yield made
    made.close()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The user's own memory is neither read nor written, not by the commands that a test starts either."""
    os.environ.pop("LUTHIER_EMBEDDER", None)
    os.environ["LUTHIER_MEMORY"] = str(Path(_HOME.name) / f"{next(_NUMBERS)}.db")
