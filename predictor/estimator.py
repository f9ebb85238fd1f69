"""The contract of everything that predicts whether a workflow will succeed on a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from .logs import Logs, Pairs

Progress = Callable[[str, float], None]  # what is being done, and the share of it that is done, 0 to 1


def silent(what: str, share: float) -> None:
    """A progress that nobody sees."""


@dataclass(frozen=True)
class Estimates:
    """What is believed of n pairs before they are run."""

    probability: np.ndarray  # (n,) of success, strictly between 0 and 1
    deviation: np.ndarray  # (n,) standard deviation of the logit; infinite where nothing is known of it
    abstains: np.ndarray  # (n,) bool: outside what it was trained on; the probability is then only a guess


class Estimator(Protocol):
    """Learns from logs and predicts.

    - Deterministic: the same logs and seed give the same estimates.
    - `predict` never reads an outcome, and may be asked of workflows and tasks that training has not seen.
    - A pair's estimate does not depend on what else is asked in the same call.
    - A task or workflow is known by its content (`Task.id` and suite, `LoggedWorkflow.graph_key`), not by its place.
    """

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def fit(self, logs: Logs, progress: Progress = silent) -> Self:
        """Learn from scratch; gives itself back.

        Raises:
            ValueError: no pair to learn from.
        """
        ...

    def predict(self, pairs: Pairs) -> Estimates:
        """Raises ValueError before `fit`."""
        ...
