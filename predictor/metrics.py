"""How good predictions are: arrays in, numbers out. Rates of success are compared with run frequencies, not labels.

`weight` is how often a row counts, such as its runs; ones where it is not given. No function looks at the order of its
rows, so ties are never broken by it, nor by the truth. What cannot be said of the rows given is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

BINS = 10  # of equal width, for the calibration error
TIE = 1e-6  # values as near as this are one in a ranking: estimates of equal graphs differ by rounding alone
EDGE = 1e-15  # log loss of a wrong certainty ends at 34.5 instead of infinity


def accuracy(probability: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> float:
    """The share of labels that `probability >= 0.5` says right; all of shape (n,)."""
    return _mean((probability >= 0.5) == (label > 0), weight)


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """How often a positive row scores above a negative one, ties counting half; NaN where there is one class only."""
    rows = Concordance.of(score, label, np.zeros(len(label), int))
    return float(rows.auc(np.ones((1, len(rows.positives))))[0])


def brier(probability: np.ndarray, frequency: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean squared distance of a single run's outcome from the probability: within-pair noise counts too."""
    return _mean(frequency * (1 - probability) ** 2 + (1 - frequency) * probability**2, weight)


def log_loss(probability: np.ndarray, frequency: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean negative log likelihood of a single run's outcome, in nats."""
    inside = np.clip(probability, EDGE, 1 - EDGE)
    return _mean(-xlogy(frequency, inside) - xlogy(1 - frequency, 1 - inside), weight)


def calibration_error(probability: np.ndarray, frequency: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean distance between predicted and seen frequency over 10 bins of equal width, weighted by what they hold."""
    weights = np.ones(len(probability)) if weight is None else weight
    gaps = np.bincount(bin_of(probability), weights * (probability - frequency), BINS)
    return float(np.abs(gaps).sum()) / float(weights.sum()) if weights.sum() else float("nan")


def bin_of(probability: np.ndarray) -> np.ndarray:
    """The bin that a probability falls in, 0 to 9."""
    return np.asarray(np.minimum((probability * BINS).astype(int), BINS - 1))


def kendall_tau(
    predicted: np.ndarray, true: np.ndarray, weight: np.ndarray | None = None, block: np.ndarray | None = None
) -> np.ndarray:
    """Kendall's tau-b between two rankings of n things; a tie in both counts for nothing.

    Args:
        predicted: shape (..., n); each leading index is a ranking of its own.
        true: the same shape.
        weight: the same shape: how often each thing stands in the ranking, 0 for not at all. Its copies are ties.
        block: shape (n,): only things of one block are compared; all with all where it is not given.

    Returns:
        Shape (...); NaN where either side is all ties.
    """
    weights = np.ones(np.shape(predicted)) if weight is None else weight
    ours, theirs = _signs(predicted), _signs(true)
    pairs = weights[..., :, None] * weights[..., None, :]
    if block is not None:
        pairs = pairs * (block[:, None] == block)
    with np.errstate(invalid="ignore", divide="ignore"):
        untied = np.sqrt((pairs * np.abs(ours)).sum((-1, -2)) * (pairs * np.abs(theirs)).sum((-1, -2)))
        return np.asarray((pairs * ours * theirs).sum((-1, -2)) / untied)


def top_regret(predicted: np.ndarray, true: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """The best thing's true rate minus that of the thing predicted best, which is drawn where several are.

    Shapes as in `kendall_tau`.
    """
    there = np.ones(np.shape(predicted)) if weight is None else np.asarray(weight, float)
    shown = np.where(there > 0, predicted, -np.inf)
    first = there * (shown >= shown.max(-1, keepdims=True) - TIE)
    best = np.where(there > 0, true, -np.inf).max(-1)
    return np.asarray(best - (first * true).sum(-1) / first.sum(-1))


def utility(predicted: np.ndarray, true: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """How much the k best predicted overlap with the k truly best, as the area under the overlap over k = 1 to n.

    FLORA-Bench (arXiv 2503.11301) lets ties stand in the order of its file. Here they are shuffled, on each side apart,
    and the value is the mean over all shuffles, computed exactly. So a constant predictor gets (n + 1) / 2n, and a
    perfect one 1 unless the truth itself has ties. Shapes as in `kendall_tau`; 1 for a single thing.
    """
    there = np.ones(np.shape(predicted)) if weight is None else np.asarray(weight, float)
    count = there.sum(-1)[..., None]  # (..., 1)
    k = np.arange(1, int(count.max()) + 1)  # (k,)
    both = _in_first(predicted, there, k) * _in_first(true, there, k)  # (..., n, k)
    overlap = (there[..., None] * both).sum(-2) / k  # (..., k)
    ends = np.where((k == 1) | (k == count), 0.5, 1.0) * (k <= count)  # the trapezoid rule
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (overlap * ends).sum(-1) / (count[..., 0] - 1)
    return np.where(count[..., 0] == 1, 1.0, area)


def _in_first(score: np.ndarray, weight: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The chance of each thing to be among the first k when ties are shuffled; shape (..., n, k)."""
    signs = _signs(score)
    above = ((signs < 0) * weight[..., None, :]).sum(-1)
    tied = ((signs == 0) * weight[..., None, :]).sum(-1)
    return np.asarray(np.clip((k - above[..., None]) / np.maximum(tied, 1)[..., None], 0, 1))


def _signs(values: np.ndarray) -> np.ndarray:
    """1 where the first is larger than the second, 0 for a tie; shape (..., n, n)."""
    gap = values[..., :, None] - values[..., None, :]
    return np.asarray(np.sign(gap) * (np.abs(gap) > TIE))


def _mean(values: np.ndarray, weight: np.ndarray | None) -> float:
    if not len(values) or (weight is not None and not weight.sum()):
        return float("nan")
    return float(np.average(values, weights=weight))


@dataclass(frozen=True)
class Concordance:
    """How rows of one group score against rows of another: enough for the AUC of any resampling of the groups."""

    wins: np.ndarray  # (n_groups, n_groups): positives of the one above negatives of the other, ties counting half
    positives: np.ndarray  # (n_groups,)
    negatives: np.ndarray  # (n_groups,)

    @classmethod
    def of(cls, score: np.ndarray, label: np.ndarray, group: np.ndarray) -> Concordance:
        """Count from rows.

        Args:
            score: shape (n,), higher for more likely positive.
            label: shape (n,), above 0 for positive.
            group: shape (n,), int from 0.
        """
        count = int(group.max(initial=-1)) + 1
        up, down = label > 0, label <= 0
        wins = np.zeros((count, count))
        for other in np.unique(group[down]):
            theirs = np.sort(score[down & (group == other)])
            below = np.searchsorted(theirs, score[up], "left") + np.searchsorted(theirs, score[up], "right")
            wins[:, other] = np.bincount(group[up], below / 2, count)
        return cls(wins, np.bincount(group[up], minlength=count), np.bincount(group[down], minlength=count))

    def auc(self, times: np.ndarray) -> np.ndarray:
        """The AUC when each group stands in the rows so many times.

        Args:
            times: shape (n_draws, n_groups).

        Returns:
            Shape (n_draws,); NaN where a draw has one class only.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            won, pairs = self.counted(times)
            return np.asarray(won / pairs)

    def counted(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many pairs of a positive and a negative row are in the right order, and how many there are.

        Args:
            times: as in `auc`.

        Returns:
            Both of shape (n_draws,).
        """
        pairs = (times @ self.positives) * (times @ self.negatives)
        return np.asarray(((times @ self.wins) * times).sum(1)), np.asarray(pairs)
