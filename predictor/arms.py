"""What can get a turn, what a turn was, and what an arm must bring to get one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .gain import ADVISORS, NO_MODEL, finite

TURNS = 8.0  # of a model, in which it may show itself: the welcome fades with the square of its turns over this
WELCOME = 0.3  # deviations of what is believed that speak for a model at first, for how else is it to show itself
DOUBT = 1.1  # deviations that speak against an arm once the welcome is over: the burden of proof is not the advisors'
MARGIN = 1.1  # what an arm must gain for its cost against the advisors, however sure that is: ties go to them
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


def welcomes(arms: Sequence[Arm], weighted: Sequence[tuple[Turn, float]]) -> np.ndarray:
    """How welcome each arm still is, from 1 for a model's first turn to 0; 0 for arms without a model; (arms,)."""
    had = [sum(w for t, w in weighted if t.model == arm.model and t.compares) for arm in arms]
    asks = np.array([arm.model != NO_MODEL for arm in arms])
    return np.asarray(asks * np.exp(-((np.array(had) / TURNS) ** 2)), dtype=float)


def bars(deviation: np.ndarray, cost: np.ndarray, welcome: np.ndarray, base: int) -> np.ndarray:
    """What speaks against each arm, to be taken off the logarithm of its ratio; shape (arms,).

    While a model is welcome its cost counts half, since nobody knows yet what it gains.

    Args:
        deviation: of the logarithm of each arm's ratio to the advisors', shape (arms,).
        cost: of a turn over the advisors', shape (arms,).
        welcome: from `welcomes`, shape (arms,).
        base: the place of the advisors; nothing speaks against them.
    """
    doubt = (1 - welcome) * (DOUBT * deviation + np.log(MARGIN)) - welcome * WELCOME * deviation
    against = doubt + (1 - welcome / 2) * np.log(cost)
    against[base] = 0.0
    return np.asarray(against, dtype=float)


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
