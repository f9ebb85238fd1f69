"""What a memory's file is asked: notes, links, trials, searches and the journal. What is written: `sqlite_store.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from . import fulltext, sqlite_readings, sqlite_vectors
from .database import Database
from .errors import NoteMissing
from .filters import conditions
from .nearest import Nearest
from .note import Link, LinkType, Note, PastTrial, clean, in_utc
from .sqlite_changes import Writing
from .sqlite_notes import missing
from .sqlite_rows import CHANGE, LATEST, LINK, NOTE, ONE_OF, ids, to_change, to_link, to_note, to_trial
from .store import Change, Filter

_ANY = Filter()
_PAGE = 500  # notes read at once: a listing keeps no transaction open while its reader thinks


class SQLiteAnswers:
    """The methods of a `Store` that write nothing, of a file that is open."""

    def __init__(self, path: Path, sidecar_from: int | None) -> None:
        self.path = path
        self._database = Database(path)
        self._searches: dict[str, Nearest] = {}  # by each model
        self._sidecar_from = sidecar_from
        self._embedded: dict[str, int] = {}  # of each model: no note that was last changed up to here lacks a vector

    def get(self, note: str, as_of: datetime | int | None = None) -> Note:
        """See `Store.get`."""
        if as_of is None:
            with self._database.reading() as connection:
                return Writing(connection).latest(note)
        history = self.revisions(note)
        if isinstance(as_of, datetime):
            past = [one for one in history if one.time <= in_utc(as_of)]
        else:
            past = [one for one in history if one.revision == as_of]
        if not past:
            raise NoteMissing(
                f"{note} must have a revision as of {as_of}, but has 0 to {history[-1].revision}, "
                f"from {history[0].time} on; ask for one of those"
            )
        return past[-1]

    def revisions(self, note: str) -> list[Note]:
        """See `Store.revisions`."""
        with self._database.reading() as connection:
            rows = connection.execute(f"{NOTE} WHERE n.id = ? ORDER BY r.revision", (clean(note),)).fetchall()
        if not rows:
            raise missing(note)
        return [to_note(row) for row in rows]

    def notes(self, where: Filter = _ANY) -> Iterator[Note]:
        """See `Store.notes`."""
        passing, values = conditions(where)
        with self._database.reading() as connection:
            sql = f"SELECT n.id FROM notes n WHERE {passing} ORDER BY n.created, n.seq"
            listed = [note for (note,) in connection.execute(sql, values)]
        sql = f"{LATEST} WHERE n.forgotten = 0 AND n.id {ONE_OF} ORDER BY n.created, n.seq"
        for at in range(0, len(listed), _PAGE):
            with self._database.reading() as connection:
                page = connection.execute(sql, (ids(listed[at : at + _PAGE]),)).fetchall()
            yield from map(to_note, page)

    def count(self, where: Filter = _ANY) -> int:
        """See `Store.count`."""
        passing, values = conditions(where)
        with self._database.reading() as connection:
            return int(connection.execute(f"SELECT count(*) FROM notes n WHERE {passing}", values).fetchone()[0])

    def studies(self, where: Filter = _ANY) -> list[str]:
        """See `Store.studies`."""
        passing, values = conditions(where)
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT DISTINCT n.study FROM notes n WHERE {passing}", values).fetchall()
        return sorted(name for (name,) in rows if name)

    def links(self, notes: Iterable[str], types: Iterable[LinkType] = ()) -> list[Link]:
        """See `Store.links`."""
        wanted, kinds = ids(notes), list(types)
        sql = f"{LINK} WHERE removed = 0 AND (source {ONE_OF} OR target {ONE_OF}) ORDER BY number"
        with self._database.reading() as connection:
            rows = connection.execute(sql, (wanted, wanted)).fetchall()
        return [link for link in map(to_link, rows) if not kinds or link.type in kinds]

    def journal(self, limit: int = 20) -> list[Change]:
        """See `Store.journal`."""
        with self._database.reading() as connection:
            rows = connection.execute(f"{CHANGE} ORDER BY number DESC LIMIT ?", (max(limit, 0),)).fetchall()
        return [to_change(row) for row in rows]

    def trials(self, task: str) -> list[PastTrial]:
        """See `Store.trials`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT t.row, t.time FROM trials t JOIN notes n ON n.id = t.id "
                "WHERE t.task = ? AND t.removed = 0 AND n.forgotten = 0 ORDER BY t.time, t.number",
                (clean(task),),
            ).fetchall()
        return [to_trial(row) for row in rows]

    def missing_vectors(self, model: str, limit: int = 1000) -> list[Note]:
        """See `Store.missing_vectors`."""
        model = clean(model)
        if limit <= 0:
            return []
        with self._database.reading() as connection:
            since = self._embedded.get(model, 0)
            found, self._embedded[model] = sqlite_vectors.lacking(connection, model, since, limit)
        return found

    def nearest(self, model: str, vector: np.ndarray, k: int, where: Filter = _ANY) -> list[tuple[str, float]]:
        """See `Store.nearest`."""
        model = clean(model)
        with self._database.reading() as connection:
            dimensions = sqlite_vectors.dimensions(connection, model)
            if dimensions is None:
                return []
            query = sqlite_vectors.unit(vector, dimensions)
            return self._nearest_of(model, dimensions).search(connection, query, k, where)

    def index(self, model: str, on_progress: Callable[[int], None] | None = None) -> int:
        """Bring the sidecar of a model up to date, where it is used; how many vectors were added.

        Args:
            on_progress: is told after each batch how many are done.
        """
        model, done = clean(model), 0
        while True:
            with self._database.reading() as connection:
                dimensions = sqlite_vectors.dimensions(connection, model)
                added = self._nearest_of(model, dimensions).follow(connection) if dimensions else 0
            if not added:
                return done
            done += added
            if on_progress is not None:
                on_progress(done)

    def matching(self, query: str, k: int, where: Filter = _ANY) -> list[tuple[str, float]]:
        """See `Store.matching`."""
        with self._database.reading() as connection:
            return fulltext.search(connection, query, k, where)

    def unread(self, reader: str, where: Filter = _ANY, limit: int = 1000) -> list[Note]:
        """See `Store.unread`."""
        with self._database.reading() as connection:
            return sqlite_readings.unread(connection, reader, where, limit)

    def close(self) -> None:
        """See `Store.close`."""
        self._database.close()

    def _nearest_of(self, model: str, dimensions: int) -> Nearest:
        if model not in self._searches:
            self._searches[model] = Nearest(self.path, model, dimensions, self._sidecar_from)
        return self._searches[model]
