"""Past runs that others kept, as tasks and trials of the memory: Optuna's storages and tables of text.

An import is one change of the memory, which is there as a whole or not at all, and undone as one. It is repeated to
bring what is new, and what was undone; what was forgotten stays so. What tells its runs from
others is where they lie and what they are of; a hyperparameter that shows up later makes another task, to which all
runs belong anew.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ..trials.errors import SpaceError
from ..trials.records import Config, Direction, Trial, Value
from ..trials.space import Space
from . import csv_table, optuna_storage
from .errors import ImportFault, NoteMissing
from .foreign import Progress, identifiers, silent
from .note import Kind, Note, stable_id
from .recording import learn, record
from .store import Store
from .task import Task
from .wording import config_words

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

NOTHING: Mapping[str, float] = {}


@dataclass(frozen=True)
class ImportedStudy:
    """What became of one study, or of one table."""

    study: str
    task: Task | None = None  # None where it was skipped
    trials: int = 0  # that are finished
    new: int = 0  # of those, not in the memory before
    skipped: str = ""  # why


def import_optuna(
    store: Store,
    storage_url: str,
    study: str | None = None,
    script: str | None = None,
    data: Mapping[str, float] = NOTHING,
    on_progress: Progress = silent,
) -> list[ImportedStudy]:
    """Keep the finished trials of every study of an Optuna storage, or of one, and learn from them.

    Args:
        storage_url: a URL, or the path of an SQLite file or of a journal.
        script: what was tuned; studies of one script, space and metric are one task. Else the study's name.
        data: facts of the data, part of what makes a task.

    Raises:
        ImportFault: there is no such storage or study.
        MemoryFileError: the memory cannot be written.
    """
    import optuna

    with optuna_storage.opened(storage_url) as (storage, place):
        known = optuna.get_all_study_names(storage)
        if not known:
            raise ImportFault("an Optuna storage must hold a study, but this one holds none; check the path")
        if study is not None and study not in known:
            near = get_close_matches(study, known, n=1) or known
            raise ImportFault(f"a study must be in the storage, but {study!r} is not; did you mean {near[0]!r}?")
        names = known if study is None else [study]
        done: list[ImportedStudy] = []
        with store.together(f"import {names[0] if len(names) == 1 else f'{len(names)} studies'}"):
            for name in names:
                on_progress(len(done), len(names))
                done.append(_import_study(store, storage, place, name, script, data))
        on_progress(len(done), len(names))
    return done


def import_csv(
    store: Store,
    path: Path,
    metric: str,
    direction: Direction,
    script: str | None = None,
    columns: Sequence[str] | None = None,
    data: Mapping[str, float] = NOTHING,
    on_progress: Progress = silent,
) -> ImportedStudy:
    """Keep the rows of a table of past runs as trials, and learn from them.

    A row that was imported is known again by what it says, wherever it stands by now.

    Args:
        metric: the column of what was tuned for; a row where it is empty is a failed trial.
        script: what was tuned; tables of one script, space and metric are one task. Else the file's name.
        columns: which are hyperparameters; all others where it is None.
        data: facts of the data, part of what makes a task.

    Raises:
        ImportFault: naming the line and the column that is wrong. Nothing is written.
        MemoryFileError: the memory cannot be written.
    """
    table = csv_table.read_table(path)
    chosen = csv_table.columns_of(table, metric, columns)
    plain = identifiers(chosen)
    names = {column: plain[column] for column in chosen}  # in their order
    space = csv_table.space_of(table, names)
    trials = csv_table.trials_of(table, space, names, metric)
    on_progress(0, len(trials))
    place = str(path.resolve())
    task = Task(
        script=script or path.stem,
        metric=metric,
        direction=direction,
        space=space,
        features=dict(data),
        place=_hash(script, place),
    )
    uid = f"{place}\0{task.id}"
    with store.together(f"import {path.name}"):
        found = _kept(store, task, path.stem, uid, _renumbered(store, task, uid, trials))
    on_progress(len(trials), len(trials))
    return found


def _import_study(
    store: Store, storage: BaseStorage, place: str, name: str, script: str | None, data: Mapping[str, float]
) -> ImportedStudy:
    import optuna

    study = optuna.load_study(study_name=name, storage=storage)
    if len(study.directions) > 1:
        return ImportedStudy(name, skipped=f"it has {len(study.directions)} objectives, and a task has one metric")
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    if not finished:
        return ImportedStudy(name, skipped="it has no finished trial")
    names = identifiers(name for trial in finished for name in trial.distributions)
    try:
        task = _task_of(study, optuna_storage.space_of(finished, names), script, f"{place}\0{name}", data)
    except SpaceError as error:
        return ImportedStudy(name, skipped=str(error))
    trials = [optuna_storage.to_trial(trial, names, task.metric) for trial in finished]
    return _kept(store, task, name, f"{place}\0{name}\0{task.id}", trials)


def _task_of(study: Study, space: Space, script: str | None, place: str, data: Mapping[str, float]) -> Task:
    from optuna.study import StudyDirection

    return Task(
        script=script or study.study_name,
        metric=optuna_storage.metric_of(study),
        direction=Direction.MAXIMIZE if study.direction is StudyDirection.MAXIMIZE else Direction.MINIMIZE,
        space=space,
        features=dict(data),
        place=_hash(script, place),
    )


def _kept(store: Store, task: Task, study: str, uid: str, trials: Sequence[Trial]) -> ImportedStudy:
    before = len(store.trials(task.id))
    record(store, task, study, uid, trials)
    learn(store, task)
    # Trials that somebody has forgotten do not come back: what is new is counted, not assumed.
    return ImportedStudy(study, task, len(trials), len(store.trials(task.id)) - before)


def _renumbered(store: Store, task: Task, uid: str, trials: Sequence[Trial]) -> list[Trial]:
    """The trials under the numbers that the memory knows them by, the new ones after those."""
    kept = list(_kept_notes(store, uid))
    rows = {row.id: row for row in store.trials(task.id)}
    known: dict[object, list[int]] = {}
    for number, note in enumerate(kept):
        if row := rows.get(note.id):
            known.setdefault(_says(row.config, row.value), []).append(number)
    hidden = {number: note.content for number, note in enumerate(kept) if note.id not in rows}
    following = len(kept)
    found = []
    for trial in trials:
        taken = _taken(trial, known, hidden)
        found.append(replace(trial, number=following if taken is None else taken))
        following += taken is None
    return sorted(found, key=lambda trial: trial.number)


def _kept_notes(store: Store, uid: str) -> Iterator[Note]:
    """The notes of all trials of earlier imports, forgotten ones too, in the order of their numbers."""
    for number in itertools.count():
        try:
            yield store.get(stable_id(Kind.TRIAL, uid, number))
        except NoteMissing:
            return


def _taken(trial: Trial, known: dict[object, list[int]], hidden: dict[int, str]) -> int | None:
    """The number of a trial that the memory has, each once; None for a new one."""
    if same := known.get(_says(trial.config, trial.value)):
        return same.pop(0)
    # The row of a forgotten trial cannot be read, but its note ends in the configuration.
    words = f"; {config_words(trial.config)}"
    number = next((number for number, content in hidden.items() if content.endswith(words)), None)
    if number is not None:
        del hidden[number]
    return number


def _says(config: Config, value: float | None) -> tuple[object, ...]:
    """What a row says, however its column was read: a text among numbers makes them choices."""
    return value, tuple(sorted((name, _spelled(chosen)) for name, chosen in config.items()))


def _spelled(value: Value) -> str:
    text = str(value).lower().replace(",", ".")
    try:
        return repr(float(text))
    except ValueError:
        return text


def _hash(script: str | None, place: str) -> str:
    """What tells tasks apart whose script nobody has named: where they come from."""
    return "" if script else hashlib.sha256(place.encode()).hexdigest()[:12]
