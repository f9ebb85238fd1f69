"""Where the memory's file lies."""

from __future__ import annotations

import os
from pathlib import Path

FILE = "memory.db"


def memory_path(given: Path | None = None) -> Path:
    """The memory's file, whether or not it is there: the store makes it with its folder.

    It is what was given, else LUTHIER_MEMORY, else `memory.db` in LUTHIER_HOME, else in the user's data folder.
    """
    if given is not None:
        return given.expanduser()
    if named := os.environ.get("LUTHIER_MEMORY"):
        return Path(named).expanduser()
    if home := os.environ.get("LUTHIER_HOME"):
        return Path(home).expanduser() / FILE
    return _data_folder() / "luthier" / FILE


def _data_folder() -> Path:
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    # The standard wants a relative path there to be ignored: it would be another memory in each working directory.
    return named if named.is_absolute() else Path.home() / ".local" / "share"
