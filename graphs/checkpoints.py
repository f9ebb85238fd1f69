"""The graph's checkpoints in `graph.db`. They only say where a trial stands: lost or broken, they start anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from ..trials.errors import StudyError

FILE = "graph.db"
SECONDS_TO_WAIT = 30.0  # for another connection, before giving up


@contextmanager
def checkpoints(folder: Path) -> Iterator[SqliteSaver]:
    """The checkpoints of a study folder.

    Raises:
        StudyError: when the file cannot be written.
    """
    path = folder / FILE
    try:
        connection = _open(path)
    except sqlite3.OperationalError as error:
        raise StudyError(
            f"{path} must be writable, but is not ({error}); free the disk or choose another --dir"
        ) from error
    except sqlite3.DatabaseError:
        for broken in (path, *(path.with_name(FILE + end) for end in ("-wal", "-shm"))):
            broken.unlink(missing_ok=True)
        connection = _open(path)
    try:
        # Strict even where LangGraph was imported before us, and so has not read our wish from the environment.
        saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        saver.setup()
        yield saver
    finally:
        connection.close()


def _open(path: Path) -> sqlite3.Connection:
    # LangGraph's saver has a lock of its own.
    connection = sqlite3.connect(path, check_same_thread=False, timeout=SECONDS_TO_WAIT)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A kill loses nothing so; a power cut may lose the last checkpoints, never a trial: those are the study's.
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError(f"{path} is damaged")
    except BaseException:
        connection.close()
        raise
    return connection
