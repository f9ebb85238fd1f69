"""Records to rows of SQLite and back. Lists and records inside a note are JSON, times whole microseconds since 1970."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from .errors import MemoryFileError
from .note import Author, Link, Note, PastTrial, clean, in_utc
from .store import Change

Row = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTE = (
    "SELECT n.id, n.kind, n.task, n.study, r.revision, r.content, r.keywords, r.tags, r.context, r.evidence, "
    "r.recalled, r.author, r.time FROM notes n JOIN revisions r ON r.note = n.id"
)
LATEST = f"{NOTE} AND r.revision = n.head"
LINK = "SELECT source, target, type, author FROM links"
ONE_OF = "IN (SELECT value FROM json_each(?))"  # its parameter is made by `ids`
LINK_IS = "source = ? AND target = ? AND type = ? AND removed = 0"
CHANGE = "SELECT number, time, what, author, undone FROM journal"


def to_microseconds(time: datetime) -> int:
    """Exact, where a float of seconds is not."""
    return (in_utc(time) - _EPOCH) // timedelta(microseconds=1)


def to_time(microseconds: int) -> datetime:
    """What `to_microseconds` was given, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def to_json(value: Any) -> str:
    """Of plain values, or of a record. NaN and infinities stay what they are, for Python reads them again."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    return json.dumps(clean(value), ensure_ascii=False)


def ids(names: Iterable[object]) -> str:
    """The parameter of `ONE_OF`: any number of names in one."""
    return to_json([str(name) for name in names])


def revision_row(note: Note) -> Row:
    """The columns of `revisions`."""
    evidence = None if note.evidence is None else to_json(note.evidence)
    words = (clean(note.content), to_json(note.keywords), to_json(note.tags), clean(note.context))
    author = to_json(note.author)
    return (note.id, note.revision, *words, evidence, note.recalled, author, to_microseconds(note.time))


def to_note(row: Row) -> Note:
    """A note from what `NOTE` or `LATEST` selects.

    Raises:
        MemoryFileError: when the row holds what no version of Luthier wrote.
    """
    name, kind, task, study, revision, content, keywords, tags, context, evidence, recalled, author, time = row
    try:
        return Note(
            id=name,
            kind=kind,
            task=task or "",
            study=study,
            revision=revision,
            content=content,
            keywords=json.loads(keywords),
            tags=json.loads(tags),
            context=context,
            evidence=None if evidence is None else json.loads(evidence),
            recalled=bool(recalled),
            author=json.loads(author),
            time=to_time(time),
        )
    except (ValueError, TypeError) as error:
        raise MemoryFileError(
            f"a revision must be readable, but {revision} of {name} is not ({error}); restore a copy of the file"
        ) from error


def to_link(row: Row) -> Link:
    """A link from what `LINK` selects."""
    source, target, kind, author = row
    return Link(source=source, target=target, type=kind, author=json.loads(author))


def trial_row(trial: PastTrial) -> Row:
    """The columns of `trials`; the record's own are JSON, for a column of SQLite would make NaN a NULL."""
    return (clean(trial.id), clean(trial.task), to_microseconds(trial.time), to_json(_timeless(trial)))


def to_trial(row: Row) -> PastTrial:
    """A trial from its `row` and `time`."""
    record, time = row
    return PastTrial(**json.loads(record), time=to_time(time))


def to_change(row: Row) -> Change:
    """A change from what `CHANGE` selects."""
    number, time, what, author, undone = row
    return Change(number, to_time(time), what, Author(**json.loads(author)), bool(undone))


def _timeless(trial: PastTrial) -> dict[str, Any]:
    return trial.model_dump(exclude={"time"})
