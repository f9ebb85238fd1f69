"""What became of a configuration: frozen records, free of storage and of models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .energy import Energy

Value = float | int | str | bool
Config = Mapping[str, Value]  # active hyperparameters only, unless a docstring says "complete"


class Direction(StrEnum):
    """Which way the metric improves. Every comparison of values goes through here."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"

    @property
    def sign(self) -> int:
        """+1 when larger is better, -1 when smaller is."""
        return 1 if self is Direction.MAXIMIZE else -1

    def better(self, a: float, b: float) -> bool:
        """Whether `a` is strictly better than `b`."""
        return self.sign * (a - b) > 0

    def best(self, values: list[float]) -> float:
        """The best of a non-empty list."""
        return max(values, key=lambda v: self.sign * v)

    def worst(self, values: list[float]) -> float:
        """The worst of a non-empty list."""
        return min(values, key=lambda v: self.sign * v)

    def gain(self, a: float, b: float) -> float:
        """How much better `a` is than `b`, in units of the metric; negative when worse."""
        return self.sign * (a - b)


class State(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"  # stopped early; its value is the last one reported
    FAILED = "failed"


class Cause(StrEnum):
    """Why a trial failed."""

    OUT_OF_MEMORY = "out of memory"
    NAN = "nan"
    CRASH = "crash"
    TIMEOUT = "timeout"
    NO_METRIC = "no metric"
    NOT_FOUND = "command not found"
    INTERRUPTED = "interrupted"


# What a failure says about the place where it happened; the others say something of the launch or of the machine.
PLACE_CAUSES = frozenset({Cause.OUT_OF_MEMORY, Cause.NAN, Cause.CRASH, Cause.TIMEOUT})


@dataclass(frozen=True)
class Failure:
    """A cause and its evidence (the last lines of the log, or the rule that was broken)."""

    cause: Cause
    detail: str = ""


@dataclass(frozen=True)
class Trajectory:
    """The metrics that a trial reported, step by step.

    `steps` are strictly increasing; `metrics[name]` has one value a step, NaN where the step did not report it.
    """

    steps: tuple[int, ...] = ()
    metrics: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def curve(self, name: str) -> tuple[tuple[int, float], ...]:
        """The (step, value) pairs of one metric, steps without it left out; NaN and infinite values that were
        really reported stay NaN in `metrics` and are left out too: ask `diverged`."""
        values = self.metrics.get(name)
        if values is None:
            return ()
        return tuple((s, v) for s, v in zip(self.steps, values, strict=True) if math.isfinite(v))


@dataclass(frozen=True)
class Outcome:
    """What a runner brings back. `value` is the target metric's final value, None unless complete or pruned."""

    state: State
    value: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)  # the last value of each reported metric
    trajectory: Trajectory = Trajectory()
    failure: Failure | None = None
    seconds: float = 0.0  # wall time of the run
    isolation: str = "none"  # what really held: "bubblewrap", "watchdog", "none"
    energy: Energy | None = None  # of the machine meanwhile; None where no counter can be read


@dataclass(frozen=True)
class Candidate:
    """A configuration proposed for the next trial."""

    config: Config  # active hyperparameters only
    source: str  # advisor or agent: "default", "gp", "tpe", "local", "planner", ...
    reason: str = ""  # one sentence a person understands


@dataclass(frozen=True)
class Trial:
    """One configuration and what became of it. Gain and labels are derived later, never stored alone."""

    number: int
    config: Config
    state: State
    value: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    trajectory: Trajectory = Trajectory()
    failure: Failure | None = None
    seconds: float = 0.0
    source: str = ""
    reason: str = ""
    attempt: int = 0  # 0 = first; a half-run trial is retried with the next number
    isolation: str = "none"
    energy: Energy | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # best_before, choice_probability, workflow, tokens, ...

    @property
    def finished(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state is not State.RUNNING

    @property
    def died_there(self) -> bool:
        """Whether it failed for a reason that lies in its configuration."""
        return self.state is State.FAILED and self.failure is not None and self.failure.cause in PLACE_CAUSES


def best_trial(trials: list[Trial], direction: Direction) -> Trial | None:
    """The complete trial with the best value, the earliest of equals; None when there is none."""
    done = [t for t in trials if t.state is State.COMPLETE and t.value is not None]
    return max(done, key=lambda t: (direction.sign * (t.value or 0.0), -t.number), default=None)


def ended(trials: Iterable[Trial]) -> list[tuple[Trial, float]]:
    """The complete trials with their values, where these are finite."""
    valued = [(trial, trial.value) for trial in trials if trial.state is State.COMPLETE and trial.value is not None]
    return [(trial, value) for trial, value in valued if math.isfinite(value)]
