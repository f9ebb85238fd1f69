"""Bayesmark live: scikit-learn trained for each trial, beside LLAMBO's published GPT-3.5 trajectories.

4 models (RandomForest, DecisionTree, SVM, MLP with SGD; AdaBoost is left out since its scores do not reproduce) x 5
data sets. Value: mean score of 5-fold cross-validation, accuracy or, for diabetes, mean squared error. Each method
starts from LLAMBO's own five starting points of that seed. Liu et al. 2024 (arXiv 2402.03921).
"""

from __future__ import annotations

import csv
import gzip
import json
import warnings
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from suites import Objective, Task, need, random_reference

from luthier.trials.records import Config, Direction
from luthier.trials.space import Float, Int, Parameter, Space

DATASETS = ("breast", "digits", "wine", "iris", "diabetes")
MODELS = ("RandomForest", "DecisionTree", "SVM", "MLP_SGD")
REGRESSION = "diabetes"
STARTS = 5
SEEDS = 5  # LLAMBO published seeds 0 to 4
REFERENCE_POINTS = 200  # each one trains five models


def estimator(model: str, config: Config, regression: bool) -> Any:
    """The scikit-learn model as LLAMBO's benchmark builds it."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.svm import SVC, SVR
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if model == "RandomForest":
        kind = RandomForestRegressor if regression else RandomForestClassifier
        return kind(n_estimators=10, random_state=0, **config)
    if model == "DecisionTree":
        return (DecisionTreeRegressor if regression else DecisionTreeClassifier)(random_state=0, **config)
    if model == "SVM":
        return SVR(kernel="rbf", **config) if regression else SVC(kernel="rbf", random_state=0, **config)
    fixed = {"solver": "sgd", "early_stopping": True, "max_iter": 40, "learning_rate": "invscaling"}
    kind = MLPRegressor if regression else MLPClassifier
    activation = "tanh" if regression else "relu"
    return kind(**fixed, activation=activation, nesterovs_momentum=True, random_state=0, **config)


@lru_cache
def training_data(folder: Path, dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """LLAMBO's training split; a regression target is standardised."""
    with np.load(folder / "datasets.npz") as stored:
        x, y = stored[f"{dataset}_train_x"], stored[f"{dataset}_train_y"]
    return x, (y - y.mean()) / y.std() if dataset == REGRESSION else y


def score(folder: Path, dataset: str, model: str, config: Config) -> float:
    """Mean 5-fold score: accuracy, or mean squared error for regression; NaN where training overflows."""
    from sklearn.model_selection import cross_val_score

    x, y = training_data(folder, dataset)
    regression = dataset == REGRESSION
    metric = "neg_mean_squared_error" if regression else "accuracy"
    with warnings.catch_warnings():
        # Forty iterations are the benchmark's choice, and some settings overflow: both are part of the task.
        warnings.simplefilter("ignore")
        scores = cross_val_score(estimator(model, config, regression), x, y, scoring=metric, cv=5, error_score=np.nan)
    return float(-scores.mean() if regression else scores.mean())


def parameter(kind: str, bounds: tuple[float, float], warp: str) -> Parameter:
    """A range of the space file. Its logit ranges are searched linearly: no tuner here knows that scale."""
    low, high = bounds
    if kind == "int":
        return Int(int(low), int(high), log=warp == "log")
    return Float(float(low), float(high), log=warp == "log")


@lru_cache
def starting_points(folder: Path) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Model -> seed -> random configurations, of which the first five were LLAMBO's start."""
    with gzip.open(folder / "random_configs.json.gz", "rt") as file:
        stored: dict[str, dict[str, list[dict[str, Any]]]] = json.load(file)
    return stored


@lru_cache
def trajectories(folder: Path) -> dict[tuple[str, str, int], list[tuple[dict[str, Any], float]]]:
    """(dataset, model, seed) -> LLAMBO's configurations and scores, in order."""
    found: dict[tuple[str, str, int], list[tuple[dict[str, Any], float]]] = {}
    with gzip.open(folder / "trajectories.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            key = row["dataset"], row["model"], int(row["seed"])
            value = float(row["cv_score"] or "nan")  # empty where training overflowed
            found.setdefault(key, []).append((json.loads(row["params_json"]), value))
    return found


class Bayesmark:
    """See the module."""

    name = "bayesmark"
    defaults = ("llambo",)

    def tasks(self, data: Path | None) -> list[str]:
        """`model/dataset` of all 20."""
        need(data, "llambo_bayesmark")
        return [f"{model}/{dataset}" for model in MODELS for dataset in DATASETS]

    def task(self, data: Path | None, name: str) -> Task:
        """One model on one data set."""
        folder = need(data, "llambo_bayesmark")
        model, dataset = name.split("/")
        ranges = json.loads((folder / "spaces.json").read_text())[model]
        space = Space({n: parameter(kind, bounds, warp) for n, (kind, warp, bounds) in ranges.items()})
        value: Objective = partial(score, folder, dataset, model)

        def starts(default: str, seed: int) -> list[Config]:
            return [space.clip(config) for config in starting_points(folder)[model][str(seed % SEEDS)][:STARTS]]

        def published(seed: int) -> dict[str, list[float]]:
            return {"llambo": [v for _, v in trajectories(folder).get((dataset, model, seed), [])]}

        return Task(
            name=name,
            space=space,
            direction=Direction.MINIMIZE if dataset == REGRESSION else Direction.MAXIMIZE,
            objective=lambda: value,
            reference=lambda: random_reference(space, value, REFERENCE_POINTS),
            starts=starts,
            published=published,
        )


SUITE = Bayesmark()
