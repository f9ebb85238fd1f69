"""Ranking workflows that training has not seen, after a few runs of each: what these tell, and what a model adds."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from luthier.predictor.estimator import Estimator
from luthier.predictor.logs import Logs, Pairs

PROBES = (3, 10)  # runs of each new workflow
DRAWS = 10  # sets of probes; figures are means over them


@runtime_checkable
class Probed(Protocol):
    """An estimator that can take new runs in without training again."""

    def probed(self, probes: Logs) -> Estimator:
        """The same estimator, knowing these runs too."""
        ...


def draw(test: Logs, count: int, seed: tuple[int, ...]) -> Logs:
    """So many single runs of each workflow, each on another task, drawn from the runs that were logged."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate(
        [
            rng.choice(found, min(count, len(found)), replace=False)
            for w in np.unique(test.workflow)
            if len(found := np.flatnonzero(test.workflow == w))
        ]
    )
    won = rng.hypergeometric(test.successes[rows], (test.runs - test.successes)[rows], 1)
    part = test.take(rows)
    return Logs(part.workflows, part.tasks, part.workflow, part.task, runs=np.ones_like(part.runs), successes=won)


def after_probes(estimator: Estimator, test: Logs, count: int, fold: int) -> np.ndarray | None:
    """Probabilities of all test rows after probes, shape (DRAWS, n); None where the estimator takes no probes.

    The same probes for every estimator.
    """
    if not isinstance(estimator, Probed):
        return None
    pairs = Pairs(test.workflows, test.tasks, test.workflow, test.task)
    found = [estimator.probed(draw(test, count, (fold, d, count))).predict(pairs).probability for d in range(DRAWS)]
    return np.array(found)


def probes_alone(logs: Logs, fold: np.ndarray, count: int) -> np.ndarray:
    """What the probes themselves say: each workflow's share of successes among them, shape (DRAWS, n)."""
    found = np.zeros((DRAWS, len(logs)))
    for held in map(int, np.unique(fold)):
        test = logs.take(fold == held)
        for d in range(DRAWS):
            probes = draw(test, count, (held, d, count))
            won = np.bincount(probes.workflow, probes.successes, len(logs.workflows))
            ran = np.bincount(probes.workflow, minlength=len(logs.workflows))
            found[d, fold == held] = (won / np.maximum(ran, 1))[test.workflow]
    return found
