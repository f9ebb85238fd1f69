"""What the machine refuses is one message that a user can act on, and nothing is lost."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError

from luthier.errors import explain
from luthier.predictor.own_logs import write_logs
from luthier.predictor.testing import generated

KB = 1024


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full at a.pt; free some space"),
        (errno.EDQUOT, "the disk is full at a.pt; free some space"),
        (errno.EFBIG, "a file must not be larger than the system allows, but a.pt would be; allow more: ulimit -f"),
        (errno.EROFS, "no permission to write at a.pt; choose another place"),
        (errno.EACCES, "no permission to write at a.pt; choose another place"),
        (errno.EEXIST, "file exists at a.pt; check the path"),
        (errno.ENOENT, "no such file or directory at a.pt; check the path"),
    ],
)
def test_what_the_system_refuses_is_said(number: int, said: str) -> None:
    told = explain(OSError(number, os.strerror(number), "a.pt"))
    assert told is not None
    assert told.startswith(said)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("database or disk is full", "the disk is full; free some space"),
        ("attempt to write a readonly database", "no permission to write a database; choose another place"),
        ("database is locked", "a database is in use by another process; wait for it"),
        ("database disk image is malformed", "a database must be readable, but is not (database disk image is"),
    ],
)
def test_what_keeps_a_database_from_being_written_is_said_however_it_is_wrapped(wrong: str, said: str) -> None:
    def raising(wrapped: type[Exception] | None) -> None:
        try:
            raise sqlite3.OperationalError(wrong)
        except sqlite3.Error as error:
            if wrapped is None:
                raise
            raise wrapped("in its words") from error

    for wrapped in (None, StorageInternalError, RuntimeError):
        with pytest.raises(Exception, match=r".") as caught:
            raising(wrapped)
        assert (explain(caught.value) or "").startswith(said)


def test_a_fault_of_ours_is_none_of_the_user_s() -> None:
    assert explain(OSError(errno.EBADF, "bad")) is None
    assert explain(RuntimeError("bad")) is None
    assert explain(sqlite3.OperationalError("no such table: trials")) is None


def test_a_checkpoint_that_does_not_fit_is_one_message_and_leaves_nothing(tmp_path: Path) -> None:
    """PyTorch hides what the system says of the file that it writes to."""
    write_logs(generated(30, 10), tmp_path / "logs.jsonl")
    command = [sys.executable, "-m", "luthier", "predictor", "train", "logs.jsonl", "--embedder", "none"]
    done = subprocess.run(
        [*command, "--no-evaluate", "--out", "mine.pt"],
        cwd=tmp_path,
        env={**os.environ, "LUTHIER_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 * KB, 4 * KB)),
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "ulimit -f" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["logs.jsonl"]
