"""Whether past tasks say anything of each other. Where they do not, they hardly say anything of a new one."""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau

from .prior import PastTasks

TRIALS = 200  # of each past task


def agreement(past: PastTasks) -> float:
    """Kendall's tau between what past tasks had and the mean of what the others would have had there.

    The mean over tasks, each of which is taken for the new one: about 0 where they go different ways.

    Raises:
        ValueError: there are fewer than two tasks.
    """
    if past.count < 2:
        raise ValueError(f"at least two past tasks can agree, but there are {past.count}")
    rng = np.random.default_rng(0)
    rows = [rng.permutation(len(points))[:TRIALS] for points in past.points]
    known = past.predict(np.vstack([points[kept] for points, kept in zip(past.points, rows, strict=True)]))
    ends = np.cumsum([len(kept) for kept in rows])[:-1]
    found = []
    for task, there in enumerate(np.split(known, ends)):
        others = np.delete(there, task, axis=1).mean(axis=1)
        found.append(float(kendalltau(others, past.scores[task][rows[task]]).statistic))
    return float(np.mean(np.nan_to_num(found)))  # not a number where the others are flat, or the task is
