"""An approximate index of one model's vectors in a file beside the memory, for when there are very many of them.

It is disposable. It names notes that may be near, whose exact vectors are then read from the memory; where it is
missing, broken, of another memory or too far behind, the search is exact without it. What it lacks costs recall, never
truth. Hierarchical navigable small worlds (Malkov and Yashunin 2018, arXiv 1603.09320) by the package `usearch`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

FROM = 50_000  # vectors of a model from which the index is used; below, the exact search is fast enough
LAG = 500  # vectors that a search adds by itself, in less than a second; beyond, it is exact until `SQLiteStore.index`
SAVE_EVERY = 5_000  # vectors added between two writes of the file, which is 53 MB at 100,000 of 384 dimensions
BATCH = 2_048  # vectors added in one transaction, so that others can search and write meanwhile
CANDIDATES = 2  # times as many are named as are asked for, because the index keeps only a byte for each dimension
LEAST, MOST = 100, 1_000  # candidates; who wants more is served sooner by the exact search
_FORMAT = 1
_DTYPE = "i8"


@dataclass(frozen=True)
class Stamp:
    """What an index holds: all vectors of a model up to one, which is named with its revision."""

    model: str
    dimensions: int
    count: int
    number: int  # of that vector
    note: str
    revision: int
    format: int = _FORMAT


class Sidecar:
    """The index of one model. It is used within a transaction of the memory's file, by one thread at a time."""

    def __init__(self, memory: Path, model: str, dimensions: int) -> None:
        name = f"{memory.name}-{hashlib.sha256(model.encode()).hexdigest()[:8]}.usearch"
        self.path = memory.with_name(name)
        self._model, self._dimensions = model, dimensions
        self._index: Any = None
        self._seen, self._saved = 0, 0  # numbers of the last vectors that the index and the file have

    @staticmethod
    def is_here() -> bool:
        """Whether the package is installed and works on this machine."""
        try:
            _index_class()
        except ImportError:
            return False
        return True

    def serves(self, connection: sqlite3.Connection, k: int) -> bool:
        """Whether it can name candidates for the `k` nearest; what little it lacks is added."""
        if CANDIDATES * k > MOST or (lacks := self.behind(connection, LAG + 1)) > LAG:
            return False
        while lacks:
            lacks = self.follow(connection)
        return True

    def behind(self, connection: sqlite3.Connection, most: int) -> int:
        """How many vectors the index lacks, counted up to `most`."""
        if self._index is None:
            self._open(connection)
        sql = "SELECT count(*) FROM (SELECT 1 FROM vectors WHERE model = ? AND number > ? LIMIT ?)"
        return int(connection.execute(sql, (self._model, self._seen, most)).fetchone()[0])

    def follow(self, connection: sqlite3.Connection) -> int:
        """Add the next batch of vectors; how many rows were read. 0 where nothing is left."""
        rows = connection.execute(
            "SELECT v.number, n.seq, n.head = v.revision, v.vector FROM vectors v JOIN notes n ON n.id = v.note "
            "WHERE v.model = ? AND v.number > ? ORDER BY v.number LIMIT ?",
            (self._model, self._seen, BATCH),
        ).fetchall()
        newest = {seq: blob for _, seq, is_latest, blob in rows if is_latest}
        if newest:
            keys = np.fromiter(newest, np.uint64, len(newest))
            known = keys[self._index.contains(keys)]
            if len(known):
                self._index.remove(known)
            vectors = np.frombuffer(b"".join(newest.values()), "<f4").reshape(len(keys), self._dimensions)
            self._index.add(keys, vectors, threads=1)  # the other cores are the study's
        if rows:
            self._seen = rows[-1][0]
        if self._seen - self._saved >= SAVE_EVERY:
            self.save(connection)
        return len(rows)

    def near(self, vector: np.ndarray, k: int) -> list[int]:
        """What may be among the `k` nearest: rows of `notes`. `vector` is (d,)."""
        count = max(CANDIDATES * k, LEAST)
        found: list[int] = self._index.search(vector.astype(np.float32), count).keys.tolist()
        return found

    def save(self, connection: sqlite3.Connection) -> None:
        """Write the file as a whole, or leave the one that is there."""
        sql = "SELECT note, revision FROM vectors WHERE number = ?"
        last = connection.execute(sql, (self._seen,)).fetchone()
        if last is None or self._seen == self._saved:
            return
        stamp = Stamp(self._model, self._dimensions, len(self._index), self._seen, *last)
        body = bytes(self._index.save())
        head = json.dumps({**asdict(stamp), "crc": zlib.crc32(body)}).encode()
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            part.write_bytes(head + b"\n" + body)
            part.replace(self.path)
            self._saved = self._seen
        except OSError:  # a full disk or a folder that cannot be written costs only time
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _open(self, connection: sqlite3.Connection) -> None:
        """Take the file's index where it is of this memory, else an empty one."""
        Index = _index_class()
        self._index = Index(ndim=self._dimensions, metric="cos", dtype=_DTYPE)
        stamp, body = self._read()
        if stamp is None or not self._is_of(connection, stamp):
            return
        kept = Index(ndim=self._dimensions, metric="cos", dtype=_DTYPE)
        with contextlib.suppress(RuntimeError):  # of a version of the package that wrote it otherwise
            kept.load(body)
            if (len(kept), kept.ndim) == (stamp.count, stamp.dimensions):
                self._index, self._seen, self._saved = kept, stamp.number, stamp.number

    def _read(self) -> tuple[Stamp | None, bytes]:
        try:
            head, _, body = self.path.read_bytes().partition(b"\n")
            told = json.loads(head)
            whole = told.pop("crc") == zlib.crc32(body)
            return (Stamp(**told) if whole else None), body
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None, b""

    def _is_of(self, connection: sqlite3.Connection, stamp: Stamp) -> bool:
        wanted = (self._model, self._dimensions, _FORMAT)
        row = connection.execute(
            "SELECT model, note, revision FROM vectors WHERE number = ?", (stamp.number,)
        ).fetchone()
        same = (stamp.model, stamp.dimensions, stamp.format) == wanted
        return same and bool(row == (stamp.model, stamp.note, stamp.revision))


def _index_class() -> Any:
    """The class `usearch.index.Index`; raises ImportError where the package is missing, or does not work here.

    Loaded after usearch 2.26, onnxruntime 1.31 takes the process down while it is imported, so it goes first.
    """
    with contextlib.suppress(ImportError):
        import onnxruntime  # noqa: F401
    from usearch.index import Index

    return Index
