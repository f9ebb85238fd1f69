"""The failure model: how likely a configuration dies, from what this study and those like it have lived through.

Several judges answer, and each counts for as much as it foresaw of trials that it was not shown:

- a judge of sizes, a Bayesian logistic regression that expects whole numbers to do harm when they are large (memory is
  a product of sizes, and so a sum of their logarithms) and little of the rest;
- a judge that expects nothing;
- one for each derived feature, which expects that feature alone to matter;
- scikit-learn's extremely randomised trees (Geurts et al. 2006) over everything, for what is no straight line.

Weights are the judges' held-out likelihoods ("pseudo-BMA", Yao et al. 2018, arXiv 1704.02030): out of bag for the
trees, without the row itself for the regressions. So a useless feature, or an expectation that is wrong here, is
outvoted after a few trials, and nothing has to be set aside for the choice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..trials.records import Config, State, Trial
from ..trials.space import Space
from .derived import Derived
from .judges import Judge, Trees, explained, likelihoods, shares
from .logit import fit_logit
from .space_columns import SpaceColumns

LEAST = 4  # trials, a failure and a success among them, before anything is said
MOST_RECALLED = 200  # trials of other studies, the first ones given; more make it slow
MOST_WEIGHT = 20.0  # of them all, in own trials: a long memory must not outvote a study for ever
LEVEL = 3.0  # prior deviation of the level, in logits
ELSEWHERE = 2.0  # prior deviation of what another study's level is off by, and of a task feature's effect
# Prior mean and deviation of effects over a hyperparameter's whole range, in logits. Chosen on one half of nanochat's
# tuners, reported on the other (docs/gate.md).
SIZE, SIZE_SPREAD, REST_SPREAD = 4.0, 4.0, 0.7
OPEN_SPREAD = 4.0
DERIVED, DERIVED_SPREAD, BESIDE_SIZE, BESIDE_REST = 12.0, 8.0, 0.5, 0.25
TOLD = 3  # derived features that the trees are told, those that foresaw most
PROPOSED = 32.0  # judges that all derived features together count for beforehand: who proposes them knows something


@dataclass(frozen=True)
class Recalled:
    """A trial of another study that is like this one, in the same space."""

    trial: Trial
    weight: float = 0.5  # as many of this study's own trials
    task: Mapping[str, float] = field(default_factory=dict)  # facts about its data: rows, columns, ...


@dataclass(frozen=True)
class _Weighed:
    judge: Judge
    use: np.ndarray  # (d,) bool: the columns that it looks at
    weight: float


class FailureModel:
    """Learns from trials which configurations die; see the module.

    What counts is `Trial.died_there`; a failure of the launch or the machine says nothing, and neither does a trial
    that is still running. The same data and seed give the same answers.

    Args:
        derived: features that may help.
        recalled: trials of other studies, the most alike first.
        task: this study's own task features, with which those of recalled ones are compared.
    """

    def __init__(
        self,
        space: Space,
        *,
        derived: Sequence[Derived] = (),
        recalled: Sequence[Recalled] = (),
        task: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        self._space, self._derived, self._seed = space, tuple(derived), seed
        self._columns = SpaceColumns(space)
        known = [r for r in recalled if label(r.trial) is not None and r.weight > 0][:MOST_RECALLED]
        scale = min(1.0, MOST_WEIGHT / max(sum(r.weight for r in known), MOST_WEIGHT))
        self._recalled = [replace(r, weight=scale * r.weight) for r in known]
        self._task = dict(task or {})
        self._judges: list[_Weighed] = []

    @property
    def ready(self) -> bool:
        """Whether it has seen enough to say anything."""
        return bool(self._judges)

    @property
    def weights(self) -> dict[str, float]:
        """How much each judge counts: sizes, open, each derived feature by its text, trees. Empty before it is ready"""
        names = ["sizes", "open", *(d.text for d in self._derived), "trees"]
        return dict(zip(names, (one.weight for one in self._judges), strict=False))

    def fit(self, trials: Sequence[Trial]) -> FailureModel:
        """Learn anew from this study's trials and the recalled ones."""
        own = [(t.config, died) for t in trials if (died := label(t)) is not None]
        others = [(r.trial.config, bool(label(r.trial))) for r in self._recalled]
        labels = np.array([died for _, died in own + others], float)
        weights = np.array([1.0] * len(own) + [r.weight for r in self._recalled])
        self._judges = []
        if len(labels) < LEAST or not 0 < labels.sum() < len(labels):
            return self
        columns = np.hstack(
            [self._rows([c for c, _ in own + others]), self._elsewhere(len(own)), np.ones((len(labels), 1))]
        )
        self._judges = self._weigh(columns, labels, weights)
        return self

    def probability(self, configs: Sequence[Config]) -> np.ndarray | None:
        """The probability that each configuration fails, shape (m,); None where it knows too little."""
        if not self._judges:
            return None
        rows = self._rows(configs)
        here = np.zeros((len(rows), len(self._task_names()) + 1))
        columns = np.hstack([rows, here, np.ones((len(rows), 1))])
        found = sum(one.weight * one.judge.probability(columns[:, one.use]) for one in self._judges if one.weight)
        return np.asarray(found, float)

    def _rows(self, configs: Sequence[Config]) -> np.ndarray:
        """The space's columns and the derived ones, around 0 instead of a half; shape (n, d)."""
        derived = [one.column(configs, self._space)[:, None] for one in self._derived]
        return np.hstack([self._columns(configs), *derived]) - 0.5

    def _task_names(self) -> list[str]:
        return sorted({name for r in self._recalled for name in r.task} & self._task.keys())

    def _elsewhere(self, own: int) -> np.ndarray:
        """Of each row, that it is another study's, and by how much its task differs; 0 for own ones."""
        rows = [[1.0, *(_apart(r.task.get(n), self._task[n]) for n in self._task_names())] for r in self._recalled]
        width = len(self._task_names()) + 1
        return np.vstack([np.zeros((own, width)), np.array(rows, float).reshape(len(rows), width)])

    def _weigh(self, columns: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> list[_Weighed]:
        """Every judge, fitted, with the share that it earned."""
        whole, extra = self._columns.whole, len(self._derived)
        found: list[tuple[Judge, np.ndarray]] = []
        for size, size_spread, rest_spread, feature in [
            (SIZE, SIZE_SPREAD, REST_SPREAD, None),
            (0.0, OPEN_SPREAD, OPEN_SPREAD, None),
            *((0.0, BESIDE_SIZE, BESIDE_REST, i) for i in range(extra)),
        ]:
            use = self._use(columns, [] if feature is None else [feature])
            mean, spread = self._prior(np.where(whole, size, 0.0), np.where(whole, size_spread, rest_spread), use)
            first = fit_logit(columns[:, use], labels, weights, mean, spread)
            firm = weights * explained(first.held_out, labels)  # one run that died by chance would bend the line
            found.append((fit_logit(columns[:, use], labels, firm, mean, spread), use))
        scores = [likelihoods(judge.held_out, labels, weights) for judge, _ in found]
        told = np.argsort([-score.sum() for score in scores[2:]], kind="stable")[:TOLD]
        use = self._use(columns, told)
        found.append((Trees(columns[:, use], labels, weights, self._seed), use))
        scores.append(likelihoods(found[-1][0].held_out, labels, weights))
        # All derived features together count beforehand as much as PROPOSED other judges.
        prior = np.array([0.0, 0.0, *[math.log(PROPOSED / max(extra, 1))] * extra, 0.0])
        earned = shares(np.array(scores), prior, self._seed)
        return [_Weighed(judge, seen, float(share)) for (judge, seen), share in zip(found, earned, strict=True)]

    def _use(self, columns: np.ndarray, features: Sequence[int] | np.ndarray) -> np.ndarray:
        """All columns, but of the derived features only some; shape (d,) bool."""
        base, extra = len(self._columns.whole), len(self._derived)
        use = np.ones(columns.shape[1], bool)
        use[base : base + extra] = np.isin(np.arange(extra), features)
        return use

    def _prior(self, mean: np.ndarray, spread: np.ndarray, use: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the columns in use: the space's, a derived feature's, other studies', the level's."""
        base, extra = len(self._columns.whole), len(self._derived)
        features, rest = int(use[base : base + extra].sum()), len(use) - base - extra
        return (
            np.concatenate([mean, np.full(features, DERIVED), np.zeros(rest)]),
            np.concatenate([spread, np.full(features, DERIVED_SPREAD), np.full(rest - 1, ELSEWHERE), [LEVEL]]),
        )


def label(trial: Trial) -> bool | None:
    """Whether a trial died where it was put; None where it says nothing."""
    if trial.died_there:
        return True
    return False if trial.state in (State.COMPLETE, State.PRUNED) else None


def _apart(theirs: float | None, ours: float) -> float:
    """The difference of a task feature; of positive ones in decades. 0 where one is unknown."""
    if theirs is None or not math.isfinite(theirs) or not math.isfinite(ours):
        return 0.0
    return math.log10(theirs / ours) if theirs > 0 and ours > 0 else math.tanh(theirs - ours)
