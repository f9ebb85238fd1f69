"""Ranking workflows that training has not seen, after a few runs of each: what these tell, and what a model adds."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from luthier.predictor.estimator import Estimator
from luthier.predictor.logs import Logs, Pairs

PROBES = (3, 10)  # runs of each new workflow
DRAWS = 10  # sets of probes; figures are means over them
CHOSEN = " chosen"  # what stands behind the number of probes whose tasks were chosen
EDGE = 0.02  # a task's rate stays this far from 0 and 1: it comes from some 20 workflows


@runtime_checkable
class Probed(Protocol):
    """An estimator that can take new runs in without training again."""

    def probed(self, probes: Logs) -> Estimator:
        """The same estimator, knowing these runs too."""
        ...


@runtime_checkable
class Choosing(Probed, Protocol):
    """An estimator that can also say which runs would tell it most, before they are made."""

    def worth(self, pairs: Pairs, past: Logs) -> np.ndarray:
        """How much one run of each pair would tell, by runs of other workflows; shape (n,)."""
        ...


def draw(test: Logs, count: int, seed: tuple[int, ...], worth: np.ndarray | None = None) -> Logs:
    """So many single runs of each workflow, each on another task, drawn from the runs that were logged.

    Args:
        worth: of each row; the tasks of the largest are taken. Without it, tasks are drawn too.
    """
    rng = np.random.default_rng(seed)
    each = [np.flatnonzero(test.workflow == w) for w in np.unique(test.workflow)]
    if worth is None:
        rows = np.concatenate([rng.choice(found, min(count, len(found)), replace=False) for found in each])
    else:
        rows = np.concatenate([found[np.argsort(-worth[found], kind="stable")[:count]] for found in each])
    won = rng.hypergeometric(test.successes[rows], (test.runs - test.successes)[rows], 1)
    part = test.take(rows)
    return Logs(part.workflows, part.tasks, part.workflow, part.task, runs=np.ones_like(part.runs), successes=won)


def after_probes(estimator: Estimator, train: Logs, test: Logs, count: int, fold: int) -> dict[str, np.ndarray]:
    """Probabilities of all test rows after probes, each of shape (DRAWS, n); none where the estimator takes no probes.

    By what they are called: `after 3` on random tasks, the same for every estimator; `after 3 chosen` on those tasks
    that it wants to see, where it has a wish.
    """
    pairs = Pairs(test.workflows, test.tasks, test.workflow, test.task)
    worth: dict[str, np.ndarray | None] = {"": None}
    if isinstance(estimator, Choosing):
        worth[CHOSEN] = estimator.worth(pairs, train)
    if not isinstance(estimator, Probed):
        return {}

    def after(runs: Logs) -> np.ndarray:
        return estimator.probed(runs).predict(pairs).probability

    return {
        f"after {count}{how}": np.array([after(draw(test, count, (fold, d, count), one)) for d in range(DRAWS)])
        for how, one in worth.items()
    }


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


def probes_knowing(logs: Logs, fold: np.ndarray, count: int) -> np.ndarray:
    """What the probes would say to one who knows every task's difficulty, by the runs of all other workflows: one step
    of Newton's method towards each workflow's ability, shape (DRAWS, n). How far probes can go without a prior.
    """
    base, score = _elsewhere(logs), np.zeros((DRAWS, len(logs)))
    for held in map(int, np.unique(fold)):
        rows = np.flatnonzero(fold == held)
        place = {(w, t): b for w, t, b in zip(logs.workflow[rows], logs.task[rows], base[rows], strict=True)}
        for d in range(DRAWS):
            probes = draw(logs.take(rows), count, (held, d, count))
            p = np.array([place[pair] for pair in zip(probes.workflow, probes.task, strict=True)])
            size = len(logs.workflows)
            slope = np.bincount(probes.workflow, probes.successes - p, size)
            curve = np.bincount(probes.workflow, p * (1 - p), size)
            score[d, rows] = (slope / np.maximum(curve, EDGE))[logs.workflow[rows]]
    return score


def halves(logs: Logs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each row, how often its workflow succeeded on one half of its suite's tasks, and on the other; (n,) each.

    How far the two rank workflows alike says what any number of runs on some tasks can tell of all: of differences that
    a suite's other tasks do not show, no probe can.
    """
    rng, found = np.random.default_rng(seed), np.zeros((2, len(logs)))
    for suite in np.unique(logs.suite):
        rows = np.flatnonzero(logs.suite == suite)
        _, task = np.unique(logs.task[rows], return_inverse=True)
        _, workflow = np.unique(logs.workflow[rows], return_inverse=True)
        half = (rng.permutation(task.max() + 1) % 2)[task]
        for i in range(2):
            won = np.bincount(workflow, (half == i) * logs.frequency[rows])
            found[i, rows] = (won / np.maximum(np.bincount(workflow, half == i), 1))[workflow]
    return found[0], found[1]


def _elsewhere(logs: Logs) -> np.ndarray:
    """Of each pair, how often its task succeeded under the other workflows of its suite; shape (n,)."""
    _, cell = np.unique([f"{s} {t}" for s, t in zip(logs.suite, logs.task, strict=True)], return_inverse=True)
    total, many = np.bincount(cell, logs.frequency), np.bincount(cell)
    rate = (total[cell] - logs.frequency) / np.maximum(many[cell] - 1, 1)
    return np.asarray(np.clip(rate, EDGE, 1 - EDGE))
