"""What a suite is: one small file `suite_NAME.py` beside this one with a `SUITE`, which `--suite NAME` finds.

Regret: 0 is the best and 1 the median of the task's reference points (random draws, or every row of a table), kept in
`normalisers.json` so that figures compare between runs and machines. Below 0 is better than every reference point.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from luthier.trials.records import Candidate, Config, Direction, State, Trial
from luthier.trials.space import Space

HERE = Path(__file__).parent
NORMALISERS = HERE / "normalisers.json"
REFERENCE_SEED = 20_251  # draws the reference points; no study seed and no memory uses it
NO_DEFAULT = "none"

Objective = Callable[[Config], float]  # NaN means that the trial failed
Learner = Callable[[Config], Sequence[float]]  # the metric after each epoch of a full training, NaN where it diverged


class DataMissing(Exception):
    """The data of a suite is not there. The message says what was looked for and how to get it."""


class UnknownName(Exception):
    """A suite, task or default that does not exist. The message lists those that do."""


@dataclass(frozen=True)
class Task:
    """One tuning problem with a known answer for each configuration."""

    name: str
    space: Space
    direction: Direction
    objective: Callable[[], Objective]  # a fresh one for each run, since some remember what was evaluated
    reference: Callable[[], Sequence[float]]  # values of the points that define regret 0 and 1; may be slow
    starts: Callable[[str, int], Sequence[Config]]  # (default, seed) -> configurations evaluated first, maybe none
    published: Callable[[int], dict[str, list[float]]] = lambda seed: {}  # method -> values that others measured
    learner: Callable[[], Learner] | None = None  # a fresh one for each run; None where only final values are known
    epochs: int = 1  # of a full training


def as_trial(number: int, candidate: Candidate, value: float) -> Trial:
    """The record of a candidate that an objective has given a value; NaN is a failure."""
    failed = math.isnan(value)
    return Trial(
        number,
        candidate.config,
        State.FAILED if failed else State.COMPLETE,
        value=None if failed else value,
        source=candidate.source,
        reason=candidate.reason,
    )


class Suite(Protocol):
    """A family of tasks."""

    name: str
    defaults: tuple[str, ...]  # what `--default` may be; "none" starts cold

    def tasks(self, data: Path | None) -> list[str]:
        """The names of all tasks, in order.

        Raises:
            DataMissing: when the data is not there.
        """
        ...

    def task(self, data: Path | None, name: str) -> Task:
        """One task, ready to run."""
        ...


def find_suite(name: str) -> Suite:
    """The suite of the file `suite_NAME.py`.

    Raises:
        UnknownName: listing the suites that exist.
    """
    known = sorted(path.stem.removeprefix("suite_") for path in HERE.glob("suite_*.py"))
    if name not in known:
        raise UnknownName(f"a suite must be one of {', '.join(known)}, but got {name!r}")
    suite: Suite = importlib.import_module(f"suite_{name}").SUITE
    return suite


def need(path: Path | None, *parts: str) -> Path:
    """The folder or file of a suite's data.

    Raises:
        DataMissing: when it is not there.
    """
    if path is None:
        raise DataMissing("this suite reads measured data; give the folder that holds it with --data")
    place = path.joinpath(*parts)
    if not place.exists():
        raise DataMissing(f"{place} is not there; give the folder that holds {parts[0]!r} with --data")
    return place


def with_default(space: Space, default: Config | None) -> Space:
    """The space with each hyperparameter's default from `default`, or with none at all."""
    values = default or {}
    parameters = {n: replace(p, default=values.get(n)) for n, p in space.parameters.items()}  # type: ignore[arg-type]
    return Space(parameters, space.constraints)


def midpoint(space: Space) -> dict[str, Any]:
    """The (log) middle of each range: what a space's own default is where nobody chose one."""
    return with_default(space, None).default()


def obfuscated(task: Task) -> Task:
    """The same task with hyperparameters called x0, x1, ..., so that a model cannot know them by name."""
    names = {real: f"x{i}" for i, real in enumerate(task.space)}
    back = {fake: real for real, fake in names.items()}
    hidden = {names[n]: replace(p, description="") for n, p in task.space.parameters.items()}

    def known(config: Config) -> Config:
        return {back[n]: v for n, v in config.items()}

    def objective() -> Objective:
        inner = task.objective()
        return lambda config: inner(known(config))

    def learner() -> Learner:
        assert task.learner is not None
        inner = task.learner()
        return lambda config: inner(known(config))

    def starts(default: str, seed: int) -> list[Config]:
        return [{names[n]: v for n, v in config.items()} for config in task.starts(default, seed)]

    hides = learner if task.learner else None
    return replace(task, space=Space(hidden), objective=objective, starts=starts, learner=hides)


def random_reference(space: Space, objective: Objective, points: int) -> list[float]:
    """The values of `points` random configurations, always the same ones."""
    rng = np.random.default_rng(REFERENCE_SEED)
    return [objective(space.sample(rng)) for _ in range(points)]


@dataclass(frozen=True)
class Normaliser:
    """The values of a task that define regret 0 and 1, the one that a failed trial gets, and how many points tell."""

    best: float
    median: float
    worst: float
    points: int

    @classmethod
    def of(cls, values: Sequence[float], direction: Direction) -> Normaliser:
        """From the values of the reference points; a failed one (NaN) counts as the worst of the others."""
        finite = [v for v in values if math.isfinite(v)]
        worst = direction.worst(finite)
        median = float(np.median([v if math.isfinite(v) else worst for v in values]))
        return cls(direction.best(finite), median, worst, len(values))

    def regret(self, value: float) -> float:
        """0 at the best, 1 at the median reference point, whichever way the metric improves."""
        known = value if math.isfinite(value) else self.worst
        return (self.best - known) / (self.best - self.median)

    def regrets(self, values: Sequence[float]) -> list[float]:
        """The regret of the best so far after each value."""
        best: list[float] = np.minimum.accumulate([self.regret(v) for v in values]).tolist()
        return best


@lru_cache
def normaliser(suite: str, task: str) -> Normaliser:
    """The kept normaliser of a task.

    Raises:
        UnknownName: when it was never computed (`tuning.py --normalise` does).
    """
    kept = json.loads(NORMALISERS.read_text())
    try:
        return Normaliser(**kept[suite][task])
    except KeyError:
        raise UnknownName(f"no normaliser for task {task!r} of {suite!r}; run tuning.py with --normalise") from None
