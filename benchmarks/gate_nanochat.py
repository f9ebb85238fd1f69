"""Gate 2 on real overnight runs: nanochat's 14 hyperparameters, 9 tuners x 3 seeds, failures mostly out of memory.

Retrospective: later trials stay what they were. The tuners are split, so that nothing is chosen on what is reported:
constants of the failure model and its thresholds were chosen with `--half development`.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from suites import need

from luthier.predictor.derived import Derived, derived_of, from_names
from luthier.predictor.failure import FailureModel, Recalled
from luthier.predictor.logit import fit_logit
from luthier.predictor.space_columns import SpaceColumns
from luthier.trials.records import Cause, Config, Failure, State, Trial
from luthier.trials.space import Choice, Float, Int, Space

# The ranges that the authors searched (arXiv 2603.24647).
SPACE = Space(
    {
        "DEPTH": Int(4, 24, default=8),
        "ASPECT_RATIO": Int(32, 128, default=64),
        "HEAD_DIM": Choice((64, 128, 256), default=128),
        "DEVICE_BATCH_SIZE": Choice((32, 64, 128, 256), default=128),
        "TOTAL_BATCH_SIZE": Choice(tuple(2**i for i in range(16, 22)), default=2**19),
        "EMBEDDING_LR": Float(0.01, 2.0, log=True, default=0.6),
        "UNEMBEDDING_LR": Float(0.0005, 0.05, log=True, default=0.004),
        "MATRIX_LR": Float(0.005, 0.2, log=True, default=0.04),
        "SCALAR_LR": Float(0.05, 2.0, log=True, default=0.5),
        "WEIGHT_DECAY": Float(0.0, 0.5, default=0.2),
        "WARMUP_RATIO": Float(0.0, 0.3, default=0.0),
        "WARMDOWN_RATIO": Float(0.1, 0.8, default=0.5),
        "FINAL_LR_FRAC": Float(0.0, 0.2, default=0.0),
        "WINDOW_PATTERN": Choice(("SSSL", "SSLL", "SLSL", "LLLL", "SSSS", "LSSL"), default="SSSL"),
    }
)
HIDDEN = {name: f"x{i}" for i, name in enumerate(SPACE)}
FORMULA = "DEPTH * (DEPTH * ASPECT_RATIO) * DEVICE_BATCH_SIZE"  # depth x width x batch
# Which tuners' trials are looked at while something is chosen, and which are reported. Random search is in both, by
# seeds. "Karpathy Agent (Code)" edits code instead of setting hyperparameters, so it is in neither.
HALVES: dict[str, dict[str, tuple[str, ...]]] = {
    "development": {
        "Random": ("0",), "TPE": ("0", "1", "2"), "LLAMBO (Paper)": ("0", "1", "2"),
        "Karpathy Agent (14 HPs)": ("0", "1", "2"),
    },
    "report": {
        "Random": ("1", "2"), "CMA-ES": ("0", "1", "2"), "SMAC": ("0", "1", "2"),
        "Centaur (CMA-ES+LLM)": ("0", "1", "2"), "LLAMBO (Optuna)": ("0", "1", "2"),
    },
}  # fmt: skip
PAST = ("LLAMBO (Paper)", "0", 60)  # the run of the development half that may be recalled, and how many trials of it
TREES = 100  # of the plain forest beside which the failure model is shown, as scikit-learn has it


@dataclass(frozen=True)
class Runs:
    """The trials of one half: tuner -> seed -> trials in order."""

    of: dict[str, dict[str, list[Trial]]]

    def of_tuner(self, tuner: str) -> list[Trial]:
        """All trials of a tuner."""
        return [trial for run in self.of[tuner].values() for trial in run]

    def others(self, tuner: str) -> list[Trial]:
        """The trials of every other tuner."""
        return [trial for other in self.of if other != tuner for trial in self.of_tuner(other)]


def read(data: Path | None, half: str) -> Runs:
    """The trials of one half; those that lack hyperparameters are left out.

    Raises:
        DataMissing: when the data is not there.
    """
    with gzip.open(need(data, "nanochat_trials", "trials_public_demo.json.gz"), "rt") as file:
        stored = json.load(file)
    of = {tuner: {seed: _run(stored[tuner][seed]) for seed in seeds} for tuner, seeds in HALVES[half].items()}
    return Runs(of)


def _run(rows: Sequence[dict[str, Any]]) -> list[Trial]:
    return [_trial(i, row) for i, row in enumerate(rows) if SPACE.parameters.keys() <= row.keys()]


def _trial(number: int, row: dict[str, Any]) -> Trial:
    """A record; the few failures that are not out of memory are not told apart in the data."""
    config, seconds = {name: row[name] for name in SPACE}, float(row["wt"] or math.nan)
    if row["success"]:
        return Trial(number, config, State.COMPLETE, value=float(row["val_bpb"]), seconds=seconds)
    return Trial(number, config, State.FAILED, failure=Failure(Cause.OUT_OF_MEMORY), seconds=seconds)


class Kept(Derived):
    """A feature that keeps its value at each configuration: the same trials are asked for in every draw."""

    def column(self, configs: Sequence[Config], space: Space) -> np.ndarray:
        """As the feature itself gives it."""
        fresh = [c for c in configs if (self.text, id(c)) not in _KEPT]
        values = super().column(fresh, space)
        _KEPT.update({(self.text, id(c)): (c, v) for c, v in zip(fresh, values, strict=True)})
        return np.array([_KEPT[self.text, id(c)][1] for c in configs])


_KEPT: dict[tuple[str, int], tuple[Config, float]] = {}  # with the configuration, so that its id stays its own


def features(texts: Sequence[str]) -> list[Derived]:
    """The usable ones among some expressions."""
    return [Kept(d.expression, d.low, d.high, d.log) for d in derived_of(texts, SPACE)]


class Method(Protocol):
    """Learns from trials and says of configurations how likely they fail."""

    def __call__(self, trials: Sequence[Trial], configs: Sequence[Config], seed: int) -> np.ndarray | None:
        """Shape (m,); None where it can say nothing."""
        ...


def forest(extra: Sequence[Derived] = ()) -> Method:
    """scikit-learn's random forest with its own settings, over the configuration and what `extra` adds."""

    def judge(trials: Sequence[Trial], configs: Sequence[Config], seed: int) -> np.ndarray | None:
        from sklearn.ensemble import RandomForestClassifier

        labels = [t.died_there for t in trials]
        if all(labels) or not any(labels):
            return None
        columns = SpaceColumns(SPACE)

        def rows(some: Sequence[Config]) -> np.ndarray:
            return np.hstack([columns(some), *(d.column(some, SPACE)[:, None] for d in extra)])

        model = RandomForestClassifier(TREES, random_state=seed).fit(rows([t.config for t in trials]), labels)
        return np.asarray(model.predict_proba(rows(configs))[:, 1])

    return judge


def formula(trials: Sequence[Trial], configs: Sequence[Config], seed: int) -> np.ndarray | None:
    """The formula alone: its ranking needs no trial, its probability is a logistic curve through the trials."""
    (feature,) = features([FORMULA])
    labels = np.array([t.died_there for t in trials], float)
    rows = np.column_stack([feature.column([t.config for t in trials], SPACE), np.ones(len(trials))])
    model = fit_logit(rows, labels, np.ones(len(trials)), np.array([10.0, 0.0]), np.array([20.0, 20.0]))
    return model.probability(np.column_stack([feature.column(configs, SPACE), np.ones(len(configs))]))


def luthier(texts: Sequence[str], past: Sequence[Trial] = ()) -> Method:
    """The product's failure model with some derived features, and with trials of another study to recall."""
    derived, recalled = features(texts), [Recalled(t) for t in past]

    def judge(trials: Sequence[Trial], configs: Sequence[Config], seed: int) -> np.ndarray | None:
        return FailureModel(SPACE, derived=derived, recalled=recalled, seed=seed).fit(trials).probability(configs)

    return judge


def obfuscated(trials: Sequence[Trial], configs: Sequence[Config], seed: int) -> np.ndarray | None:
    """The product's failure model where hyperparameters are called x0, x1, ... and no code is shown."""
    space = Space({HIDDEN[name]: parameter for name, parameter in SPACE.parameters.items()})

    def hide(config: Config) -> Config:
        return {HIDDEN[name]: value for name, value in config.items()}

    hidden = [Trial(t.number, hide(t.config), t.state, t.value, failure=t.failure) for t in trials]
    derived = derived_of(from_names(space), space)
    return FailureModel(space, derived=derived, seed=seed).fit(hidden).probability([hide(c) for c in configs])
