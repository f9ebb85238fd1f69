"""What can get a turn, what a turn was, and what an arm must bring for its cost to get one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .gain import ADVISORS, NO_MODEL, finite

WELCOME = 0.7  # the bar at first: a model is asked even if it may be a little worse, for how else is it to show
BAR = 1.6  # the bar later: what a model must gain for its cost against the advisors
TRIAL_TURNS = 6.0  # of a model, over which the bar rises from the one to the other
ODDS = 4.0  # the most that a predictor's estimate counts for or against an arm
COST_TURNS = 1.0  # turns that a model's stated seconds are worth


@dataclass(frozen=True)
class Arm:
    """A workflow that could carry the next trial, bound to a model."""

    workflow: str
    model: str = NO_MODEL
    success: float | None = None  # probability that it beats what the advisors alone would try, a tie counting half
    seconds: float | None = None  # of the model a turn, before any turn has shown it


@dataclass(frozen=True)
class Turn:
    """A finished trial as evidence on the workflow that carried it."""

    workflow: str
    model: str
    gain: float | None  # None where there was nothing to beat
    seconds: float  # of training
    model_seconds: float
    probability: float  # with which this workflow was chosen; 1 where nothing was chosen
    index: int = 1  # of the trial in its study
    study: str = ""
    decided: bool = True  # False where the workflow's model had nothing to decide

    @property
    def compares(self) -> bool:
        """Whether it is evidence: it had something to beat, and another workflow could have had the turn."""
        return self.gain is not None and self.decided and 0 < self.probability < 1


def groups_of(arms: Sequence[Arm]) -> np.ndarray:
    """Arms of one model share a group; an arm without a model has one of its own."""
    names = [arm.model if arm.model != NO_MODEL else f"/{arm.workflow}" for arm in arms]
    return np.array([names.index(name) for name in names])


def reference(arms: Sequence[Arm]) -> int:
    """The place of the advisors, against which the others are measured; the first arm where they are not among them."""
    return next((i for i, arm in enumerate(arms) if arm.workflow == ADVISORS), 0)


def odds(arm: Arm) -> float:
    """The prior mean of an arm's ratio: the predictor's odds, within bounds; 1 where it says nothing."""
    success = finite(arm.success)
    if success is None or not 0 <= success <= 1:
        return 1.0
    share = min(max(success, 1 / (1 + ODDS)), ODDS / (1 + ODDS))
    return share / (1 - share)


def bar(arm: Arm, weighted: Sequence[tuple[Turn, float]]) -> float:
    """What the arm must gain for its cost, against the advisors, to get the turn."""
    if arm.workflow == ADVISORS:
        return 1.0
    if arm.model == NO_MODEL:
        return BAR
    had = sum(weight for turn, weight in weighted if turn.model == arm.model and turn.compares)
    return float(BAR - (BAR - WELCOME) * np.exp(-had / TRIAL_TURNS))


def costs(arms: Sequence[Arm], weighted: Sequence[tuple[Turn, float]]) -> np.ndarray:
    """Seconds of a turn over the advisors', training and model; 1 where nobody measured the training."""
    spent, turns = sum(w * t.seconds for t, w in weighted), sum(w for _, w in weighted)
    training = spent / turns if turns else 0.0
    if not training > 0:
        return np.ones(len(arms))
    asked = np.array([_model_seconds(arm, weighted) for arm in arms])
    return np.asarray(1 + asked / training, dtype=float)


def _model_seconds(arm: Arm, weighted: Sequence[tuple[Turn, float]]) -> float:
    own = [
        (t.model_seconds, w) for t, w in weighted if (t.workflow, t.model) == (arm.workflow, arm.model) and t.decided
    ]
    stated = finite(arm.seconds)
    before = [] if stated is None or stated < 0 else [(stated, COST_TURNS)]
    known = own + before
    weight = sum(w for _, w in known)
    return sum(s * w for s, w in known) / weight if weight else 0.0
