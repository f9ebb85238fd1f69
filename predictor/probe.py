"""Probes: after a few runs of a new workflow or under a new model, its ability is known better, without retraining.

The workflow's part of the logit is shifted by an effect whose prior is what training left open: a t distribution with
that part's variance. All else (suite, tasks) stays as it was learnt; how far it is uncertain dampens what a run says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from . import mixed
from .estimator import Estimates
from .logs import Logs, Pairs

if TYPE_CHECKING:
    from .ability import Ability

STEPS = 50  # of Newton's method, far more than it needs: each is a matrix of a few rows
MODEL_VARIANCE = 1.0  # of a model's ability where training has seen one model only: a new one may be this much better


class Probed:
    """An `Ability` that has seen runs of some workflows since it was trained. It predicts; it is not fitted again.

    Args:
        ability: the trained estimator.
        runs: the probes, any number of pairs.
    """

    def __init__(self, ability: Ability, runs: Logs) -> None:
        self._ability = ability
        self._graphs = tuple(sorted({runs.workflows[i].graph_key for i in np.unique(runs.workflow)}))
        self._models = tuple(sorted(self._new_models(runs)))
        self._shift, self._covariance = self._settled(runs)

    @property
    def name(self) -> str:
        """The trained estimator's."""
        return self._ability.name

    def logit(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the logit after the probes, shapes (n,)."""
        mean, variance = self._ability.logit(pairs)
        known, effects = self._ability.open_ability(pairs), self._effects(pairs)
        open_ = np.einsum("ij,jk,ik->i", effects, self._covariance, effects)
        probed = np.maximum(variance - known, 0) + open_
        return mean + effects @ self._shift, np.where(effects.any(axis=1), probed, variance)

    def predict(self, pairs: Pairs) -> Estimates:
        """What is believed of each pair after the probes; it abstains where the trained estimator does."""
        mean, variance = self.logit(pairs)
        new_suite, _ = self._ability.design.unseen(pairs)
        return Estimates(mixed.probability(mean, variance), np.sqrt(variance), new_suite)

    def _new_models(self, runs: Logs) -> set[str]:
        asked = {model for i in np.unique(runs.workflow) for model in runs.workflows[i].models if model}
        return asked - set(self._ability.design.models)

    def _effects(self, pairs: Pairs) -> np.ndarray:
        """Which effects each pair has: its graph's, and new models' by their share; shape (n, graphs + models)."""
        rows = np.zeros((len(pairs.workflows), len(self._graphs) + len(self._models)))
        for row, workflow in zip(rows, pairs.workflows, strict=True):
            if workflow.graph_key in self._graphs:
                row[self._graphs.index(workflow.graph_key)] = 1
            named = [model for model in workflow.models if model]
            for i, model in enumerate(self._models):
                row[len(self._graphs) + i] = named.count(model) / max(len(named), 1)
        return np.asarray(rows[pairs.workflow])

    def _settled(self, runs: Logs) -> tuple[np.ndarray, np.ndarray]:
        """The effects and their covariance, by the Laplace approximation."""
        mean, variance = self._ability.logit(runs)
        own, effects = self._ability.open_ability(runs), self._effects(runs)
        damping = 1 / np.sqrt(1 + np.pi * np.maximum(variance - own, 0) / 8)
        weight = runs.runs / (1 + (runs.runs - 1) * self._ability.rho)
        of_graph = [own[effects[:, i] > 0].mean() for i in range(len(self._graphs))]
        prior = np.array([*of_graph, *[MODEL_VARIANCE] * len(self._models)])
        shift, covariance = np.zeros(len(prior)), np.diag(prior)
        degrees = self._ability.priors.degrees
        for _ in range(STEPS):
            p = expit(damping * (mean + effects @ shift))
            # The scale mixture of a t prior, as in `mixed`.
            precision = (degrees + 1) / (degrees * prior + shift**2 + np.diag(covariance))
            slope = effects.T @ (weight * damping * (runs.frequency - p)) - precision * shift
            curve = effects.T * (weight * damping**2 * p * (1 - p)) @ effects + np.diag(precision)
            covariance = np.linalg.inv(curve)
            shift = shift + covariance @ slope
        return shift, covariance
