"""From features to columns of one size: against the mean of all, or of their suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Scaling:
    """Features as columns: each varying one with variance 1 / d, or the main directions of all."""

    mean: np.ndarray  # (d,)
    axes: np.ndarray  # (d, k): a projection, or one feature a column
    means: Mapping[str, np.ndarray] = field(default_factory=dict)  # (d,) of each suite, where these take its place

    def __call__(self, features: np.ndarray, suites: Sequence[str]) -> np.ndarray:
        """Shape (n, d) to (n, k).

        Args:
            features: shape (n, d).
            suites: of each row.
        """
        return np.asarray((features - (self._of(features, suites) if self.means else self.mean)) @ self.axes)

    def _of(self, features: np.ndarray, suites: Sequence[str]) -> np.ndarray:
        """Its suite's mean for each row; a row of zeros, as of an empty text, says nothing, and stands at that mean."""
        found = np.array([self.means.get(suite, self.mean) for suite in suites]).reshape(features.shape)
        return np.where(features.any(axis=1, keepdims=True), found, features)

    @classmethod
    def standard(cls, features: np.ndarray) -> Scaling:
        """Each feature by itself, from shape (n, d)."""
        deviation = features.std(axis=0)
        varying = np.flatnonzero(deviation > 1e-9)
        axes = np.zeros((features.shape[1], len(varying)))
        axes[varying, np.arange(len(varying))] = 1 / (deviation[varying] * np.sqrt(features.shape[1]))
        return cls(features.mean(axis=0), axes)

    @classmethod
    def principal(cls, vectors: np.ndarray, axes: int) -> Scaling:
        """The first directions of shape (n, d), at one scale, so that a row's square is 1 on average."""
        mean = vectors.mean(axis=0)
        _, values, directions = np.linalg.svd(vectors - mean, full_matrices=False)
        kept = values[:axes] > 1e-6
        total = float(np.sqrt((values[:axes] ** 2).sum() / len(vectors)))
        return cls(mean, directions[:axes][kept].T / max(total, 1e-9))


def within_suites(scale: Callable[[np.ndarray], Scaling], features: np.ndarray, suites: Sequence[str]) -> Scaling:
    """A scaling by what is left of features against their suite's mean; an unseen suite has the mean of the means.

    Args:
        scale: makes one of shape (n, d).
        features: shape (n, d), not all zero; rows of zeros are left out.
        suites: of each row.
    """
    said = features.any(axis=1)
    rows, named = features[said], np.array(suites, str)[said]
    means = {str(suite): rows[named == suite].mean(axis=0) for suite in np.unique(named)}
    found = scale(rows - np.array([means[str(suite)] for suite in named]))
    return Scaling(np.mean(list(means.values()), axis=0), found.axes, means)
