"""What the memory gives to a study at its begin: past studies for the transfer advisor, and lessons in words."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from .gains import TAG
from .note import Evidence, Kind, Note, PastTrial
from .past import PastStudy
from .store import Filter, Store
from .task import Task

MOST_TASKS = 200  # the most alike, whose trials are read
ALIKE = 0.6  # likeness from which a task's lessons are worth reading: the same script, or hyperparameters and metric


def past_trials(
    store: Store, task: Task, without: Collection[str] = (), hidden_tasks: tuple[str, ...] = ()
) -> list[tuple[Task, list[PastTrial]]]:
    """This and other tasks with their trials, the most alike task first.

    Args:
        without: ids of trials to leave out: the present study's own.
        hidden_tasks: ids of tasks of which nothing is to be seen.
    """
    found = []
    for name, other in _by_likeness(store, task, hidden_tasks)[:MOST_TASKS]:
        if rows := [row for row in store.trials(name) if row.id not in without]:
            found.append((other, rows))
    return found


def as_study(rows: Sequence[PastTrial], other: Task, task: Task) -> PastStudy:
    """The trials of a task as a past study of `task`."""
    values = tuple(row.value if row.state != "failed" else None for row in rows)
    return PastStudy(other.id, other.direction, tuple(row.config for row in rows), values, other.id == task.id)


def lessons(store: Store, task: Task, limit: int = 3, *, hidden_tasks: tuple[str, ...] = ()) -> list[str]:
    """What was learnt of this task, or of those much like it, the surest first: a sentence each.

    Of the configurations that beat a task's default, or fell behind it, only the surest is told.
    """
    alike = [name for name, other in _by_likeness(store, task, hidden_tasks) if task.likeness(other) >= ALIKE]
    if not alike:
        return []
    where = Filter(kinds=(Kind.LESSON,), tasks=tuple(alike), hidden_tasks=hidden_tasks)
    rank = {name: place for place, name in enumerate(alike)}
    found = [(note, note.evidence) for note in store.notes(where) if note.evidence is not None]
    stand = [(note, evidence) for note, evidence in found if evidence.standing == "supported"]
    stand.sort(key=lambda pair: (rank[pair[0].task], -_sureness(pair[1]), pair[0].content))
    told: dict[str, str] = {}
    for note, _ in stand:
        told.setdefault(_subject(note), note.content)
    return list(told.values())[:limit]


def _subject(note: Note) -> str:
    """What only one lesson is told of."""
    return f"{TAG} in {note.task}" if TAG in note.tags else note.id


def _sureness(evidence: Evidence) -> float:
    """How large an effect is beside its interval's width; 0 where it has none."""
    if evidence.effect is None or evidence.low is None or evidence.high is None:
        return 0.0
    width = evidence.high - evidence.low
    return abs(evidence.effect) / width if width > 0 else math.inf


def _by_likeness(store: Store, task: Task, hidden_tasks: tuple[str, ...]) -> list[tuple[str, Task]]:
    """The readable tasks, the most alike first, newer ones before older."""
    where = Filter(kinds=(Kind.TASK,), hidden_tasks=hidden_tasks)
    read = [(note.id, Task.read(note)) for note in store.notes(where)]
    known = [(name, other) for name, other in read if other is not None]
    known.reverse()  # of equally alike tasks the newer one first
    return sorted(known, key=lambda row: -task.likeness(row[1]))
