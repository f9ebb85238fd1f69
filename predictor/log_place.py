"""Where the predictor keeps the logs that were imported."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import LogFault

FOLDER = "predictor/logs"
_NAME = re.compile(r"[\w-][\w.-]{0,99}")


def logs_folder(given: Path | None = None) -> Path:
    """The folder of the logs, whether or not it is there.

    It is what was given, else `predictor/logs` in LUTHIER_HOME, else in the user's data folder.
    """
    if given is not None:
        return given.expanduser()
    if home := os.environ.get("LUTHIER_HOME"):
        return Path(home).expanduser() / FOLDER
    # The standard wants a relative path there to be ignored.
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".local" / "share") / "luthier" / FOLDER


def log_file(name: str, folder: Path) -> Path:
    """The file of the logs of this name.

    Raises:
        LogFault: the name is none of a file.
    """
    if not _NAME.fullmatch(name):
        raise LogFault(f"a name may have letters, digits, `-`, `_` and `.`, but is {name!r}; choose one with --name")
    return folder / f"{name}.jsonl"
