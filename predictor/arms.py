"""What can get a turn, what a turn was, and what an arm must bring to get one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .gain import ADVISORS, CHANCE, NO_MODEL, finite

TURNS = 10.0  # of a model, in which it may show itself: the welcome fades with the square of its turns over this
WELCOME = 0.3  # deviations of what is believed that speak for a model at first, for how else is it to show itself
DOUBT = 1.2  # deviations that speak against an arm once the welcome is over: the burden of proof is not the advisors'
MARGIN = 1.1  # what an arm must gain for its cost against the advisors, however sure that is: ties go to them
ODDS = 4.0  # the most that a predictor's estimate counts for or against an arm
CONTROL = 0.15  # share of a model's turns that a random chooser gets, so that choosing can be told from luck
DEAR = 1e6  # times a training that a model may cost: beyond it the ratio says nothing more, and overflows
COST_TURNS = 1.0  # turns that a model's stated seconds are worth


@dataclass(frozen=True)
class Arm:
    """A workflow that could carry the next trial, bound to a model.

    `success` is the probability that the trial wins; where that of `advisors` is unknown, that it beats what they alone
    would have tried, a tie counting half.
    """

    workflow: str
    model: str = NO_MODEL
    success: float | None = None  # None: the predictor abstains, or there is none
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
    decided: bool = True  # False where there was nothing to decide or to draw from, or the model was not asked

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


def prior_ratios(arms: Sequence[Arm], base: int) -> np.ndarray:
    """The prior mean of each arm's ratio to the advisors', shape (arms,); 1 where the predictor abstains.

    Where it speaks of the advisors too, its word on the arm over its word on them, as two probabilities of a win; else
    the odds that the arm beats them. Both within bounds, since it is a prior.
    """
    known, reference = [_share(arm.success) for arm in arms], _share(arms[base].success)
    if reference is None:
        found = [1.0 if p is None else p / (1 - p) if p < 1 else ODDS for p in known]
    else:
        found = [1.0 if p is None else p / reference if reference > 0 else ODDS for p in known]
    found[base] = 1.0
    return np.clip(found, 1 / ODDS, ODDS)


def _share(success: object) -> float | None:
    share = finite(success)
    return share if share is not None and 0 <= share <= 1 else None


def welcomes(arms: Sequence[Arm], weighted: Sequence[tuple[Turn, float]]) -> np.ndarray:
    """How welcome each arm still is, from 1 for a model's first turn to 0; 0 for arms without a model; (arms,).

    A turn of another study takes up as much of it as one of this: a model is not welcomed anew by every study.
    """
    had = [sum(t.model == arm.model and t.compares for t, w in weighted if w > 0) for arm in arms]
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


def costs(arms: Sequence[Arm], turns: Sequence[Turn], weighted: Sequence[tuple[Turn, float]]) -> np.ndarray:
    """Seconds of a turn over the advisors', training and model; 1 where nobody measured the training; (arms,).

    Args:
        turns: of this study, whose training counts; that of others only before its first trial.
        weighted: all turns, for what a model costs.
    """
    training = _mean([(t.seconds, 1.0) for t in turns] or [(t.seconds, w) for t, w in weighted])
    if not training > 0:
        return np.ones(len(arms))
    asked = np.array([_mean(_model_seconds(arm, weighted)) for arm in arms])
    return np.asarray(1 + np.minimum(asked, DEAR * training) / training, dtype=float)


def _model_seconds(arm: Arm, weighted: Sequence[tuple[Turn, float]]) -> list[tuple[float, float]]:
    stated, mine = finite(arm.seconds), (arm.workflow, arm.model)
    before = [] if stated is None or stated < 0 else [(stated, COST_TURNS)]
    return before + [(t.model_seconds, w) for t, w in weighted if (t.workflow, t.model) == mine and t.decided]


def _mean(weighted: Sequence[tuple[float, float]]) -> float:
    total = sum(w for _, w in weighted)
    return sum(x * w for x, w in weighted) / total if total > 0 else 0.0


def controlled(arms: Sequence[Arm], shares: np.ndarray) -> np.ndarray:
    """The shares after the random chooser, where it is an arm, got its part of every model's; shape (arms,)."""
    asks = np.array([arm.model != NO_MODEL for arm in arms])
    chance = np.array([arm.workflow == CHANCE for arm in arms])
    if not chance.any():
        return shares
    given = CONTROL * shares * asks
    return np.asarray(shares - given + given.sum() * chance / chance.sum(), dtype=float)
