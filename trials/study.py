"""The study: one tuning problem in one folder, its trials in Optuna's storage.

Optuna owns what happened to trials; this class adds what Optuna does not know (attempts, reasons, trajectories) as
attributes of the same rows. A trial is created by one insert and finished by one update, so that a kill at any moment
leaves it either running, and then it is attempted again, or finished, and then it stays so.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from .distributions import to_distribution
from .errors import StudyError
from .frozen import ATTEMPT, OUTCOME, START, outcome_attributes, start_attributes, to_trial
from .records import Candidate, Config, Direction, Outcome, State, Trial, best_trial
from .space import Space
from .spec import space_from_dict, space_to_dict

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

DATABASE = "study.db"
LOCK = "lock"
INFO = "luthier:study"  # attribute of the Optuna study that holds ours
NOISE = "luthier:noise"
SECONDS_TO_WAIT = 30  # for another writer of the database, before giving up


class Study:
    """A study folder. Open it with `create`, `open` or `open_or_create`, not with the constructor."""

    def __init__(self, folder: Path, storage: BaseStorage, study_id: int, info: Mapping[str, Any]) -> None:
        self.folder, self._storage, self._id, self._info = folder, storage, study_id, dict(info)
        self.space: Space | None = _read_space(info)
        self.name, self.metric, self.seed = str(info["name"]), str(info["metric"]), int(info["seed"])
        self.direction = Direction(info["direction"])
        self.uid = str(info.get("uid") or folder.resolve())  # the same wherever the folder is moved
        self.lots = int(info["lots"]) if "lots" in info else _number(self.uid)  # the seed of what is drawn by lot
        self._finished: dict[int, Trial] = {}  # finished trials never change but by `annotate`

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        name: str,
        space: Space | None,
        metric: str,
        direction: Direction,
        seed: int = 0,
        spec: Mapping[str, Any] | None = None,
    ) -> Self:
        """A new study. `space=None` grows later from what an objective suggests.

        Raises:
            StudyError: when the folder holds a study already, or another process is making one there.
            OSError: when the folder cannot be written.
        """
        info = {
            "name": name,
            "uid": secrets.token_hex(8),
            "metric": metric,
            "direction": direction.value,
            "seed": seed,
            "space": _write_space(space),
            "spec": dict(spec or {}),
        }
        info["lots"] = lots_of(folder, info)
        folder.mkdir(parents=True, exist_ok=True)
        with _held(folder):
            if (folder / DATABASE).exists():
                raise StudyError(f"{folder} must hold no study yet, but it does; open it, or choose another folder")
            _make_database(folder / DATABASE, name, direction, info)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """A study that exists.

        Raises:
            StudyError: when there is none, or its database cannot be read.
        """
        path = folder / DATABASE
        if not path.exists():
            raise StudyError(f"{folder} must hold a study, but {DATABASE} is missing; check the name, or create one")
        with _reading(path):
            storage = _connect(path)
            studies = storage.get_all_studies()
            info = studies[0].user_attrs[INFO] if studies else None
            if info is not None:
                return cls(folder, storage, studies[0]._study_id, info)
        raise StudyError(f"{path} holds no study: its creation was cut short; delete the file and start again")

    @classmethod
    def open_or_create(
        cls,
        folder: Path,
        *,
        name: str,
        space: Space | None,
        metric: str,
        direction: Direction,
        seed: int = 0,
        spec: Mapping[str, Any] | None = None,
    ) -> Self:
        """The study of a folder, created if it is not there.

        Raises:
            StudyError: when it exists with another space, metric or direction, naming the difference.
        """
        if not (folder / DATABASE).exists():
            return cls.create(folder, name=name, space=space, metric=metric, direction=direction, seed=seed, spec=spec)
        study = cls.open(folder)
        difference = study._difference(space, metric, direction)
        if difference:
            study.close()
            raise StudyError(
                f"{folder} holds a study with another {difference}; "
                "go on with the same one, or start anew with another name or --dir"
            )
        return study

    def _difference(self, space: Space | None, metric: str, direction: Direction) -> str | None:
        if metric != self.metric:
            return f"metric (there {self.metric!r}, now {metric!r})"
        if direction is not self.direction:
            return f"direction (there {self.direction}, now {direction})"
        there, now = self._info["space"] or {}, _write_space(space) or {}
        if space is None or there == now:
            return None
        before, after = there.get("space", {}), now.get("space", {})
        for name in {**before, **after}:
            if before.get(name) != after.get(name):
                return f"space: {name!r} was {before.get(name, 'absent')}, is {after.get(name, 'absent')}"
        return f"space: the constraints were {there.get('constraints')}, are {now.get('constraints')}"

    @property
    def spec(self) -> Mapping[str, Any]:
        """The study file as it was given, JSON-able; empty for a study made in Python."""
        return dict(self._info.get("spec", {}))

    @property
    def trials(self) -> list[Trial]:
        """All trials by number, running ones included, fresh from the storage.

        Raises:
            StudyError: when the database is damaged.
        """
        trials = []
        with _reading(self.folder / DATABASE):
            for one in self._storage.get_all_trials(self._id, deepcopy=False):
                trial = self._finished.get(one.number) or to_trial(one)
                if trial.finished:
                    self._finished[one.number] = trial
                trials.append(trial)
        return trials

    @property
    def finished(self) -> list[Trial]:
        """The trials that will not change any more, by number."""
        return [trial for trial in self.trials if trial.finished]

    @property
    def best(self) -> Trial | None:
        """The complete trial with the best value."""
        return best_trial(self.finished, self.direction)

    @property
    def default(self) -> Trial | None:
        """Trial 0, once it is finished."""
        return next((trial for trial in self.finished if trial.number == 0), None)

    @property
    def noise(self) -> list[float]:
        """Values of the extra runs of trial 0, trial 0 itself not among them."""
        return [value for value, _ in self._noise()]

    @property
    def seconds(self) -> float:
        """Wall time of all finished trials and of the extra runs of trial 0."""
        return sum(trial.seconds for trial in self.finished) + self.noise_seconds

    @property
    def noise_seconds(self) -> float:
        """Wall time of the extra runs of trial 0."""
        return sum(seconds for _, seconds in self._noise())

    @property
    def failures(self) -> int:
        """How many trials failed."""
        return sum(trial.state is State.FAILED for trial in self.finished)

    def next_number(self) -> int:
        """The trial to run now: the one that a kill left running, else a new one."""
        trials = self.trials
        return min((trial.number for trial in trials if not trial.finished), default=len(trials))

    def running(self, number: int) -> Trial | None:
        """The trial of this number if it is there and not finished."""
        trial = self._find(number)
        return None if trial is None or trial.finished else trial

    def begin(self, number: int, candidate: Candidate, **extra: Any) -> Trial:
        """Record that a trial starts; one that a kill left running begins its next attempt, as first proposed.

        Raises:
            StudyError: when the trial is finished, or `number` is not the next.
        """
        there = self._find(number)
        if there is not None:
            if there.finished:
                raise StudyError(f"trial {number} must not be finished to begin, but it is {there.state}")
            self._set(number, ATTEMPT, there.attempt + 1)
            return self._get(number)
        if number != (count := self._storage.get_n_trials(self._id)):
            raise StudyError(f"trials begin in order: the next is {count}, but got {number}")
        self._insert(candidate, extra)
        return self._get(number)

    def finish(self, number: int, outcome: Outcome, **extra: Any) -> Trial:
        """Record a trial's outcome; a finished trial stays as it is."""
        from optuna.trial import TrialState

        trial = self._get(number)
        if trial.finished:
            return trial
        self._set(number, OUTCOME, outcome_attributes(outcome, {**trial.extra, **extra}))
        states = {State.COMPLETE: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED, State.FAILED: TrialState.FAIL}
        values = None if outcome.state is not State.COMPLETE or outcome.value is None else [outcome.value]
        self._storage.set_trial_state_values(self._trial_id(number), states[outcome.state], values)
        return self._get(number)

    def annotate(self, number: int, config: Config | None = None, **extra: Any) -> None:
        """Merge JSON-able values into a running trial's `extra`; `config` is what it really used, if that differs."""
        trial = self._get(number)
        candidate = Candidate(trial.config if config is None else config, trial.source, trial.reason)
        self._set(number, START, start_attributes(candidate, {**trial.extra, **extra}))

    def add_noise(self, value: float, seconds: float = 0.0) -> None:
        """Record one more run of trial 0 and the wall time it took."""
        self._storage.set_study_user_attr(self._id, NOISE, [*self._noise(), [value, seconds]])

    def _noise(self) -> list[list[float]]:
        return list(self._storage.get_study_user_attrs(self._id).get(NOISE, []))

    def grow(self, space: Space) -> None:
        """Take a space that an objective has just shown; only a study that was created without one may grow."""
        self._info["space"] = _write_space(space)
        self._storage.set_study_user_attr(self._id, INFO, self._info)
        self.space = space

    def trial_folder(self, number: int) -> Path:
        """The folder of a trial, created."""
        folder = self.folder / "trials" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one tuner.

        Raises:
            StudyError: when another process holds it.
        """
        with _held(self.folder):
            yield

    def close(self) -> None:
        """Let go of the database."""
        self._storage.remove_session()

    def _insert(self, candidate: Candidate, extra: Mapping[str, Any]) -> None:
        from optuna.trial import TrialState, create_trial

        known = self.space.parameters if self.space is not None else {}
        params = {name: value for name, value in candidate.config.items() if name in known}
        row = create_trial(
            state=TrialState.RUNNING,
            params=params,
            distributions={name: to_distribution(known[name]) for name in params},
            user_attrs={START: start_attributes(candidate, extra), ATTEMPT: 0},
        )
        self._storage.create_new_trial(self._id, template_trial=row)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _set(self, number: int, key: str, value: Any) -> None:
        self._storage.set_trial_user_attr(self._trial_id(number), key, value)

    def _find(self, number: int) -> Trial | None:
        try:
            return self._get(number)
        except KeyError:
            return None

    def _get(self, number: int) -> Trial:
        return self._finished.get(number) or to_trial(self._storage.get_trial(self._trial_id(number)))


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The folder's lock."""
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StudyError(
                f"one tuner a study: {folder} is in use by another process; wait for it, or stop it"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever the rows of a damaged database come to is one message."""
    import sqlalchemy.exc

    try:
        yield
    except StudyError:
        raise
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise StudyError(f"{path} cannot be read as a study ({_first_line(error)}); restore or move it") from error


def lots_of(folder: Path, info: Mapping[str, Any]) -> int:
    """The seed of a new study's lots: another one for each of the studies beside one another, which share the default
    seed and are pooled in accounts; the same for the same study made again in a folder of that name."""
    told = [info.get(fact) for fact in ("name", "seed", "metric", "direction", "space")]
    return _number(json.dumps([folder.resolve().name, *told, info.get("spec", {}).get("run")]))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _make_database(path: Path, name: str, direction: Direction, info: Mapping[str, Any]) -> None:
    """Make it under another name and give it its own at the end, so that a kill leaves either none or a whole one."""
    from optuna.study import StudyDirection

    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    storage = _connect(part)
    study_id = storage.create_new_study([StudyDirection[direction.name]], name)
    storage.set_study_user_attr(study_id, INFO, info)
    storage.remove_session()
    part.replace(path)


def _connect(path: Path) -> BaseStorage:
    import optuna
    import sqlalchemy.exc

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        return optuna.storages.get_storage(
            optuna.storages.RDBStorage(
                f"sqlite:///{path.resolve()}", engine_kwargs={"connect_args": {"timeout": SECONDS_TO_WAIT}}
            )
        )
    except sqlalchemy.exc.OperationalError as error:
        raise StudyError(f"{path} must be writable, but is not ({_first_line(error)}); choose another --dir") from error


def _write_space(space: Space | None) -> dict[str, Any] | None:
    if space is None:
        return None
    return {"space": json.loads(json.dumps(space_to_dict(space))), "constraints": list(space.constraints)}


def _read_space(info: Mapping[str, Any]) -> Space | None:
    kept = info["space"]
    return None if kept is None else Space(space_from_dict(kept["space"]), tuple(kept["constraints"]))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
