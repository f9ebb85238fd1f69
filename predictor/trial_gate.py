"""Gate 2: whether a configuration is worth running, from the chance that it fails and the chance that it wins nothing.

A skipped candidate is asked for anew, so what a skip wins is the time that the run would have taken, and what it may
lose is a good trial. Both probabilities have to be near certain for it: docs/gate.md says what each threshold wins and
loses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..trials.errors import SpaceError
from ..trials.records import Config, Direction, State, Trial
from ..trials.space import Space
from .derived import Derived
from .failure import FailureModel, Recalled
from .no_win import NoWin

# Thresholds were chosen where skipping saved most against what it lost, on data that is not reported (docs/gate.md).
FAILS = 0.8  # probability of failure from which a trial is skipped: at 0.7 good trials cost more than failures save
LOSES = 0.999  # probability of no win from which a trial is skipped: with few trials 0.99 is said too easily
QUICK = 1.0  # seconds of a usual run: judging takes up to half of that, so quicker ones simply run
FAILS_FROM, LOSES_FROM = 5, 10  # trials of this study before that: until then each teaches more than it costs


@dataclass(frozen=True)
class Judgement:
    """Whether to skip a configuration, and what is known of it; None where nothing is."""

    skip: bool
    reason: str  # one sentence a person understands; "" where nothing speaks against the run
    failure: float | None = None  # probability that it fails
    no_win: float | None = None  # probability that it does not beat the best by more than the noise
    seconds: float | None = None  # that the run would take, failures dying when this study's do


NOTHING = Judgement(skip=False, reason="")


class TrialGate:
    """Judges configurations of one study. Fit it anew when a trial has ended; judging costs milliseconds.

    Where a run takes less than a second it says nothing, since asking would cost as much. Odd data (NaN, one trial, all
    failed, none failed, configurations of another space) make it say nothing, and what it says nothing about is run.

    Args:
        derived: features that may tell failures (`agents/features.py` finds them).
        recalled: trials of other studies of the same space, the most alike first, so that failures are known early.
        task: facts about this study's data, compared with those of the recalled trials.
        fails: probability of failure from which a trial is skipped.
        loses: probability of no win from which a trial is skipped.
    """

    def __init__(
        self,
        space: Space,
        direction: Direction,
        *,
        derived: Sequence[Derived] = (),
        recalled: Sequence[Recalled | Trial] = (),
        task: Mapping[str, float] | None = None,
        seed: int = 0,
        fails: float = FAILS,
        loses: float = LOSES,
    ) -> None:
        self._space = space
        remembered = [r if isinstance(r, Recalled) else Recalled(r) for r in recalled]
        self._failure = FailureModel(space, derived=derived, recalled=remembered, task=task, seed=seed)
        self._no_win = NoWin(space, direction, seed=seed)
        self._recalled = [r.trial for r in remembered]
        self._fails, self._loses = fails, loses
        self._done: list[Trial] = []
        self._noise: float | None = None
        self._died: float | None = None  # seconds
        self._ended: float | None = None

    def fit(self, trials: Sequence[Trial], noise: float | None = None) -> TrialGate:
        """Learn from the study's trials so far, running ones passed over.

        Args:
            noise: standard deviation of equal runs, in units of the metric; None counts as none.
        """
        self._done = done = [t for t in trials if t.finished]
        self._noise = noise
        known = done if any(t.died_there for t in done) else [*done, *self._recalled]
        self._died = _typical([t.seconds for t in known if t.died_there])
        self._ended = _typical([t.seconds for t in done if t.state in (State.COMPLETE, State.PRUNED)])
        self._no_win.fit([], noise)
        if not self._quick:
            self._failure.fit(done)
        return self

    @property
    def _quick(self) -> bool:
        """Whether a run takes no longer than it takes to think about it; unknown times count as long."""
        return self._ended is not None and self._ended < QUICK

    def judge(self, config: Config, *, searched: bool = False) -> Judgement:
        """Whether this configuration is worth running.

        Args:
            searched: an advisor found it to be the most promising under a process over the same trials; whether it can
                win is then not asked again.
        """
        if self._quick:
            return NOTHING
        try:
            failure = _one(self._failure.probability([config]))
            no_win = None if searched else _one(self._winning().probability([config]))
        except (SpaceError, TypeError, ValueError, KeyError, OverflowError):
            return NOTHING  # a configuration that the space does not know: rules refuse it, not this gate
        reason = self._reason(failure, no_win)
        return Judgement(bool(reason), reason, failure, no_win, self._seconds(failure))

    def _winning(self) -> NoWin:
        """Fitted when it is first asked: that takes a third of a second."""
        if not self._no_win.ready and len(self._done) >= LOSES_FROM:
            self._no_win.fit(self._done, self._noise)
        return self._no_win

    def _reason(self, failure: float | None, no_win: float | None) -> str:
        if failure is not None and failure >= self._fails and len(self._done) >= FAILS_FROM:
            return f"it fails with probability {failure:.0%}"
        if no_win is not None and no_win >= self._loses and len(self._done) >= LOSES_FROM:
            return f"it does not beat the best with probability {no_win:.2%}"
        return ""

    def _seconds(self, failure: float | None) -> float | None:
        """What a run takes: that of trials that ended, and of those that died for the share that dies."""
        if self._ended is None or self._died is None or failure is None:
            return self._ended if failure is None or self._ended is not None else self._died
        return failure * self._died + (1 - failure) * self._ended


def _one(found: np.ndarray | None) -> float | None:
    return None if found is None or not math.isfinite(found[0]) else float(min(max(found[0], 0.0), 1.0))


def _typical(seconds: Sequence[float]) -> float | None:
    """The mean of what was measured, since sums of it are what is saved; None where nothing was."""
    measured = [s for s in seconds if math.isfinite(s) and s > 0]
    return float(np.mean(measured)) if measured else None
