"""Whether a note's evidence is what its trials say: computed anew from their rows, as `recording.py` does it."""

from __future__ import annotations

import math

from .errors import NoteMissing
from .lessons import best_of, effect_of, is_sure, worded
from .note import Evidence, Kind, Note, PastTrial, Standing, stable_id
from .recording import failure_note
from .store import Store
from .task import Task

CLOSE = 1e-6  # relative: another NumPy adds up in another order
_NUMBERS = ("best", "effect", "low", "high", "seconds")


def holds(store: Store, note: Note) -> bool | None:
    """Whether a note's evidence is what code makes of the trials that it names; None where code cannot tell."""
    found = recomputed(store, note)
    return None if found is None or note.evidence is None else _agree(found[0], note.evidence)


def correct(store: Store, note: Note) -> bool:
    """Give a note code's evidence and words where its own evidence does not hold; whether that was so.

    Raises:
        MemoryFileError: the memory cannot be written.
    """
    found = recomputed(store, note)
    # What was recalled since is shown as unsound, but can get no evidence any more.
    if found is None or note.recalled or note.evidence is None or _agree(found[0], note.evidence):
        return False
    store.support(note.id, *found)
    return True


def recomputed(store: Store, note: Note) -> tuple[Evidence, str] | None:
    """Evidence and words by code, from the very trials that a note names.

    None where the rows of these trials or the task are not here, and for a note that is none of code's.
    """
    task, named = _task(store, note), set(note.evidence.trials if note.evidence else ())
    rows = [] if task is None else [row for row in store.trials(task.id) if row.id in named]
    if task is None or note.evidence is None or not rows or len(rows) != len(named):
        return None
    if note.kind is Kind.TASK:
        return best_of(task, rows), note.content
    return _failure(note, task, rows) if note.kind is Kind.FAILURE else _effect(note, note.evidence, task, rows)


def _failure(note: Note, task: Task, rows: list[PastTrial]) -> tuple[Evidence, str] | None:
    found = failure_note(task, rows[0].cause, rows)
    one = {row.cause for row in rows} == {rows[0].cause}
    return (found.evidence, found.content) if one and found.id == note.id and found.evidence else None


def _effect(note: Note, claimed: Evidence, task: Task, rows: list[PastTrial]) -> tuple[Evidence, str] | None:
    name = next((name for name in task.space if stable_id(Kind.LESSON, task.id, name) == note.id), None)
    found = None if name is None else effect_of(name, task, rows)
    if name is None or found is None:
        return None
    # What is sure now may be the opposite of what it was: that is history, which the trials alone do not tell.
    opposite = claimed.standing is Standing.SUPERSEDED
    sure = Standing.SUPERSEDED if opposite else Standing.SUPPORTED
    found = found.model_copy(update={"standing": sure if is_sure(found) else Standing.WEAKENED})
    return found, worded(name, found, task)


def _task(store: Store, note: Note) -> Task | None:
    try:
        return Task.read(store.get(note.id if note.kind is Kind.TASK else note.task))
    except NoteMissing:
        return None


def _agree(one: Evidence, other: Evidence) -> bool:
    plain = {*_NUMBERS, "trials"}
    same = one.model_dump(exclude=plain) == other.model_dump(exclude=plain) and set(one.trials) == set(other.trials)
    return same and all(_close(getattr(one, name), getattr(other, name)) for name in _NUMBERS)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=CLOSE, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
