"""`Ability` with the graph residual on top, for logs of many different graphs (docs/predictor.md says when it pays)."""

from __future__ import annotations

from typing import Self

import numpy as np

from .ability import Ability
from .design import DEFAULT
from .encoding import Encoder
from .estimator import Progress, silent
from .graph_net import GraphResidual, Target
from .logs import Logs, Pairs

FOLDS = 4  # of tasks, and of graphs, that the logits for the residual are made without


class GraphAbility(Ability):
    """An `Ability` whose logits a graph network corrects.

    Args:
        encoder: as for `Ability`.
        parts: as for `Ability`.
        seed: of the folds and the networks.
    """

    name = "luthier+graph"

    def __init__(self, encoder: Encoder, parts: frozenset[str] = DEFAULT, *, seed: int = 0) -> None:
        super().__init__(encoder, parts)
        self._seed = seed
        self.residual = GraphResidual(encoder, seed=seed)

    def fit(self, logs: Logs, progress: Progress = silent) -> Self:
        """Learn abilities first, then the residual from logits that were made without the row in question."""
        super().fit(logs, lambda what, share: progress(what, share / (FOLDS + 2)))
        rows, target = self._without_the_row(logs, progress)
        progress("training the graph network", (FOLDS + 1) / (FOLDS + 2))
        self.residual = GraphResidual(self._encoder, seed=self._seed)
        if len(rows):
            self.residual.fit(logs.take(rows), target)
        progress("fitted", 1.0)
        return self

    def logit(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """As `Ability`, with the residual and its variance over the ensemble added."""
        mean, variance = super().logit(pairs)
        if not self.residual.nets or not len(pairs):
            return mean, variance
        residual, spread = self.residual.predict(pairs)
        return mean + residual, variance + spread

    def _without_the_row(self, logs: Logs, progress: Progress) -> tuple[np.ndarray, Target]:
        """Rows, some twice, whose task or graph was left out, and what was then believed of them."""
        rng = np.random.default_rng([self._seed, 7])
        of_task = rng.integers(FOLDS, size=len(logs.tasks))[logs.task]
        of_graph = rng.integers(FOLDS, size=len(logs.workflows))[logs.graph]
        rows, means, variances = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
        for fold in range(FOLDS):
            out = (of_task == fold) | (of_graph == fold)
            progress(f"leaving out part {fold + 1} of {FOLDS}", (fold + 1) / (FOLDS + 2))
            if not out.any() or out.all():
                continue
            mean, variance = Ability(self._encoder, self._parts).fit(logs.take(~out)).logit(logs.take(out))
            rows.append(np.flatnonzero(out))
            means.append(mean)
            variances.append(variance)
        places = np.concatenate(rows) if rows else np.zeros(0, int)
        weight = logs.runs[places] / (1 + (logs.runs[places] - 1) * self.rho)
        found = [np.concatenate(x) if x else np.zeros(0) for x in (means, variances)]
        return places, Target(found[0], found[1], logs.frequency[places], weight)
