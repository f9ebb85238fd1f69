"""Optuna's storages and trials as Luthier reads them. A storage is only read: nothing is made or upgraded in it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..trials.records import Cause, Failure, State, Trajectory, Trial, Value
from ..trials.space import Choice, Float, Int, Parameter, Space
from .errors import ImportFault

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

_SQLITE = b"SQLite format 3\0"  # the first bytes of its files


@contextmanager
def opened(url: str) -> Iterator[tuple[BaseStorage, str]]:
    """An Optuna storage that is there, and a name that tells it from others: a URL, or a file of SQLite or a journal.

    Raises:
        ImportFault: there is none, or it is no storage that this Optuna reads.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = Path(url).expanduser()
    if "://" in url or _is_sqlite(path, url):
        with _database(url if "://" in url else f"sqlite:///{path}") as (storage, name):
            yield storage, name
        return
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImportFault(f"{url} must be a database or a journal of Optuna, but is neither; check the path") from error
    yield storage, f"journal:{path.resolve()}"


def metric_of(study: Study) -> str:
    """What the study calls its value, `value` where it has no name for it."""
    named: object = study.metric_names[0] if study.metric_names else study.user_attrs.get("metric")
    return named if isinstance(named, str) and named else "value"


def space_of(trials: Sequence[FrozenTrial], names: Mapping[str, str]) -> Space:
    """The space in which all trials lie: of each hyperparameter the widest range, or all choices.

    Raises:
        SpaceError: there are no hyperparameters, or one has a range that a study file cannot have.
    """
    ranges: dict[str, list[BaseDistribution]] = {}
    tried: dict[str, list[Any]] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            ranges.setdefault(name, []).append(distribution)
            tried.setdefault(name, []).append(trial.params[name])
    return Space({names[name]: _merged(ranges[name], tried[name]) for name in ranges})


def to_trial(trial: FrozenTrial, names: Mapping[str, str], metric: str) -> Trial:
    """A finished trial as a record. A value that is no finite number is a failure, as it is in a study."""
    from optuna.trial import TrialState

    state = {TrialState.COMPLETE: State.COMPLETE, TrialState.PRUNED: State.PRUNED}.get(trial.state, State.FAILED)
    value = trial.value if trial.value is not None and math.isfinite(trial.value) else None
    curve = dict(sorted(trial.intermediate_values.items()))
    failure = None
    if state is State.FAILED or (state is State.COMPLETE and value is None):
        nan = state is State.COMPLETE or not all(map(math.isfinite, curve.values()))
        state, value = State.FAILED, None
        failure = Failure(Cause.NAN if nan else Cause.CRASH, f"{metric} was {trial.value}" if nan else "")
    return Trial(
        number=trial.number,
        config={names[name]: _plain(chosen) for name, chosen in trial.params.items()},
        state=state,
        value=value,
        trajectory=Trajectory(tuple(curve), {metric: tuple(curve.values())}) if curve else Trajectory(),
        failure=failure,
        seconds=trial.duration.total_seconds() if trial.duration else 0.0,
    )


def _is_sqlite(path: Path, url: str) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise ImportFault(f"an Optuna storage must be a URL or a file, but {url!r} cannot be read: {error}") from error


@contextmanager
def _database(url: str) -> Iterator[tuple[BaseStorage, str]]:
    from optuna.exceptions import OptunaError
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    url, name, shown = _resolved(url)
    try:
        if not _holds_studies(url):
            raise ImportFault(f"{shown} must be a storage of Optuna, but it holds no Optuna study; check the path")
        storage = RDBStorage(url, skip_table_creation=True)
    except (SQLAlchemyError, OptunaError, ImportError, RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split()) or "it has no version"
        raise ImportFault(f"{shown} must be a storage that this version of Optuna reads, but {reason}") from error
    try:
        yield storage, name
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _holds_studies(url: str) -> bool:
    """Whether a database has Optuna's tables: what Optuna says of one that has none is about something else."""
    from sqlalchemy import create_engine, inspect

    engine = create_engine(url)
    try:
        return {"studies", "version_info"} <= set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _resolved(url: str) -> tuple[str, str, str]:
    """A URL with an absolute path, its name without the password, which may change, and what may be shown of it."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ImportFault(f"a storage must be like sqlite:///optuna.db, but got {url!r}") from error
    if parsed.drivername.startswith("sqlite"):
        path = Path(parsed.database or "")
        if not path.is_file():  # SQLite would make one
            raise ImportFault(f"an Optuna storage must be there, but {path} is no file; check the path")
        parsed = parsed.set(database=str(path.resolve()))
    bare = parsed.set(password=None).render_as_string()
    return parsed.render_as_string(hide_password=False), bare, parsed.render_as_string()


def _merged(ranges: Sequence[BaseDistribution], tried: Sequence[Any]) -> Parameter:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    listed = [choice for one in ranges if isinstance(one, CategoricalDistribution) for choice in one.choices]
    numeric = [one for one in ranges if isinstance(one, FloatDistribution | IntDistribution)]
    if listed or not numeric:
        return Choice(_different([*listed, *tried]))
    # A value that was enqueued by hand may lie outside of its range.
    low = min([one.low for one in numeric] + list(tried))
    high = max([one.high for one in numeric] + list(tried))
    if low == high:
        return Choice((low,))
    log = low > 0 and any(one.log for one in numeric)
    steps = {(one.step, one.low) for one in numeric}
    step = numeric[0].step if len(steps) == 1 and numeric[0].low == low and not log else None
    if all(isinstance(one, IntDistribution) for one in numeric) and all(isinstance(v, int) for v in tried):
        return Int(int(low), int(high), log=log, step=int(step or 1))
    return Float(float(low), float(high), log=log, step=step)


def _different(values: Iterable[Any]) -> tuple[Value, ...]:
    found: dict[tuple[bool, Value], Value] = {}
    for value in map(_plain, values):
        found.setdefault((isinstance(value, bool), value), value)
    return tuple(found.values())


def _plain(value: Any) -> Value:
    """A choice as a study file can have it: None, a list or a number that is not finite is kept as text."""
    if isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return json.dumps(value) if isinstance(value, list | tuple | dict) else str(value)
