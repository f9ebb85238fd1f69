"""The tasks and logs from which the critic's scorer learns: what a configuration comes to, and what others tried."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from memory_tasks import NANOCHAT, TUNERS, _logged
from suite_bayesmark import DATASETS, MODELS, trajectories
from suite_lcbench import LAST_EPOCH, SPACE, session
from suite_tables import FAMILIES, nearest, opened
from suite_taskset import PREFIX, adam_row, space_of, table
from suites import find_suite, midpoint, need, normaliser

from luthier.trials.records import Cause, Config, Direction, Failure, State, Trajectory, Trial
from luthier.trials.space import Space

LOGGED = 100  # of nanochat's trials: how long a study of ours may be
FLOOR = 0.01  # of a task's regret (0 best, 1 median): a smaller gain is none, where the noise is not known
CURVE = 13  # points kept of each curve, for the diagnosis


@dataclass(frozen=True)
class Offer:
    """A configuration that could have run next, and what it would have come to; None where it failed."""

    config: Config
    value: float | None
    source: str


@dataclass(frozen=True)
class Walk:
    """One trajectory. `offers[i]` stood before trial `i` with the same knowledge; without the one that ran."""

    suite: str
    task: str
    tuner: str
    seed: int
    space: Space
    direction: Direction
    metric: str
    noise: float  # a smaller gain is none
    trials: list[Trial]
    offers: Mapping[int, list[Offer]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What tells it from all others."""
        return f"{self.suite}/{self.task}/{self.tuner}/{self.seed}"


@dataclass(frozen=True)
class Arena:
    """A task that answers any configuration. `run` gives the trial as it would have gone, `config` as it really ran."""

    space: Space
    direction: Direction
    metric: str
    noise: float
    starts: Sequence[Config]
    run: Callable[[int, Config, str], Trial]


def arena(data: Path, suite: str, task: str) -> Arena:
    """The task of a suite that can be asked anything."""
    return {"lcbench": _lcbench, "taskset": _taskset, "tables": _tables}[suite](data, task)


def _lcbench(data: Path, task: str) -> Arena:
    folder, given = need(data, "yahpo_lcbench"), find_suite("lcbench").task(data, task)
    code = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"][task]
    epochs = np.unique(np.linspace(1, LAST_EPOCH, CURVE).round()).astype(int)
    names = list(SPACE)

    def run(number: int, config: Config, source: str) -> Trial:
        rows = np.array([[e, *(config[n] for n in names)] for e in epochs], dtype=np.float32)
        inputs = {"x_cont": rows, "x_cat": np.full((len(rows), 1), code, dtype=np.int32)}
        curve = session(folder / "model.onnx").run(None, inputs)[0][:, 1].astype(float)
        seen = Trajectory(tuple(epochs.tolist()), {"val_accuracy": tuple(curve.round(4).tolist())})
        return Trial(number, config, State.COMPLETE, float(curve[-1]), trajectory=seen, source=source)

    starts = [given.starts("common", 0)[0], given.starts("file", 0)[0]]
    return Arena(SPACE, given.direction, "val_accuracy", _floor("lcbench", task), starts, run)


def _taskset(data: Path, task: str) -> Arena:
    path = need(data, "taskset", f"{PREFIX}{task}.npz")
    names, rows, _ = table(path)
    space = space_of(names, rows)
    with np.load(path) as stored:
        train, valid = stored["train"].astype(float), stored["valid"].astype(float)
    low, high = rows.min(axis=0), rows.max(axis=0)
    unit = (rows - low) / (high - low)
    steps = np.unique(np.linspace(0, valid.shape[1] - 1, CURVE).round()).astype(int)

    def run(number: int, config: Config, source: str) -> Trial:
        row = int(np.argmin(((unit - space.to_unit(config)) ** 2).sum(axis=1)))
        ran = space.clip(dict(zip(space, np.exp(rows[row]).tolist(), strict=True)))
        curves = {"train_loss": train[row, steps], "val_loss": valid[row, steps]}
        seen = Trajectory(tuple(steps.tolist()), {n: tuple(c.round(5).tolist()) for n, c in curves.items()})
        value = float(valid[row, -1])
        if not math.isfinite(value):
            return Trial(
                number, ran, State.FAILED, trajectory=seen, failure=Failure(Cause.NAN, "the loss is nan"), source=source
            )
        return Trial(number, ran, State.COMPLETE, value, trajectory=seen, source=source)

    starts = [space.clip(adam_row(names, rows)), midpoint(space)]
    return Arena(space, Direction.MINIMIZE, "val_loss", _floor("taskset", task), starts, run)


def _tables(data: Path, task: str) -> Arena:
    given = find_suite("tables").task(data, task)
    family, dataset = task.split("/")
    grids = opened(family, dataset).search_space
    value = given.objective()

    def run(number: int, config: Config, source: str) -> Trial:
        ran = given.space.clip({n: nearest(g, given.space[n], config[n]) for n, g in grids.items()})
        return Trial(number, ran, State.COMPLETE, value(config), source=source)

    starts = [given.space.clip(given.starts(kind, 0)[0]) for kind in ("common", "file")]
    return Arena(given.space, given.direction, FAMILIES[family].metric, _floor("tables", task), starts, run)


def _floor(suite: str, task: str) -> float:
    scale = normaliser(suite, task)
    return FLOOR * abs(scale.median - scale.best)


def nanochat(data: Path) -> Iterator[Walk]:
    """The first trials of 8 tuners x 3 seeds; the ninth's lack hyperparameters. The noise is that of the defaults."""
    with gzip.open(need(data, "nanochat_trials", "trials_public_demo.json.gz")) as file:
        logs = json.load(file)
    first = [logs[t][s][0]["val_bpb"] for t in TUNERS for s in "012" if logs[t][s][0]["success"]]
    for tuner, name in TUNERS.items():
        for seed in "012":
            rows = [row for row in logs[tuner][seed][:LOGGED] if all(n in row for n in NANOCHAT)]
            trials = [_inside(_logged(i, row)) for i, row in enumerate(rows)]
            noise = float(np.std(first, ddof=1))
            yield Walk("nanochat", "nanochat", name, int(seed), NANOCHAT, Direction.MINIMIZE, "val_bpb", noise, trials)


def _inside(trial: Trial) -> Trial:
    return replace(trial, config=NANOCHAT.clip(trial.config))


def llambo(data: Path) -> Iterator[Walk]:
    """GPT-3.5's trajectories on Bayesmark: 4 models x 5 data sets x 5 seeds, 30 trials each."""
    folder, suite = need(data, "llambo_bayesmark"), find_suite("bayesmark")
    for task in (f"{m}/{d}" for m in MODELS for d in DATASETS):
        given = suite.task(data, task)
        for seed in range(5):
            rows = trajectories(folder).get((task.split("/")[1], task.split("/")[0], seed), [])
            trials = []
            for number, (config, value) in enumerate(rows):
                ran, fine = given.space.clip(config), math.isfinite(value)
                failure = None if fine else Failure(Cause.NAN, "training overflowed")
                state = State.COMPLETE if fine else State.FAILED
                trials.append(Trial(number, ran, state, value if fine else None, failure=failure, source="llambo"))
            if trials:
                floor = _floor("bayesmark", task)
                yield Walk("llambo", task, "llambo", seed, given.space, given.direction, "score", floor, trials)
