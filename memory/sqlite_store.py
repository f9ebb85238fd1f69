"""The memory in one SQLite file: notes, links, evidence, trials, vectors, full text and the journal of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np

from . import fulltext, sqlite_readings, sqlite_vectors
from .database import Database
from .errors import Conflict, MemoryFileError, NoteMissing
from .filters import conditions
from .nearest import Nearest
from .note import CODE, Author, Evidence, Link, LinkType, Note, PastTrial, Proposal, clean, in_utc
from .sidecar import FROM
from .sqlite_changes import Writing
from .sqlite_check import faults
from .sqlite_notes import missing
from .sqlite_rows import CHANGE, LATEST, LINK, NOTE, ONE_OF, ids, to_change, to_link, to_note, to_trial
from .store import Change, Filter

_ANY = Filter()
_PAGE = 500  # notes read at once: a listing keeps no transaction open while its reader thinks


class SQLiteStore:
    """A `Store` in one file, made with its folder if it is not there.

    Args:
        sidecar_from: vectors of a model from which an index beside the file names what may be near, where `usearch` is
            installed; None always searches exactly.

    Raises:
        MemoryFileError: in every method, when the file is no memory, is damaged or cannot be written.
    """

    def __init__(self, path: Path | str, *, sidecar_from: int | None = FROM) -> None:
        self.path = Path(path)
        self._database = Database(self.path)
        self._searches: dict[str, Nearest] = {}  # by each model
        self._sidecar_from = sidecar_from
        self._embedded: dict[str, int] = {}  # of each model: no note that was last changed up to here lacks a vector
        self._whole: Writing | None = None  # what all changes are parts of, within `together`

    def add(self, notes: Sequence[Note], links: Sequence[Link] = (), trials: Sequence[PastTrial] = ()) -> list[str]:
        """See `Store.add`."""
        with self._change() as writing:
            new = writing.add(notes)
            made = writing.link(links)
            writing.add_trials(trials)
            what = _many(len(new), "note") if new else _many(made, "link") if made else "rows of trials"
            writing.sign(f"add {what}", _author(notes, links))
        return new

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

    def evolve(self, proposals: Sequence[Proposal], links: Sequence[Link] = ()) -> list[Note]:
        """See `Store.evolve`."""
        with self._change() as writing:
            evolved = [_evolve(writing, proposal) for proposal in proposals]
            made = writing.link(links)
            what = evolved[0].id if len(evolved) == 1 else _many(len(evolved), "note")
            writing.sign(f"evolve {what}" if evolved else f"add {_many(made, 'link')}", _author(proposals, links))
        return evolved

    def support(self, note: str, evidence: Evidence, content: str | None = None, links: Sequence[Link] = ()) -> Note:
        """See `Store.support`."""
        words = {} if content is None else {"content": content}
        with self._change() as writing:
            before = writing.latest(note)
            writing.check_evidence(before.model_copy(update={"evidence": evidence, "author": CODE}))
            after = writing.revise(before, evidence=evidence, author=CODE, **words)
            writing.link(links)
            writing.sign(f"support {after.id}")
        return after

    def links(self, notes: Iterable[str], types: Iterable[LinkType] = ()) -> list[Link]:
        """See `Store.links`."""
        wanted, kinds = ids(notes), list(types)
        sql = f"{LINK} WHERE removed = 0 AND (source {ONE_OF} OR target {ONE_OF}) ORDER BY number"
        with self._database.reading() as connection:
            rows = connection.execute(sql, (wanted, wanted)).fetchall()
        return [link for link in map(to_link, rows) if not kinds or link.type in kinds]

    def unlink(self, link: Link) -> None:
        """See `Store.unlink`."""
        with self._change() as writing:
            writing.unlink(link)
            writing.sign(f"unlink {link.source} from {link.target}")

    def forget(self, note: str) -> None:
        """See `Store.forget`."""
        with self._change() as writing:
            writing.forget(note)
            writing.sign(f"forget {note}")

    def revive(self, note: str) -> None:
        """See `Store.revive`."""
        with self._change() as writing:
            writing.revive(note)
            writing.sign(f"revive {note}")

    @contextmanager
    def together(self, what: str) -> Iterator[None]:
        """See `Store.together`."""
        with self._database.writing() as connection:
            if self._whole is not None:
                yield
                return
            self._whole = Writing(connection)
            try:
                yield
                self._whole.sign(what)
            finally:
                self._whole = None

    def undo(self) -> Change | None:
        """See `Store.undo`."""
        with self._change() as writing:
            return writing.undo()

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

    def put_vectors(self, model: str, vectors: Mapping[tuple[str, int], np.ndarray]) -> None:
        """See `Store.put_vectors`."""
        with self._database.writing() as connection:
            sqlite_vectors.put(connection, clean(model), vectors)

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

    def put_reading(self, reader: str, note: str, revision: int, outcome: str) -> None:
        """See `Store.put_reading`."""
        with self._database.writing() as connection:
            sqlite_readings.put(connection, reader, note, revision, outcome)

    def unread(self, reader: str, where: Filter = _ANY, limit: int = 1000) -> list[Note]:
        """See `Store.unread`."""
        with self._database.reading() as connection:
            return sqlite_readings.unread(connection, reader, where, limit)

    def check(self) -> list[str]:
        """See `Store.check`."""
        try:
            with self._database.writing() as connection:  # SQLite takes the check of the full-text index for a write
                return faults(connection)
        except MemoryFileError as error:
            return [str(error)]

    def close(self) -> None:
        """See `Store.close`."""
        self._database.close()

    @contextmanager
    def _change(self) -> Iterator[Writing]:
        with self._database.writing() as connection:
            yield Writing(connection, self._whole)

    def _nearest_of(self, model: str, dimensions: int) -> Nearest:
        if model not in self._searches:
            self._searches[model] = Nearest(self.path, model, dimensions, self._sidecar_from)
        return self._searches[model]


def _evolve(writing: Writing, proposal: Proposal) -> Note:
    before = writing.latest(proposal.note)
    if before.revision != proposal.revision:
        raise Conflict(
            f"a proposal must be for the latest revision, but {before.id} is at {before.revision}, "
            f"not {proposal.revision}; read the note again and retry"
        )
    words = {"content": proposal.content, "keywords": proposal.keywords, "tags": proposal.tags}
    changes = {name: value for name, value in {**words, "context": proposal.context}.items() if value is not None}
    recalled = before.recalled or proposal.recalled
    return writing.revise(before, author=proposal.author, recalled=recalled, **changes)


def _author(*written: Sequence[Note | Link | Proposal]) -> Author:
    """Whose change it is: the first one's of what was written."""
    return next((one.author for some in written for one in some), CODE)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
