"""Every error of Luthier as one tree, sorted by who must act.

The user: message = the rule, the value, what to do; the command line prints it and exits with 2
├── trials.errors.InputError
│   ├── SpaceError          a hyperparameter, a condition, a constraint or a configuration
│   ├── SpecError           a study file
│   └── StudyError          a study folder
├── memory.errors.MemoryFault
│   ├── NoteMissing         an id that no note has
│   ├── ImportFault         a file, folder or storage that cannot be taken into the memory, or written to
│   └── MemoryFileError     a memory that is damaged, foreign, of another version, or cannot be written
├── predictor.errors.PredictorFault
│   ├── CheckpointFault     a trained predictor that is missing, damaged or made otherwise
│   └── LogFault            a log of workflows, or a line of it
└── models.errors.ModelSpecError    a model that cannot be what was named
The model: recorded, told once, and the advisors go on
└── models.errors.ModelError        down, missing, timeout, empty, not JSON, prompt too long, truncated
Nobody: the trial is recorded as failed, the study goes on
└── trials.records.Failure          out of memory, NaN, crash, timeout, no metric, command not found
"""

from __future__ import annotations

import errno
import os
import sqlite3

from .memory.errors import MemoryFault
from .models.errors import ModelError, ModelSpecError
from .predictor.errors import PredictorFault
from .trials.errors import InputError

__all__ = ["InputError", "MemoryFault", "ModelError", "ModelSpecError", "PredictorFault", "explain"]

_FULL, _FREE = "the disk is full", "free some space, then run the same command: what is finished is kept"


def explain(error: BaseException) -> str | None:
    """The one message to print for an error that the user can mend; None when it is a fault of ours."""
    if isinstance(error, InputError | MemoryFault | ModelSpecError | ModelError | PredictorFault):
        return str(error)
    if (wrong := _of_database(error)) is not None:
        return _broken(str(wrong))
    return _refused(error) if isinstance(error, OSError) else None


def _of_database(error: BaseException | None) -> sqlite3.Error | None:
    """SQLite's own error behind that of SQLAlchemy, Optuna or LangGraph."""
    while error is not None and not isinstance(error, sqlite3.Error):
        error = error.__cause__
    return error


def _broken(said: str) -> str | None:
    """What keeps a database from being read or written, in words."""
    if "disk is full" in said:
        return f"{_FULL}; {_FREE}"
    if "readonly" in said:
        return "no permission to write a database; choose another place (a study's: --dir), or change its owner"
    if "locked" in said:
        return "a database is in use by another process; wait for it, or stop it"
    if any(sign in said for sign in ("malformed", "not a database", "disk I/O")):
        return f"a database must be readable, but is not ({said}); restore it, or move its folder and start anew"
    return None


def _refused(error: OSError) -> str | None:
    """What the system does not let us do, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{_FULL}{_at(error)}; {_FREE}"
    if error.errno == errno.EFBIG:
        rule = "a file must not be larger than the system allows"
        return f"{rule}, but {error.filename or 'one'} would be; allow more: ulimit -f unlimited"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return f"no permission to write{_at(error)}; choose another place (a study's: --dir), or change its owner"
    if isinstance(error, FileNotFoundError | FileExistsError | IsADirectoryError | NotADirectoryError):
        return f"{os.strerror(error.errno or errno.ENOENT).lower()}{_at(error)}; check the path"
    return None


def _at(error: OSError) -> str:
    return f" at {error.filename}" if error.filename else ""
