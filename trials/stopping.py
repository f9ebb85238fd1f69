"""Early stopping of hopeless curves, by an Optuna pruner on a copy of the study in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from .records import Direction, State, Trial

if TYPE_CHECKING:
    import optuna

KEEP = 75.0  # per cent of the earlier curves that count as hopeful at each step; Optuna's median keeps 50
MIN_CURVES = 4  # finished curves before any trial is stopped
WARM_UP = 1 / 3  # of the longest curve: before it nothing is stopped
MAX_CURVES = 50  # the latest ones


class Stopper:
    """Decides at each report of one trial whether it is hopeless.

    A trial is stopped when its best value so far is worse than three quarters of the earlier trials' at the same
    step. Trial 0 is never stopped: it is what others are measured against.
    """

    def __init__(self, direction: Direction, metric: str, finished: Sequence[Trial]) -> None:
        self._metric, self._direction = metric, direction
        curves = (t.trajectory.curve(metric) for t in reversed(finished) if t.state is not State.FAILED)
        self._curves = [*islice((c for c in curves if len(c) > 1), MAX_CURVES)][::-1]
        self._reported: set[int] = set()  # a step is reported again when it gains a metric
        self._trial: optuna.Trial | None = None
        if len(self._curves) >= MIN_CURVES:
            self._trial = self._begin()

    def should_stop(self, step: int, value: float) -> bool:
        """Whether the trial should end after this report. Values that are not finite are for the diagnosis."""
        if self._trial is None or step in self._reported or not math.isfinite(value):
            return False
        self._reported.add(step)
        self._trial.report(value, step)
        return bool(self._trial.should_prune())  # a pruner may answer with numpy's bool, which JSON refuses

    def _begin(self) -> optuna.Trial:
        import optuna

        longest = max(curve[-1][0] for curve in self._curves)
        pruner = optuna.pruners.PercentilePruner(
            KEEP, n_startup_trials=MIN_CURVES, n_warmup_steps=math.ceil(WARM_UP * longest), n_min_trials=MIN_CURVES
        )
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(direction=self._direction.value, pruner=pruner)
        for curve in self._curves:
            values = dict(curve)
            study.add_trial(optuna.trial.create_trial(value=curve[-1][1], intermediate_values=values))
        return study.ask()
