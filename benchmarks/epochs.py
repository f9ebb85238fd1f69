"""A budget in epochs: trainings that may be stopped, and the regret after each epoch that was paid for.

What a stopped training showed is no result: only a training that reached its last epoch counts, for every method.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import suites

from luthier.trials.records import Cause, Config, Direction, Failure, Outcome, State, Trajectory

METRIC = "value"
MAX_TRAININGS = 100  # of a run: a process that learns nothing from stopped ones may propose the same for ever

OnEpoch = Callable[[int, float], bool]  # epoch from 1, value -> whether the training should stop


class Spent(Exception):
    """The budget is spent in the middle of a training."""


class Meter:
    """Trains configurations, one epoch after the other, until the budget is spent.

    Args:
        learner: the metric after each epoch of a full training of a configuration.
        direction: of the metric.
        budget: epochs in all.
    """

    def __init__(self, learner: suites.Learner, direction: Direction, budget: int) -> None:
        self.best: list[float] = []  # the best result of a full training after each epoch; NaN before the first
        self._learner, self._direction, self._budget = learner, direction, budget
        self.incumbent = math.nan  # the best result so far
        self.ahead = math.nan  # where the training under way will end: for a rule that nobody could have
        self.trainings = 0

    @property
    def left(self) -> int:
        """Epochs that may still be paid for; none after `MAX_TRAININGS`, when the rest of the budget stays unused."""
        return self._budget - len(self.best) if self.trainings < MAX_TRAININGS else 0

    def train(self, config: Config, on_epoch: OnEpoch | None = None) -> Outcome:
        """Train until the end or until `on_epoch` asks to stop; a final NaN is a failure.

        Raises:
            Spent: when the budget ends before the training does.
        """
        seen: list[float] = []
        curve = self._learner(config)
        self.ahead = curve[-1]
        for epoch, value in enumerate(curve, start=1):
            if len(self.best) == self._budget:
                raise Spent
            seen.append(value)
            if epoch == len(curve):
                self._take(value)
            self.best.append(self.incumbent)
            if epoch < len(curve) and on_epoch is not None and on_epoch(epoch, value):
                break
        self.trainings += 1
        return outcome(seen, State.COMPLETE if len(seen) == len(curve) else State.PRUNED)

    def _take(self, value: float) -> None:
        if math.isfinite(value):
            known = [value] if math.isnan(self.incumbent) else [value, self.incumbent]
            self.incumbent = self._direction.best(known)


def outcome(values: list[float], state: State) -> Outcome:
    """What a runner would bring back of these reports, the first of them after epoch 1."""
    steps = tuple(range(1, len(values) + 1))
    if not math.isfinite(values[-1]):
        failure = Failure(Cause.NAN, f"the final {METRIC} is {values[-1]}")
        return Outcome(State.FAILED, trajectory=Trajectory(steps, {METRIC: tuple(values)}), failure=failure)
    return Outcome(state, values[-1], {METRIC: values[-1]}, Trajectory(steps, {METRIC: tuple(values)}))
