"""Is a planned step worth its trial: a small learnt scorer for the critic.

The scorer is data (`step_reward.json`): small trees that `benchmarks/fit_critic.py` grows on walks through LCBench,
TaskSet and tables, and on nanochat's and LLAMBO's logs. After the hierarchical reward model (arXiv 2503.13551) it can
score a step merged with the one before it as well, as one step from where that one started. That added nothing here:
the next step starts from the best trial, so a bad latest one is knowledge, no broken premise (docs/gate.md).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..trials.records import Config, Direction, Trial
from ..trials.space import Space
from .errors import CheckpointFault
from .step_features import FEATURES, Stand
from .step_places import Places

FILE = Path(__file__).with_name("step_reward.json")

Tree = Any  # [feature, limit, what holds up to the limit, what holds above], or a number: what it adds to the logit


@dataclass(frozen=True)
class StepReward:
    """The probability that a step is worth its trial: that its value beats the best before it by more than the noise.

    A tree is a nested list, see `Tree`; `start` is the logit before any tree speaks.
    """

    start: float
    trees: tuple[Tree, ...]

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """A scorer from what its file holds.

        Raises:
            CheckpointFault: the features are not those that this version computes.
        """
        if tuple(stored.get("features", ())) != FEATURES:
            rule = "a step scorer must know the features of this version, but it was made for others"
            raise CheckpointFault(f"{FILE.name}: {rule}; make it again with benchmarks/fit_critic.py --write")
        return cls(float(stored["start"]), tuple(_compiled(tree) for tree in stored["trees"]))

    @classmethod
    def shipped(cls) -> Self:
        """The one that comes with the package."""
        return cls.of(_read(FILE))

    def probability(self, features: np.ndarray) -> float:
        """P(worth its trial) of one row of `Stand.features`, in (0, 1)."""
        row = features.tolist()
        logit = self.start + sum(_leaf(tree, row) for tree in self.trees)
        return 1 / (1 + math.exp(-max(min(logit, 30.0), -30.0)))


@dataclass(frozen=True)
class StepJudge:
    """What a scorer says of the steps that could follow a study's trials.

    Args:
        before: where the study stood before its latest trial; None with fewer than two trials.
    """

    scorer: StepReward
    now: Stand
    before: Stand | None

    @classmethod
    def of(
        cls,
        space: Space,
        trials: Sequence[Trial],
        direction: Direction,
        metric: str,
        scorer: StepReward | None = None,
    ) -> Self:
        """A judge for the next trial; the scorer that ships, unless another is given."""
        done = sorted((t for t in trials if t.finished), key=lambda t: t.number)
        places = Places(space)
        now = Stand(space, done, direction, metric, places)
        before = Stand(space, done[:-1], direction, metric, places) if len(done) > 1 else None
        return cls(scorer or StepReward.shipped(), now, before)

    def __call__(self, config: Config) -> float:
        """P(worth its trial) of the step to a configuration."""
        return self.scorer.probability(self.now.features(config))

    def merged(self, config: Config) -> float | None:
        """The same of the latest step and this one as one step; None where there is nothing to merge."""
        if self.before is None or self.before.best is None:
            return None
        return self.scorer.probability(self.before.features(config))


def _compiled(tree: Tree) -> Tree:
    """A tree with places for the features' names."""
    if not isinstance(tree, list):
        return float(tree)
    name, limit, below, above = tree
    return (FEATURES.index(name), float(limit), _compiled(below), _compiled(above))


def _leaf(tree: Tree, row: Sequence[float]) -> float:
    while isinstance(tree, tuple):
        tree = tree[2] if row[tree[0]] <= tree[1] else tree[3]
    return float(tree)


@cache
def _read(path: Path) -> Mapping[str, Any]:
    return json.loads(path.read_text())  # type: ignore[no-any-return]
