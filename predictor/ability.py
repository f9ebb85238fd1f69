"""The predictor: logit of success = suite + task difficulty + workflow ability + model ability.

Difficulty and ability are each a learned prior from features plus what is left of one's own, shrunk towards it as far
as the runs allow (partial pooling): a task or workflow that was never run falls back to its features. `Rasch` is the
same without features (Rasch 1960, with random effects).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from . import mixed
from .design import AXES, DEFAULT, SUITE_VARIANCE, WORKFLOW_PARTS, Design
from .encoding import Encoder
from .estimator import Estimates, Progress, silent
from .logs import Logs, Pairs
from .mixed import DEFAULT_PRIORS, Block, Posterior, Priors, Rows
from .probe import Probed, worth

OF_WORKFLOW = ("workflow", "model", *WORKFLOW_PARTS)  # blocks that speak of a workflow alone


class Ability:
    """An estimator by empirical Bayes: no random number, no learning rate, its own uncertainty.

    Args:
        encoder: makes vectors of texts; `Encoder(None)` leaves texts out.
        parts: which features speak, of `design.PARTS`.
        heavy: whether abilities have Student t tails, so that a broken workflow does not move the others.
        axes: directions of a text that are kept.
        priors: how strongly effects are shrunk.
    """

    name = "luthier"

    def __init__(
        self,
        encoder: Encoder,
        parts: frozenset[str] = DEFAULT,
        *,
        heavy: bool = True,
        axes: int = AXES,
        priors: Priors = DEFAULT_PRIORS,
    ) -> None:
        self._encoder, self._parts, self.heavy, self.priors = encoder, parts, heavy, priors
        self.design = Design(encoder, parts, axes=axes)
        self.posterior: Posterior | None = None

    def fit(self, logs: Logs, progress: Progress = silent) -> Self:
        """Learn from scratch. Raises ValueError without a pair."""
        if not len(logs):
            raise ValueError("a predictor needs at least one run to learn from, but the logs hold none")
        progress("reading the logs", 0.0)
        self.design = Design(self._encoder, self._parts, axes=self.design.axes).fit(logs)
        task, _ = self.design.tasks(logs)
        rows = Rows(self.design.columns(logs), task, self.design.group, logs.successes, logs.runs)
        progress("fitting abilities and difficulties", 0.5)
        with threadpool_limits(1):  # the matrices are small: more threads only wait for each other
            self.posterior = mixed.fit(rows, self.blocks(), self.priors)
        progress("fitted", 1.0)
        return self

    def blocks(self) -> list[Block]:
        """The blocks of coefficients, in the order of the columns."""
        return [replace(block, heavy=block.heavy and self.heavy) for block in self.design.blocks()]

    def logit(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the logit before a run, shapes (n,). Raises ValueError before `fit`."""
        task, group = self.design.tasks(pairs)
        mean, variance = self._fitted().logit(self.design.columns(pairs), task, group)
        new_suite, _ = self.design.unseen(pairs)
        return mean, variance + new_suite * SUITE_VARIANCE + self._new_graph(pairs)

    def _new_graph(self, pairs: Pairs) -> np.ndarray:
        """What a graph of its own would add to the variance, where training has not seen it; shape (n,)."""
        place = [block.name for block in self.blocks()].index("workflow")
        return np.asarray(self.design.unseen(pairs)[1] * self._fitted().block_variance[place])

    def _fitted(self) -> Posterior:
        if self.posterior is None:
            raise ValueError("this predictor has learnt nothing yet; call `fit` first")
        return self.posterior

    @property
    def rho(self) -> float:
        """How much runs of one pair resemble each other, 0 to 1. Raises ValueError before `fit`."""
        return self._fitted().rho

    def open_ability(self, pairs: Pairs) -> np.ndarray:
        """The variance of the workflow's part of each pair's logit, shape (n,). Raises ValueError before `fit`."""
        of_workflow = np.concatenate([b.columns for b in self.blocks() if b.name.split(":")[0] in OF_WORKFLOW])
        columns = self.design.columns(pairs)[:, of_workflow].toarray()
        covariance = self._fitted().covariance[np.ix_(of_workflow, of_workflow)]
        return np.asarray(((columns @ covariance) * columns).sum(axis=1) + self._new_graph(pairs))

    def probed(self, runs: Logs) -> Probed:
        """This predictor after a few runs of new workflows or models, without retraining."""
        return Probed(self, runs)

    def worth(self, pairs: Pairs, past: Logs) -> np.ndarray:
        """How much one run of each pair would tell of how good its workflow is, shape (n,).

        The tasks where it is largest are those to probe. `past` holds runs of other workflows on these tasks. Raises
        ValueError before `fit`.
        """
        return worth(self, pairs, past)

    def predict(self, pairs: Pairs) -> Estimates:
        """What is believed of each pair; it abstains on suites that it was not trained on."""
        mean, variance = self.logit(pairs)
        new_suite, _ = self.design.unseen(pairs)
        return Estimates(mixed.probability(mean, variance), np.sqrt(variance), new_suite)


class Rasch(Ability):
    """Suite, task and workflow by themselves, with normal priors: the baseline that features have to beat."""

    name = "rasch"

    def __init__(self) -> None:
        super().__init__(Encoder(None), frozenset(), heavy=False)
