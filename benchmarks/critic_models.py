"""The scorers under comparison: what a step is worth, by itself, merged with the one before, or by both.

Each learns from rows of `critic_table.Rows` and answers with probabilities of "worth its trial".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from critic_table import Rows
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from luthier.predictor.step_features import FEATURES

FOLDS = 5  # of the walks, to learn a combination on scores that are not of the rows trained on
EDGE = 1e-4
LATEST = (
    "latest_failed", "latest_worse", "latest_better", "latest_rank", "ill_latest", "from_latest", "leg", "keeps",
    "keeps_bad", "keeps_good", "mends", "suits_latest",
)  # fmt: skip


class Model(Protocol):
    """A classifier of scikit-learn."""

    def predict_proba(self, x: np.ndarray) -> np.ndarray: ...


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Model]  # features, labels, weights


def boosted(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Model:
    """Small trees, many of them."""
    model = HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.08, max_leaf_nodes=8, min_samples_leaf=60, l2_regularization=5.0,
        early_stopping=False, random_state=0,
    )  # fmt: skip
    fitted: Model = model.fit(x, y, sample_weight=w)
    return fitted


def linear(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Model:
    """A logistic regression."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    fitted: Model = model.fit(x, y, logisticregression__sample_weight=w)
    return fitted


@dataclass(frozen=True)
class Masked:
    """A model that sees only some columns."""

    model: Model
    columns: np.ndarray

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Of features of shape (n, all columns); shape (n, 2)."""
        return self.model.predict_proba(x[:, self.columns])


def blind(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Model:
    """Trees that do not know how the latest trial came out, nor how the step goes on from it."""
    columns = np.array([i for i, name in enumerate(FEATURES) if name not in LATEST])
    return Masked(boosted(x[:, columns], y, w), columns)


FITS: Mapping[str, Fit] = {"trees": boosted, "linear": linear}


def weights(rows: Rows) -> np.ndarray:
    """Each suite weighs the same, and in it each walk; mean 1; shape (n,)."""
    found = np.zeros(len(rows))
    for suite in np.unique(rows.suite):
        inside = rows.suite == suite
        _, of, counts = np.unique(rows.walk[inside], return_inverse=True, return_counts=True)
        found[inside] = 1 / counts[of] / len(counts)
    return np.asarray(found / found.mean())


@dataclass(frozen=True)
class StepScorer:
    """One function of one step: f(where the study stands, where the step goes)."""

    model: Model

    @classmethod
    def fit(cls, rows: Rows, how: Fit, compress: bool) -> StepScorer:
        """Learn from the steps; with `compress` from each pair of consecutive steps as one as well, relabelled."""
        w = weights(rows)
        if not compress:
            return cls(how(rows.alone, rows.worth, w))
        x, y = np.concatenate([rows.alone, rows.merged]), np.concatenate([rows.worth, rows.worth_both])
        return cls(how(x, y, np.concatenate([w, w]) / 2))

    def alone(self, rows: Rows) -> np.ndarray:
        """P(worth) of the step alone, shape (n,)."""
        return np.asarray(self.model.predict_proba(rows.alone)[:, 1])

    def merged(self, rows: Rows) -> np.ndarray:
        """P(worth) of both steps as one, shape (n,)."""
        return np.asarray(self.model.predict_proba(rows.merged)[:, 1])


Answer = Callable[[Rows], np.ndarray]


def constant(rows: Rows, how: Fit, compress: bool) -> dict[str, Answer]:
    """The share of steps that were worth it, and that share by the trial's number."""
    share = float(np.average(rows.worth, weights=weights(rows)))
    number = [FEATURES.index("trials")]
    by_number = linear(rows.alone[:, number], rows.worth, weights(rows))
    process = [FEATURES.index(n) for n in ("better", "improvement")]
    by_process = linear(rows.alone[:, process], rows.worth, weights(rows))
    return {
        "constant": lambda r: np.full(len(r), share),
        "trial number": lambda r: by_number.predict_proba(r.alone[:, number])[:, 1],
        "process alone": lambda r: by_process.predict_proba(r.alone[:, process])[:, 1],
    }


def hierarchical(rows: Rows, how: Fit, compress: bool, full: bool = True) -> dict[str, Answer]:
    """The step alone, and with the merged step in two ways; with `full`, which takes longer, in a third, learnt one."""
    scorer = StepScorer.fit(rows, how, compress)
    found: dict[str, Answer] = {
        "step": scorer.alone,
        "maximum": lambda r: np.maximum(scorer.alone(r), scorer.merged(r)),
        "maximum after bad": lambda r: after_bad(scorer, r),
    }
    if full:
        both = combined(rows, how, compress)
        found["learnt"] = lambda r: both.predict_proba(pair_columns(scorer, r))[:, 1]
    return found


def after_bad(scorer: StepScorer, rows: Rows) -> np.ndarray:
    """The better of both scores where the latest trial came out badly, so that the same best is to beat."""
    alone = scorer.alone(rows)
    bad = (rows.column("latest_failed") + rows.column("latest_worse")) > 0
    return np.where(bad, np.maximum(alone, scorer.merged(rows)), alone)


def combined(rows: Rows, how: Fit, compress: bool) -> Model:
    """A logistic regression over both scores, learnt from scores of walks that a scorer did not see."""
    names = np.unique(rows.walk)
    fold = np.random.default_rng(0).permutation(len(names)) % FOLDS
    of = fold[np.searchsorted(names, rows.walk)]
    x = np.zeros((len(rows), 5))
    for k in range(FOLDS):
        x[of == k] = pair_columns(StepScorer.fit(rows.take(of != k), how, compress), rows.take(of == k))
    return linear(x, rows.worth, weights(rows))


def pair_columns(scorer: StepScorer, rows: Rows) -> np.ndarray:
    """Both scores as logits, and how the latest trial came out; shape (n, 5)."""
    alone, merged = logit(scorer.alone(rows)), logit(scorer.merged(rows))
    better = rows.column("latest_better")
    return np.column_stack([alone, merged, better, better * merged, rows.mends * merged])


def joint(rows: Rows, how: Fit) -> dict[str, Answer]:
    """One function of both views at once."""

    def columns(r: Rows) -> np.ndarray:
        return np.hstack([r.alone, r.merged])

    model = how(columns(rows), rows.worth, weights(rows))
    return {"joint": lambda r: model.predict_proba(columns(r))[:, 1]}


def logit(p: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) of probabilities kept off 0 and 1."""
    inside = np.clip(p, EDGE, 1 - EDGE)
    return np.asarray(np.log(inside) - np.log1p(-inside))
