"""Fetching model files.

A file comes from wherever it can be had; its pinned SHA-256 is the judge, so it does not matter where the bytes came
from. What was fetched stays when the fetch is broken off, and the next one goes on from there.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .catalogue import CATALOGUE, DEFAULT, ModelFile, files_of, models, path_of, present, whole
from .errors import ModelMissing, ModelSpecError
from .sources import SOURCES, OnProgress, SourceError, leftovers, size_of

__all__ = ["CATALOGUE", "DEFAULT", "files_of", "models", "path_of", "present", "pull", "sha256_of"]

SPARE = 256 << 20  # bytes: a part lies beside the file while it is unpacked
_BLOCK = 1 << 20  # bytes hashed at a time


def pull(name: str, on_progress: OnProgress = lambda *_: None) -> Path:
    """Fetch a model and what goes with it once, each file from the first source that has it; the path of its own file.

    Raises:
        ModelSpecError: an unknown name, or too little disk.
        ModelMissing: no source had it; the message says why for each.
    """
    for entry in files_of(name):
        _pull_file(entry, on_progress)
    return path_of(name)


def _pull_file(entry: ModelFile, on_progress: OnProgress) -> None:
    target = path_of(entry.name)
    scratch = target.parent / ".parts"
    scratch.mkdir(parents=True, exist_ok=True)
    reasons = []
    with _alone(scratch / f"{entry.file}.lock"):
        if whole(entry):
            return
        _check_disk(entry, scratch)
        for source, fetch in SOURCES.items():
            try:
                found = fetch(entry, scratch, on_progress)
                _judge(found, entry, on_progress)
            except SourceError as error:
                reasons.append(f"{source}: {error}")
                continue
            found.replace(target)
            _clear(entry, scratch)
            return
    raise ModelMissing(
        f"no source had {entry.name} ({'; '.join(reasons)}); check the network and run the same command again"
    )


def sha256_of(path: Path, on_block: Callable[[int], None] = lambda _: None) -> str:
    """The SHA-256 of a file in hex; `on_block` hears how many bytes were read."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            on_block(done)
    return digest.hexdigest()


def _judge(path: Path, entry: ModelFile, on_progress: OnProgress) -> None:
    """Refuse, and remove, a file that is not the one."""
    found = sha256_of(path, lambda done: on_progress(done, entry.size, f"checking {entry.name}"))
    if found != entry.sha256:
        path.unlink()
        raise SourceError(f"its bytes are not the model's (SHA-256 {found[:12]}..., not {entry.sha256[:12]}...)")


def _check_disk(entry: ModelFile, scratch: Path) -> None:
    # The file grows in place of its parts, so what is already there need not be found again.
    here = max(map(size_of, leftovers(entry, scratch)), default=0)
    needed, free = max(entry.size - here, 0) + SPARE, shutil.disk_usage(scratch).free
    if free < needed:
        raise ModelSpecError(
            f"{entry.name} needs {needed / 1e9:.1f} GB free at {scratch.parent}, but {free / 1e9:.1f} GB are; "
            "free some, or set LUTHIER_HOME to another disk"
        )


def _clear(entry: ModelFile, scratch: Path) -> None:
    for path in leftovers(entry, scratch):
        path.unlink()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One fetch of a file at a time on this machine; a second waits, then finds it here."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
