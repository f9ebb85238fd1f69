"""TaskSet: REAL validation losses of 8 recurrent text classifiers x the same 1,000 Adam configurations.

A proposal means the nearest row not yet evaluated (unit cube of the transformed hyperparameters, ties by index); a
diverged run counts as the task's worst finite loss. Metz et al. 2020 (arXiv 2002.11887), selection by DyHPO.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from suites import NO_DEFAULT, Learner, Objective, Task, need

from luthier.trials.records import Config, Direction
from luthier.trials.space import Float, Space

PREFIX = "FixedTextRNNClassification_imdb_"
BETAS = ("beta1", "beta2")
ADAM = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}  # Kingma and Ba 2015


def transform(name: str, value: np.ndarray | float) -> np.ndarray:
    """The scale on which a hyperparameter acts evenly: log(1 - beta) for the betas, else log."""
    return np.log(1 - np.asarray(value)) if name in BETAS else np.log(value)


@lru_cache
def table(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, transformed hyperparameters (n_rows, n_names) and losses (n_rows, n_epochs), NaN from a divergence on."""
    with np.load(path) as stored:
        names = [str(n) for n in stored["hp_names"]]
        rows = np.column_stack([transform(n, stored["hp"][:, i]) for i, n in enumerate(names)])
        return names, rows, stored["valid"].astype(float)


def space_of(names: list[str], rows: np.ndarray) -> Space:
    """The ranges of the rows; a beta is searched as `one_minus_beta`, since a log range needs it so."""
    low, high = np.exp(rows.min(axis=0)), np.exp(rows.max(axis=0))
    return Space({shown(n): Float(float(low[i]), float(high[i]), log=True) for i, n in enumerate(names)})


def shown(name: str) -> str:
    """The name in the space of what `transform` makes of a hyperparameter."""
    return f"one_minus_{name}" if name in BETAS else name


class Rows:
    """Answers a proposal with the number of the nearest row that it has not answered with before."""

    def __init__(self, space: Space, rows: np.ndarray) -> None:
        low, high = rows.min(axis=0), rows.max(axis=0)
        self._space = space
        self._unit = (rows - low) / (high - low)  # (n_rows, n_names)
        self._left = np.ones(len(rows), dtype=bool)

    def __call__(self, config: Config) -> int:
        """The first of equally near ones."""
        distance = ((self._unit - self._space.to_unit(config)) ** 2).sum(axis=1)
        row = int(np.argmin(np.where(self._left, distance, np.inf)))
        self._left[row] = False
        return row


class Final:
    """The objective: the last loss of the row that `find` names. A class, so that a copy remembers apart from it."""

    def __init__(self, find: Rows, finals: np.ndarray) -> None:
        self._find, self._finals = find, finals

    def __call__(self, config: Config) -> float:
        """The loss."""
        return float(self._finals[self._find(config)])


class TaskSet:
    """See the module."""

    name = "taskset"
    defaults = ("common", NO_DEFAULT)

    def tasks(self, data: Path | None) -> list[str]:
        """Architecture names without the prefix that all eight share."""
        files = sorted(need(data, "taskset").glob(f"{PREFIX}*.npz"))
        return [f.stem.removeprefix(PREFIX) for f in files]

    def task(self, data: Path | None, name: str) -> Task:
        """One architecture."""
        names, rows, losses = table(need(data, "taskset", f"{PREFIX}{name}.npz"))
        space, finals = space_of(names, rows), losses[:, -1]
        finals = np.where(np.isfinite(finals), finals, np.nanmax(finals[np.isfinite(finals)]))
        starts: dict[str, list[Config]] = {"common": [adam_row(names, rows)], NO_DEFAULT: []}

        def objective() -> Objective:
            return Final(Rows(space, rows), finals)

        def learner() -> Learner:
            find = Rows(space, rows)
            return lambda config: losses[find(config)].tolist()

        return Task(
            name=name,
            space=space,
            direction=Direction.MINIMIZE,
            objective=objective,
            reference=finals.tolist,
            starts=lambda default, seed: starts[default],
            learner=learner,
            epochs=losses.shape[1],
        )


def adam_row(names: list[str], rows: np.ndarray) -> dict[str, float]:
    """The row nearest to Adam's published defaults in their dimensions only, as a configuration."""
    columns = [names.index(n) for n in ADAM]
    low, high = rows[:, columns].min(axis=0), rows[:, columns].max(axis=0)
    target = np.array([float(transform(n, v)) for n, v in ADAM.items()])
    row = int(np.argmin((((rows[:, columns] - target) / (high - low)) ** 2).sum(axis=1)))
    return {shown(n): float(np.exp(rows[row, i])) for i, n in enumerate(names)}


SUITE = TaskSet()
