"""The posterior of what each workflow gains relative to the average turn. Arrays in, arrays out.

Gains shrink a hundredfold within twenty trials, so each is weighed against wins at the same stage: a win counts as
2 g / (g + t) events, g being its gain and t the typical gain of a win there, a line of log gain on log index. So a
typical win is one event and the largest leap two. An average turn is exposed to `level * stage(index)` events. With
events n and exposure x, an arm's ratio to the average has the posterior Gamma(k m + n, k + x) around its prior mean m:
a Poisson likelihood with its conjugate prior, used through the mean and the variance of its logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, polygamma

DECAY = 0.7  # of the rate of wins with the index (between none and a record's 1 / (i + 1); LCBench, docs/gate.md)
NEAR = 4.0  # doublings of the index after which a turn's weight is halved: what helps early need not help late
TYPICAL, SLOPE = 0.5, 1.5  # prior gain of a win at index 1 in scales, and the exponent of its fall (as above)
FAR = 100.0  # logarithm of the largest gain and least one that are told apart
WINS = 1.0  # wins that this line's prior is worth
LEVEL, LEVEL_WEIGHT = 0.7, 2.0  # events an exposure of 1 before any is seen, and the exposure that this is worth
STUDY_WEIGHT = 2.0  # exposure after which a study's own level counts as much as that of all
ARM_WEIGHT = 2.0  # events that an arm's prior is worth
MODEL_WEIGHT = 2.0  # events of the other workflows of its model after which they move an arm's prior half of the way


@dataclass(frozen=True)
class Evidence:
    """Turns as arrays, one entry a turn (n,)."""

    arm: np.ndarray  # int, place of its arm
    study: np.ndarray  # int
    gain: np.ndarray  # scales, at least 0
    index: np.ndarray  # of the trial in its study, at least 1
    weight: np.ndarray  # at most 1


def stage(index: np.ndarray) -> np.ndarray:
    """How often an average turn at an index wins, up to a factor; shape (n,)."""
    return np.asarray(index**-DECAY, dtype=float)


def nearness(index: np.ndarray, now: int) -> np.ndarray:
    """The weight of turns at `index` for a decision at `now`; shape (n,)."""
    return np.asarray(0.5 ** (np.abs(np.log2(index / max(now, 1))) / NEAR), dtype=float)


def events(gain: np.ndarray, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """How many typical wins each gain is, 0 to 2; shape (n,)."""
    won = gain > 0
    size, at, w = np.log(gain[won]), np.log(index[won]), weight[won]
    # Ridge regression, two unknowns: the prior counts as `WINS` wins at index 1 and as much on the slope.
    design = np.stack([np.ones(len(at)), at], axis=1)
    normal = design.T @ (w[:, None] * design) + WINS * np.eye(2)
    height, slope = np.linalg.solve(normal, design.T @ (w * size) + WINS * np.array([np.log(TYPICAL), -SLOPE]))
    typical = np.exp(np.clip(height + slope * np.log(index), -FAR, FAR))
    return np.asarray(2 * gain / (gain + typical), dtype=float)


def counted(evidence: Evidence, now: int, arms: int) -> tuple[np.ndarray, np.ndarray]:
    """Events and exposure of each arm, both of shape (arms,).

    A study's own level is shrunk to that of all, so that an arm gains nothing by having been drawn in easy studies.
    """
    e = evidence
    weight = e.weight * nearness(e.index, now)
    had, exposed = weight * events(e.gain, e.index, e.weight), weight * stage(e.index)
    level = (had.sum() + LEVEL * LEVEL_WEIGHT) / (exposed.sum() + LEVEL_WEIGHT)
    studies = int(e.study.max(initial=-1)) + 1
    own = np.bincount(e.study, had, studies) + STUDY_WEIGHT * level
    own /= np.bincount(e.study, exposed, studies) + STUDY_WEIGHT
    return np.bincount(e.arm, had, arms), np.bincount(e.arm, exposed * own[e.study], arms)


def believed(had: np.ndarray, exposed: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the logarithm of each arm's ratio, both of shape (arms,).

    Args:
        had, exposed: events and exposure, as `counted` gives them.
        prior: mean of each arm's ratio before its turns, above 0, shape (arms,).
    """
    shape = ARM_WEIGHT * prior + had
    return digamma(shape) - np.log(ARM_WEIGHT + exposed), np.sqrt(polygamma(1, shape))


def pooled(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Of each arm the sum over all arms of its group, shape (arms,)."""
    return np.asarray((groups[:, None] == groups[None, :]) @ values, dtype=float)


def moved(prior: np.ndarray, had: np.ndarray, exposed: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The prior of each arm, moved by what the others of its group showed; shape (arms,)."""
    others, theirs = pooled(had, groups) - had, pooled(exposed, groups) - exposed
    return np.asarray(prior * (MODEL_WEIGHT + others) / (MODEL_WEIGHT + theirs), dtype=float)
