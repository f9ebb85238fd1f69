"""Probes: after a few runs of a new workflow or under a new model, its ability is known better, without retraining.

The workflow's part of the logit is shifted by an effect whose prior is what training left open: a t distribution with
that part's variance, for a new workflow `WIDER` times it, so that after very few runs an estimate may be less certain
than before. All else (suite, tasks) stays as it was learnt; how far it is uncertain dampens what a run says.

Which tasks to run is chosen before any outcome is seen (`worth`): one that everybody solves, or nobody, tells nothing,
and one that good and bad workflows solve alike tells little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from . import mixed
from .design import key_of
from .estimator import Estimates
from .logs import Logs, Pairs

if TYPE_CHECKING:
    from .ability import Ability

STEPS = 50  # of Newton's method, far more than it needs: each is a matrix of a few rows
# Logits of one step. Where all probes fail against all expectation, a whole one leaps over the answer, and the next one
# back.
LONGEST = 1.0
POINTS = 9  # of the Gauss-Hermite rule: the integrand is smooth, so that more change nothing that would be seen
# Times a new workflow's variance: training, having seen some 15 of a suite, believes too narrowly of the next one. On
# folds of workflows within training parts 4 ranks better after probes than 1 to 3 and about as 6 and 10, which have a
# worse log loss (docs/benchmarks.md).
WIDER = 4.0
DIGITS, ROUNDING = 9, 1e-9  # rates and spreads nearer than this are equal
MODEL_VARIANCE = 1.0  # of a model's ability where training has seen one model only: a new one may be this much better


def worth(ability: Ability, pairs: Pairs, past: Logs) -> np.ndarray:
    """How much one run of each pair would tell of how good its workflow is, shape (n,): what it tells of the ability,
    times how far its task has told workflows apart before.

    Args:
        past: runs of other workflows on the same tasks, as those that the ability was trained on.

    Raises:
        ValueError: the ability was not trained.
    """
    return np.asarray(information(ability, pairs) * telling(past, pairs))


def information(ability: Ability, pairs: Pairs) -> np.ndarray:
    """The Fisher information of a run about its workflow's ability, the mean over what is believed of it, shape (n,).

    Adaptive tests choose their items so (van der Linden and Pashley 2000). 0.25 at the most, and less the less certain
    the rest of the logit is.
    """
    mean, variance = ability.logit(pairs)
    own = ability.open_ability(pairs)
    damping = _damping(variance, own)
    places, weights = np.polynomial.hermite_e.hermegauss(POINTS)
    p = expit(damping[:, None] * (mean[:, None] + np.sqrt(own)[:, None] * places))  # (n, POINTS)
    return np.asarray(damping**2 * (p * (1 - p) @ weights) / weights.sum())


def telling(past: Logs, pairs: Pairs) -> np.ndarray:
    """How far each pair's task went with the ranks of workflows in `past`, shape (n,): the correlation of success with
    rank among the workflows of a suite, at least 0, the mean over the suites that ran it. The mean of the pair's suite
    where nobody ran it, 1 where the suite was not run either.
    """
    found = {str(suite): _with_rank(past.take(past.suite == suite)) for suite in np.unique(past.suite)}
    mean = {suite: float(np.mean(list(of.values()))) for suite, of in found.items()}
    asked = [(str(suite), key_of(pairs.tasks[t])) for suite, t in zip(pairs.suite, pairs.task, strict=True)]
    told = {key: float(np.mean([of[key] for of in found.values() if key in of])) for of in found.values() for key in of}
    return np.array([told.get(key, mean.get(suite, 1.0)) for suite, key in asked])


def _with_rank(logs: Logs) -> dict[str, float]:
    """The correlation of success on each task with the rank of the workflow among all of these."""
    _, place = np.unique(logs.workflow, return_inverse=True)
    # Rounded, so that no tie is broken by the order of a sum.
    rank = rankdata(np.round(np.bincount(place, logs.frequency) / np.bincount(place), DIGITS))[place]
    found = {}
    for task in np.unique(logs.task):
        success, of = logs.frequency[logs.task == task], rank[logs.task == task]
        spread = success.std() * of.std()
        together = ((success - success.mean()) * (of - of.mean())).mean()
        found[key_of(logs.tasks[task])] = max(float(together / spread), 0.0) if spread > ROUNDING else 0.0
    return found


def _damping(variance: np.ndarray, own: np.ndarray) -> np.ndarray:
    """How far a logit's slope is flattened by what is uncertain beside the workflow; shape (n,)."""
    return np.asarray(1 / np.sqrt(1 + np.pi * np.maximum(variance - own, 0) / 8))


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
        damping = _damping(variance, own)
        weight = runs.runs / (1 + (runs.runs - 1) * self._ability.rho)
        wide = own * np.where(self._ability.design.unseen(runs)[1], WIDER, 1.0)
        of_graph = [wide[effects[:, i] > 0].mean() for i in range(len(self._graphs))]
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
            shift = shift + np.clip(covariance @ slope, -LONGEST, LONGEST)
        return shift, covariance
