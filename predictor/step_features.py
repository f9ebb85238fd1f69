"""A planned step as numbers that exist in any study: what it changes, where the study stands, what was seen nearby.

Nothing here knows the metric's unit, the hyperparameters' names beyond their kind, or the future.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from ..trials.glosses import gloss, kind
from ..trials.records import Config, State, Trial
from ..trials.space import Choice
from .step_seen import Seen, cosine
from .step_surrogate import around

MENDS = 0.7  # cosine to the latest move, which came out badly, from which a nearby step is one that mends it
KINDS = ("regularisation", "steps", "batch", "model", "momentum", "length")  # the rows of `GLOSSES`
FEATURES = (
    "trials", "failed", "complete", "since_best", "size", "ahead",
    "latest_failed", "latest_worse", "latest_better", "latest_rank", "ill_best", "ill_latest",
    "far", "widest", "changed", "choices", "from_latest", "leg",
    *(f"more_{name}" for name in KINDS),
    "keeps", "keeps_bad", "keeps_good", "mends",
    "suits_best", "suits_latest", "effects", "same_way", "other_way", "moves_known",
    "mean", "deviation", "better", "improvement", "near_rank", "near_failed", "nearest",
)  # fmt: skip


class Stand(Seen):
    """Where a study stands: what every planned configuration is seen against."""

    def features(self, config: Config) -> np.ndarray:
        """The numbers of the step to `config`, shape (len(FEATURES),); all finite."""
        found = {**self._state, **self._shape(config), **self._history(config), **self._outlook(config)}
        return np.array([_bounded(found[name]) for name in FEATURES])

    @cached_property
    def _state(self) -> dict[str, float]:
        n, latest, best = len(self.trials), self.latest, self.best
        return {
            "trials": math.log1p(n),
            "failed": sum(t.state is State.FAILED for t in self.trials) / max(n, 1),
            "complete": math.log1p(len(self.known)),
            "since_best": math.log1p(0 if best is None else sum(t.number > best.number for t in self.trials)),
            "size": math.log(len(self.space)),
            "ahead": self.ahead,
            "latest_failed": float(latest is not None and latest.state is State.FAILED),
            "latest_worse": float(self.outcome < 0 and latest is not None and latest.state is not State.FAILED),
            "latest_better": float(self.outcome > 0),
            "latest_rank": 0.5 if latest is None else float(self.ranks[-1]),
            "ill_best": float(bool(self.asked(best))),
            "ill_latest": float(bool(self.asked(latest))),
        }

    def _shape(self, config: Config) -> dict[str, float]:
        """What the step changes against the best trial, by its kind, and how it goes on from the latest."""
        base = self.base
        delta = self.delta(config, base)
        moved = np.abs(delta)
        kinds = np.zeros(len(KINDS))
        for change, row in zip(delta, self._kinds, strict=True):
            if row is not None:
                kinds[row] += change
        latest = base if self.latest is None else self.latest.config
        before = self.bests[-1].config if self.bests and self.bests[-1] is not None else base
        kept = cosine(self.delta(config, before), self.delta(latest, before))
        bad = self.outcome < 0
        share = float(np.linalg.norm(self.delta(config, latest))) / (
            float(np.linalg.norm(self.delta(latest, before))) + 0.05
        )
        return {
            "far": _rms(delta),
            "widest": float(moved.max(initial=0)),
            "changed": float((moved > 0).mean()),
            "choices": float(moved[self.place.choice].mean()) if self.place.choice.any() else 0.0,
            "from_latest": _rms(self.delta(config, latest)),
            "leg": min(share, 3.0),
            **{f"more_{name}": float(change) for name, change in zip(KINDS, kinds, strict=True)},
            "keeps": kept,
            "keeps_bad": kept * bad,
            "keeps_good": kept * (self.outcome > 0),
            "mends": float(bad and kept > MENDS and share < 1),
            "suits_best": self._suits(config, self.best),
            "suits_latest": self._suits(config, self.latest),
        }

    def _history(self, config: Config) -> dict[str, float]:
        """What earlier moves of the same hyperparameters came to."""
        delta = self.delta(config, self.base)
        length = float(np.linalg.norm(delta)) or 1.0
        alike = self.moves @ (delta / length)
        along, against = np.maximum(alike, 0) ** 2, np.maximum(-alike, 0) ** 2
        return {
            "effects": float(delta @ self.slopes) / length,
            "same_way": float(along @ self.gains / (along.sum() + 1)) if len(alike) else 0.0,
            "other_way": float(against @ self.gains / (against.sum() + 1)) if len(alike) else 0.0,
            "moves_known": math.log1p(float(along.sum())),
        }

    def _outlook(self, config: Config) -> dict[str, float]:
        """What a surrogate and the neighbours say of the place."""
        point = self.place(config).encoded
        every = self.points
        died = np.array([float(t.state is State.FAILED) for t in self.trials])
        share = float(died.mean()) if len(died) else 0.0
        gaps = np.sqrt(((every - point) ** 2).mean(1)) if len(every) else np.ones(1)
        found = {
            "near_rank": around(point, every, self.ranks, 0.5),
            "near_failed": around(point, every, died, share) if died.any() else 0.0,
            "nearest": float(gaps.min()),
        }
        if self.process is None:
            return {**found, "mean": 0.0, "deviation": 1.0, "better": 0.0, "improvement": math.log(0.4)}
        seen = self.process.ask(point)
        better = min(max(seen["better"], 1e-4), 1 - 1e-4)
        return {
            **found,
            "mean": seen["mean"],
            "deviation": seen["deviation"],
            "better": math.log(better / (1 - better)),
            "improvement": math.log(seen["improvement"] + 1e-3),
        }

    @cached_property
    def _kinds(self) -> list[int | None]:
        return [None if isinstance(self.space[name], Choice) else kind(name) for name in self.space]

    def _suits(self, config: Config, trial: Trial | None) -> float:
        """How much of a step from a trial does what its diagnosis asks for, minus what does the opposite."""
        asked = self.asked(trial)
        if trial is None or not asked:
            return 0.0
        delta = self.delta(config, trial.config)
        total = float(np.abs(delta).sum())
        score = 0.0
        for name, change in zip(self.space, delta, strict=True):
            with_it, against = (gloss(name, way) for way in (1 if change > 0 else -1, -1 if change > 0 else 1))
            if with_it and change and (with_it in asked) != (against in asked):
                score += abs(change) * (1 if with_it in asked else -1)
        return score / total if total else 0.0


def _rms(delta: np.ndarray) -> float:
    return float(np.sqrt((delta**2).mean())) if len(delta) else 0.0


def _bounded(value: float) -> float:
    return min(max(value, -10.0), 10.0) if math.isfinite(value) else 0.0
