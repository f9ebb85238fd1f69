"""Writing a study into the memory: its task, its trials, its failures and its lessons. Writing twice writes once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..trials.diagnosis import diagnose
from ..trials.records import State, Trial, best_trial
from .claims import added, claim, support
from .errors import as_faults
from .lessons import best_of, effect_of, worded
from .note import Evidence, Kind, Link, LinkType, Note, PastTrial, stable_id
from .store import Store
from .task import Task
from .ties import same_space
from .wording import config_words, cut

MAX_DETAIL = 2_000  # characters of a failure's last lines


@as_faults()
def record(
    store: Store, task: Task, study: str, uid: str, trials: Sequence[Trial], *, before: Sequence[Trial] = ()
) -> int:
    """Keep the finished trials of a study; how many are new. What they teach is `learn`'s.

    Args:
        study: its name.
        uid: what tells it from other studies of the same name: where it lies.
        before: the study's trials before these, which are kept already. Curves are judged against the best of all.

    Raises:
        MemoryFileError: the memory cannot be written.
        Refused: a trial has what no row can hold.
    """
    best = best_trial([*before, *trials], task.direction)
    reference = None if best is None else best.value
    rows = [past_trial(task, study, uid, trial, reference) for trial in trials if trial.finished]
    if not rows:
        return 0
    last = [stable_id(Kind.TRIAL, uid, trial.number) for trial in before[-1:]]
    chain = pairwise([*last, *(row.id for row in rows)])
    links = [Link(source=later, target=earlier, type=LinkType.NEXT_TRIAL) for earlier, later in chain]
    links += same_space(store, task)
    new = store.add([task.note(study), *(_trial_note(task, row) for row in rows)], links, rows)
    return len(new) - (task.id in new)


@as_faults()
def learn(store: Store, task: Task) -> None:
    """Bring what the task's notes claim in line with all of its trials; nothing is written where nothing changed.

    Raises:
        MemoryFileError: the memory cannot be written.
    """
    trials = store.trials(task.id)
    if not trials:
        return
    note, kept = task.note(trials[0].study), store.get(task.id)
    # An older version cut the words of wide tasks, which then could not be read back. A person's words stay.
    content = note.content if kept.author.by == "code" and Task.read(kept) is None else None
    support(store, note, best_of(task, trials), content)
    for cause in dict.fromkeys(row.cause for row in trials if row.cause):
        _learn_failure(store, task, cause, [row for row in trials if row.cause == cause])
    for name in task.space:
        _learn_effect(store, task, name, trials)


def past_trial(task: Task, study: str, uid: str, trial: Trial, reference: float | None = None) -> PastTrial:
    """A trial as a row of the memory; `reference` is the study's best value, which its curve is judged against."""
    failure, curve = trial.failure, trial.trajectory.steps
    return PastTrial(
        id=stable_id(Kind.TRIAL, uid, trial.number),
        task=task.id,
        study=study,
        number=trial.number,
        config=dict(trial.config),
        value=_value(trial),
        state=trial.state.value,
        cause="" if failure is None else failure.cause.value,
        detail="" if failure is None else failure.detail.strip()[-MAX_DETAIL:],
        diagnosis=diagnose(trial, task.direction, task.metric, reference).verdict.value if curve else "",
        seconds=trial.seconds,
    )


def _value(trial: Trial) -> float | None:
    """Of a stopped trial what its curve was expected to reach, where that is known, not its last report."""
    if trial.state is State.FAILED:
        return None
    expected = trial.extra.get("expected") if trial.state is State.PRUNED else None
    return trial.value if expected is None else float(expected)


def _trial_note(task: Task, row: PastTrial) -> Note:
    about, why = ("about ", " (stopped early)") if row.stopped else ("", "")
    outcome = f"{cut(task.metric)} {about}{row.value:.6g}{why}" if row.value is not None else row.cause or row.state
    content = f"trial {row.number} of {cut(row.study)}: {outcome}; {config_words(row.config)}"
    return Note(id=row.id, kind=Kind.TRIAL, content=content, task=task.id, study=row.study, time=row.time)


def _learn_failure(store: Store, task: Task, cause: str, rows: list[PastTrial]) -> None:
    """One note for each cause of failure in a task, with the trials that it took."""
    note = failure_note(task, cause, rows)
    if not added(store, note) and note.evidence is not None:
        support(store, note, note.evidence, note.content)


def failure_note(task: Task, cause: str, rows: Sequence[PastTrial]) -> Note:
    """What a task's trials that failed for one cause come to, oldest first."""
    last = rows[-1].detail.splitlines()[-1] if rows[-1].detail else ""
    times = "once" if len(rows) == 1 else f"{len(rows)} times"
    configs = "; ".join(config_words(row.config) for row in rows[-3:])
    content = f"{cut(task.script)} failed {times} ({cause}): {last}\nLately with {configs}"
    evidence = Evidence(
        trials=tuple(row.id for row in rows),
        metric=task.metric,
        direction=task.direction,
        diagnosis=cause,
        seconds=sum(row.seconds for row in rows),
    )
    return Note(
        id=stable_id(Kind.FAILURE, task.id, cause),
        kind=Kind.FAILURE,
        content=content,
        keywords=tuple(cause.split()),
        tags=("failure",),
        context=f"why runs gave no {task.metric}{task.data_words}",
        task=task.id,
        study=rows[-1].study,
        evidence=evidence,
    )


def _learn_effect(store: Store, task: Task, name: str, trials: list[PastTrial]) -> None:
    """One lesson for each hyperparameter whose effect was once sure; it is weakened or superseded, never deleted."""
    found = effect_of(name, task, trials)
    if found is None:
        return
    note = Note(
        id=stable_id(Kind.LESSON, task.id, name),
        kind=Kind.LESSON,
        content=worded(name, found, task),
        keywords=(name, task.metric),
        tags=("effect",),
        context=f"seen while tuning {task.metric}{task.data_words}",
        task=task.id,
        study=trials[-1].study,
        evidence=found,
    )
    claim(store, note, lambda now: worded(name, now, task), trials)
