"""The posterior of what each workflow gains relative to the average turn. Arrays in, arrays out.

Gains are rare and uneven, so they are counted as events: a gain is as many events as it is typical gains (the ratio of
the second moment to the first, so that one leap counts as one event). An average turn at stage `index` is exposed to
`level * stage(index)` events. With events n and exposure x, the ratio of an arm has the posterior Gamma(k m + n, k + x)
around its prior mean m: a Poisson likelihood with gamma prior, the dispersion taken out first (Wedderburn 1974).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DECAY = 1.0  # of gains with the index: the chance that trial i of equals beats all before it is 1 / (i + 1)
NEAR = 2.0  # doublings of the index after which a turn's weight is halved: what helps early need not help late
JUMP = 0.5  # scales; the prior's one gain
LEVEL, LEVEL_WEIGHT = 2.0, 2.0  # events an exposure of 1 before any is seen, and the exposure that this is worth
STUDY_WEIGHT = 2.0  # exposure after which a study's own level counts as much as that of all
ARM_WEIGHT = 4.0  # exposure that the prior of an arm is worth against its model's
MODEL_WEIGHT = 4.0  # exposure that the prior of a model is worth


@dataclass(frozen=True)
class Evidence:
    """Turns as arrays, one entry a turn (n,)."""

    arm: np.ndarray  # int, place of its arm
    study: np.ndarray  # int
    gain: np.ndarray  # scales, at least 0
    index: np.ndarray  # int, of the trial in its study
    weight: np.ndarray  # at most 1


def stage(index: np.ndarray) -> np.ndarray:
    """What an average turn at an index gains, up to a factor."""
    return np.asarray(np.maximum(index, 1) ** -DECAY, dtype=float)


def nearness(index: np.ndarray, now: int) -> np.ndarray:
    """The weight of turns at `index` for a decision at `now`."""
    apart = np.abs(np.log2(np.maximum(index, 1) / max(now, 1)))
    return np.asarray(0.5 ** (apart / NEAR), dtype=float)


def counted(evidence: Evidence, arms: int) -> tuple[np.ndarray, np.ndarray]:
    """Events and exposure of each arm, both of shape (arms,)."""
    e = evidence
    first, second = np.sum(e.weight * e.gain), np.sum(e.weight * e.gain**2)
    events = e.weight * e.gain / ((second + JUMP**2) / (first + JUMP))
    exposure = e.weight * stage(e.index)
    level = (events.sum() + LEVEL * LEVEL_WEIGHT) / (exposure.sum() + LEVEL_WEIGHT)
    studies = int(e.study.max(initial=-1)) + 1
    of_study = (np.bincount(e.study, events, studies) + STUDY_WEIGHT * level) / (
        np.bincount(e.study, exposure, studies) + STUDY_WEIGHT
    )
    exposure = exposure * of_study[e.study]
    return np.bincount(e.arm, events, arms), np.bincount(e.arm, exposure, arms)


def sampled(
    events: np.ndarray,
    exposure: np.ndarray,
    prior: np.ndarray,
    groups: np.ndarray,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws of each arm's ratio, shape (draws, arms).

    Args:
        events, exposure: of each arm, shape (arms,).
        prior: mean of each arm's ratio before its turns, shape (arms,).
        groups: int, which arms share a model, shape (arms,). The others of a group move an arm's prior.
    """
    same = (groups[:, None] == groups[None, :]) & ~np.eye(len(groups), dtype=bool)
    shape, rate = MODEL_WEIGHT + same @ events, MODEL_WEIGHT + same @ exposure
    of_model = prior * rng.gamma(shape, 1 / rate, (draws, len(groups)))
    return np.asarray(rng.gamma(ARM_WEIGHT * of_model + events, 1 / (ARM_WEIGHT + exposure)), dtype=float)
