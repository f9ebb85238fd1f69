"""The nearest notes by one model's vectors: exactly, or among the candidates that the sidecar names."""

from __future__ import annotations

import json
import sqlite3
from functools import cached_property
from pathlib import Path

import numpy as np

from .filters import conditions
from .sidecar import Sidecar
from .store import Filter
from .vectors import Matrix, exactly

Scored = list[tuple[str, float]]


class Nearest:
    """Both ways to search, and the choice between them.

    Args:
        sidecar_from: how many vectors the model must have for the sidecar to be used; None for never.
    """

    def __init__(self, memory: Path, model: str, dimensions: int, sidecar_from: int | None) -> None:
        self._model, self._from = model, sidecar_from
        self._matrix = Matrix(model)
        self._memory, self._dimensions = memory, dimensions
        self._many = False

    @cached_property
    def _sidecar(self) -> Sidecar | None:
        """None where its package is not installed. Asked for only where there are many vectors, since it is loaded."""
        return Sidecar(self._memory, self._model, self._dimensions) if Sidecar.is_here() else None

    def search(self, connection: sqlite3.Connection, vector: np.ndarray, k: int, where: Filter) -> Scored:
        """The `k` best of the notes that pass: (id, cosine), best first, equal ones by id. `vector` is (d,)."""
        # A filled matrix tells for nothing how many there are.
        many = self._many or (not len(self._matrix) and self._is_many(connection))
        if k > 0 and many and self._sidecar and self._sidecar.serves(connection, k):
            found = self._among(connection, self._sidecar.near(vector, k), vector, k, where)
            if len(found) == k:  # else the filter, or what is forgotten, has left too few
                return found
        self._matrix.refresh(connection)
        self._many = self._from is not None and len(self._matrix) >= self._from
        return self._matrix.search(connection, vector, k, where)

    def follow(self, connection: sqlite3.Connection) -> int:
        """Add the next batch of vectors to the sidecar, and write it when it has all; how many were added."""
        if not self._is_many(connection) or self._sidecar is None:
            return 0
        if self._sidecar.behind(connection, 1):
            return self._sidecar.follow(connection)
        self._sidecar.save(connection)
        return 0

    def _is_many(self, connection: sqlite3.Connection) -> bool:
        if not self._many and self._from is not None:
            sql = "SELECT count(*) FROM (SELECT 1 FROM vectors WHERE model = ? LIMIT ?)"
            self._many = connection.execute(sql, (self._model, self._from)).fetchone()[0] >= self._from
        return self._many

    def _among(
        self, connection: sqlite3.Connection, rows: list[int], vector: np.ndarray, k: int, where: Filter
    ) -> Scored:
        """The `k` best of those rows of `notes` whose notes pass, by their vectors in the file."""
        passing, values = conditions(where)
        found = connection.execute(
            # CROSS: SQLite must begin with the few, but would begin with all vectors of the model.
            "SELECT n.id, v.vector FROM json_each(?) few CROSS JOIN notes n ON n.seq = few.value "
            "CROSS JOIN vectors v ON v.note = n.id AND v.revision = n.head AND v.model = ? "
            f"WHERE {passing}",
            (json.dumps(rows), self._model, *values),
        ).fetchall()
        if not found:
            return []
        names, blobs = zip(*found, strict=True)
        return exactly(names, np.frombuffer(b"".join(blobs), "<f4").reshape(len(names), -1), vector, k)
