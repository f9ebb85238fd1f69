"""What a study has seen so far, in the forms in which a planned step is held against it. Computed once, on demand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ..trials.diagnosis import Verdict, diagnose
from ..trials.glosses import REMEDIES
from ..trials.records import Cause, Config, Direction, State, Trial, best_trial
from ..trials.sampling import observed
from ..trials.space import Choice, Space
from ..trials.surrogate import standardised
from .step_places import Places
from .step_surrogate import Kernels

KEPT = 30  # of the best trials and of the latest ones, for the process: beyond them it costs and tells little more
SHRUNK = 5.0  # trials: as if so many without an effect had been seen of each hyperparameter


class Seen:
    """The finished trials of a study.

    Args:
        trials: by number; the last is the latest.
    """

    def __init__(
        self, space: Space, trials: Sequence[Trial], direction: Direction, metric: str, places: Places | None = None
    ) -> None:
        self.space, self.direction, self.metric = space, direction, metric
        self.trials = [t for t in trials if t.finished and _finite(t)]
        self.best = best_trial(self.trials, direction)
        self.place = places or Places(space)
        self.bests = _best_before(self.trials, direction)

    @cached_property
    def latest(self) -> Trial | None:
        """The trial that came last."""
        return self.trials[-1] if self.trials else None

    @cached_property
    def base(self) -> Config:
        """The configuration that a step is seen to start from: the best, else the default."""
        return self.space.default() if self.best is None else self.best.config

    @cached_property
    def outcome(self) -> int:
        """1 where the latest trial beat all before it, -1 where it failed or fell behind, 0 where it was the first."""
        return _against(self.trials[-1], self.bests[-1], self.direction) if self.trials else 0

    @cached_property
    def known(self) -> np.ndarray:
        """Values of complete trials, higher is better."""
        done = [t for t in self.trials if t.state is State.COMPLETE and t.value is not None]
        return self.direction.sign * np.array([float(t.value or 0.0) for t in done])

    @cached_property
    def ahead(self) -> float:
        """By how much the best value stands above the second, in shares of the spread of all; at most 1."""
        if len(self.known) < 3 or np.ptp(self.known) == 0:
            return 0.0
        first, second = np.sort(self.known)[::-1][:2]
        return float((first - second) / np.ptp(self.known))

    @cached_property
    def ranks(self) -> np.ndarray:
        """The share of trials that each one is behind, 0 for the best; failed ones last; shape (n,)."""
        values = np.array([-np.inf if t.value is None else self.direction.sign * t.value for t in self.trials])
        if len(values) < 2:
            return np.full(len(values), 0.5)
        behind = (values[:, None] < values[None, :]).sum(1) + ((values[:, None] == values[None, :]).sum(1) - 1) / 2
        return np.asarray(behind / (len(values) - 1))

    @cached_property
    def points(self) -> np.ndarray:
        """Every trial's place, encoded; shape (n, n_columns)."""
        width = len(self.place(self.base).encoded)
        return np.array([self.place(t.config).encoded for t in self.trials]).reshape(len(self.trials), width)

    @cached_property
    def scores(self) -> np.ndarray | None:
        """Standardised values of all trials, failed ones as the worst; None before two differ."""
        known = observed(self.trials, self.direction)
        values = self.direction.sign * np.array([value for _, value in known])
        return standardised(values) if len(values) > 1 and np.ptp(values) > 0 else None

    @cached_property
    def process(self) -> Kernels | None:
        """A process over the best trials and the latest; None before two values differ."""
        if self.scores is None:
            return None
        order = np.argsort(-self.scores, kind="stable")[:KEPT].tolist()
        rows = sorted({*order, *range(max(len(self.scores) - KEPT, 0), len(self.scores))})
        return Kernels(self.points[rows], self.scores[rows])

    @cached_property
    def slopes(self) -> np.ndarray:
        """Rank correlation of each hyperparameter with the values, shrunk; 0 for choices; shape (n_parameters,)."""
        found = np.zeros(len(self.space))
        if self.scores is None:
            return found
        units = np.array([self.place(t.config).units for t in self.trials])
        for i, name in enumerate(self.space):
            if not isinstance(self.space[name], Choice):
                found[i] = cosine(_centred(_ordered(units[:, i])), _centred(_ordered(self.scores)))
        return found * len(units) / (len(units) + SHRUNK)

    @cached_property
    def moves(self) -> np.ndarray:
        """Every step so far from the best trial before it, each of length 1; shape (n, n_parameters)."""
        pairs = [(t, b) for t, b in zip(self.trials, self.bests, strict=True) if b is not None]
        moves = np.array([self.delta(t.config, b.config) for t, b in pairs]).reshape(len(pairs), len(self.space))
        return np.asarray(moves / np.maximum(np.linalg.norm(moves, axis=1), 1e-12)[:, None])

    @cached_property
    def gains(self) -> np.ndarray:
        """What every such step came to: 1 where it beat the best before it, else -1; shape (n,)."""
        pairs = zip(self.trials, self.bests, strict=True)
        return np.array([_against(t, b, self.direction) for t, b in pairs if b is not None], dtype=float)

    def delta(self, config: Config, base: Config) -> np.ndarray:
        """What changes between two configurations, see `Places.delta`."""
        return self.place.delta(self.place(config), self.place(base))

    def asked(self, trial: Trial | None) -> str:
        """What the diagnosis of a trial asks for; "" for nothing."""
        if trial is None:
            return ""
        if trial.number not in self._remedies:
            reference = None if self.best is None else self.best.value
            found = diagnose(trial, self.direction, self.metric, reference)
            ill = found.cause if found.verdict is Verdict.CRASHED else found.verdict
            self._remedies[trial.number] = REMEDIES.get(ill or Cause.CRASH, "")
        return self._remedies[trial.number]

    @cached_property
    def _remedies(self) -> dict[int, str]:
        return {}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The cosine between two vectors of shape (d,); 0 where one of them is nothing."""
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length > 1e-12 else 0.0


def _finite(trial: Trial) -> bool:
    return trial.value is None or math.isfinite(trial.value)


def _best_before(trials: Sequence[Trial], direction: Direction) -> list[Trial | None]:
    """The best trial before each one."""
    found: list[Trial | None] = []
    best: Trial | None = None
    for trial in trials:
        found.append(best)
        best = best_trial([t for t in (best, trial) if t is not None], direction)
    return found


def _against(trial: Trial, best: Trial | None, direction: Direction) -> int:
    """1 where a trial beat the best before it, -1 where not; 0 with nothing to beat."""
    if best is None or best.value is None:
        return 0
    complete = trial.state is State.COMPLETE and trial.value is not None
    return 1 if complete and direction.better(trial.value or 0.0, best.value) else -1


def _ordered(values: np.ndarray) -> np.ndarray:
    """Ranks, equal values sharing their mean; shape (n,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[inverse])


def _centred(values: np.ndarray) -> np.ndarray:
    return np.asarray(values - values.mean())
