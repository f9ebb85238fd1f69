"""The links that code makes while it records and learns. Each is written with what it belongs to, and made once.

- *next trial*: from a trial to the one before it in its study (`recording.py`);
- *same space*: from a new task to the latest one before it with the same hyperparameters and ranges, a chain;
- *same study*: from a new lesson or failure to the latest one before it that the same study taught, a chain;
- *supports*, *refutes*: to a lesson, from the last trial of a study that met it later: the claim stood its trials, or
  they took it down.

*Same task* needs no link: a note names its task. *Similar* and *derived* are made in `likeness.py` and by a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..trials.space import Parameter, Space
from .note import Evidence, Kind, Link, LinkType, Note, PastTrial, Standing
from .store import Filter, Store
from .task import Task

TAUGHT = (Kind.LESSON, Kind.FAILURE)


def same_space(store: Store, task: Task) -> list[Link]:
    """The link of a task that is not in the memory yet; none where it is, or where it is the first of its space."""
    if store.links([task.id], [LinkType.SAME_SPACE]) or store.count(Filter(kinds=(Kind.TASK,), tasks=(task.id,))):
        return []
    names = task.note("").keywords
    for note in reversed(list(store.notes(Filter(kinds=(Kind.TASK,))))):
        # The names first: to read a task from its words takes milliseconds.
        if note.keywords == names and (other := Task.read(note)) and _ranges(other.space) == _ranges(task.space):
            return [Link(source=task.id, target=note.id, type=LinkType.SAME_SPACE)]
    return []


def same_study(store: Store, note: Note) -> list[Link]:
    """The link of a lesson or failure that was just added; none for the first of its study."""
    taught = store.notes(Filter(kinds=TAUGHT, tasks=(note.task,), studies=(note.study,)))
    others = [one.id for one in taught if one.id != note.id]
    return [Link(source=note.id, target=others[-1], type=LinkType.SAME_STUDY)] if others else []


def verdict(store: Store, lesson: Note, now: Evidence, trials: Sequence[PastTrial]) -> list[Link]:
    """The link from the newest trial of a lesson's new evidence; none where its study has said the same before.

    Args:
        lesson: with the evidence that it had.
        trials: all of the task, oldest first.
    """
    before = lesson.evidence
    kind = None if before is None else said(before.standing, now.standing)
    known = set(before.trials if before else ())
    new = [trial for trial in now.trials if trial not in known]
    if kind is None or not new:
        return []
    newest = max(new, key=[trial.id for trial in trials].index)
    studies = {trial.id: trial.study for trial in trials}
    told = {studies.get(link.source) for link in store.links([lesson.id], [kind])}
    return [] if studies[newest] in told else [Link(source=newest, target=lesson.id, type=kind)]


def said(before: Standing, now: Standing) -> LinkType | None:
    """What new trials say of a claim; None where they leave open what was open."""
    if now is Standing.SUPPORTED:
        return LinkType.SUPPORTS
    if now is Standing.SUPERSEDED or before is Standing.SUPPORTED:
        return LinkType.REFUTES
    return None


def _ranges(space: Space) -> tuple[dict[str, Parameter], tuple[str, ...]]:
    """What makes spaces the same: not what they start from, nor what is said of them."""
    plain = {name: replace(one, default=None, description="") for name, one in space.parameters.items()}
    return plain, space.constraints
