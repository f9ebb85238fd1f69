"""How large a calibration error is by chance alone, where tasks are few and the rows of one share their luck."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from luthier.predictor import metrics
from luthier.predictor.estimator import Estimates

DRAWS = 200


def calibration_by_chance(
    found: Estimates, group: np.ndarray, runs: np.ndarray, seed: int = 0, draws: int = DRAWS
) -> np.ndarray:
    """Calibration errors of a model that is right in all it says, the mean first; shape (1 + draws,).

    What comes of a pair is drawn from the estimate itself: its logit is as uncertain as is said, and rows of one group
    have one luck, as those of a hard task have. The luck of single runs is left out, so that it is a little too small.

    Args:
        found: estimates of n rows, with finite deviations.
        group: shape (n,), int: the task or graph of each.
        runs: shape (n,).
    """
    rng, p, deviation = np.random.default_rng(seed), found.probability, found.deviation
    centre = logit(p) * np.sqrt(1 + np.pi * deviation**2 / 8)  # `mixed.probability` the other way round
    luck = rng.normal(0, 1, (draws, int(group.max()) + 1))[:, group]
    gaps = (p - expit(centre + deviation * luck)) * runs
    bins = metrics.bin_of(p)[:, None] == np.arange(metrics.BINS)
    errors = np.abs(gaps @ bins).sum(axis=1) / runs.sum()
    return np.concatenate([[errors.mean()], errors])
