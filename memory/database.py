"""One connection to the memory's file: transactions, several threads, and SQLite's errors in the memory's words."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from .errors import MemoryFileError
from .migrations import is_current, migrate, verify

SECONDS_TO_WAIT = 30.0  # for another writer, before giving up
_UNWRITABLE = ("must be writable with its folder", "give yourself the right to write both, or choose another path")
_DAMAGED = ("must be a whole memory", "restore a copy, or move the file away to begin anew")
_REMEDIES = {  # of SQLite's primary result codes: the rule and what to do
    sqlite3.SQLITE_FULL: ("must have room to grow", "free the disk, then try again"),
    sqlite3.SQLITE_IOERR: ("must be on a disk that works", "look after the disk, then try again"),
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_BUSY: (f"must be free within {SECONDS_TO_WAIT:.0f} s", "stop the process that holds it"),
}


class Database:
    """A memory's file, created with its folder if it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()  # a graph may run its nodes in threads: one transaction at a time
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that sees one state of the file, whatever others write meanwhile.

        Raises:
            MemoryFileError: when the file cannot be read.
        """
        return self._transaction("BEGIN")

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that is there as a whole afterwards, or not at all; waits for another writer.

        One within another is a part of it.

        Raises:
            MemoryFileError: when the file cannot be written.
        """
        # IMMEDIATE: who begins by reading cannot become a writer once another has written.
        return self._transaction("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def _prepare(self) -> None:
        with self.reading() as connection:  # one state: another process may be making the file
            verify(connection, self.path)  # before the first write: a file of something else stays as it is
        with self._explained():
            self._use_log()
            # A commit is in the operating system's hands when it returns, so that a kill of the process loses nothing.
            # A power cut may lose the last commits, never the file. FULL would wait for the disk at each trial.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
        if not is_current(self._connection):
            with self.writing() as connection:
                migrate(connection, self.path)

    def _use_log(self) -> None:
        """Write-ahead log. SQLite does not wait when two processes switch a new file to it at once, so we do."""
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explained():
            # Within one that is open, which is this thread's, for it holds the lock: a part that fails is taken back.
            nested = self._connection.in_transaction
            self._connection.execute("SAVEPOINT part" if nested else begin)
            try:
                yield self._connection
                self._connection.execute("RELEASE part" if nested else "COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has ended it already
                    self._connection.execute("ROLLBACK TO part" if nested else "ROLLBACK")
                    if nested:
                        self._connection.execute("RELEASE part")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._fault(error, *_UNWRITABLE) from error
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            known = _REMEDIES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)  # without the extended part
            if known is None:  # a mistake of ours, not the file's
                raise
            raise self._fault(error, *known) from error

    def _fault(self, error: Exception, rule: str, remedy: str) -> MemoryFileError:
        return MemoryFileError(f"{self.path} {rule}, but is not ({error}); {remedy}")
