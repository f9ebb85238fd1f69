"""Real trials as studies that a person might have run: what the memory benchmark has the memory learn from.

LCBench (YAHPO's surrogate), TaskSet (measured) and nanochat (measured), one task each for a data set, a network and a
tuner's log. The data hold no scripts and no logs: scripts are named after what they train, and a failure that the data
mark has the last line that it commonly has.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from suite_lcbench import SUITE as LCBENCH
from suite_taskset import PREFIX, space_of, table
from suite_taskset import SUITE as TASKSET
from suites import need

from luthier.memory.task import Task
from luthier.trials.records import Cause, Config, Direction, Failure, State, Trial
from luthier.trials.space import Choice, Float, Int, Space

SEED = 5_081  # draws which configurations were tried; no other benchmark uses it
# OpenML's name of each data set, with its rows, columns and classes (Zimmer et al. 2021, arXiv 2006.13799, table 8).
DATA_SETS: Mapping[str, tuple[str, int, int, int]] = {
    "3945": ("KDDCup09_appetency", 50_000, 230, 2), "7593": ("covertype", 581_012, 54, 7),
    "34539": ("Amazon_employee_access", 32_769, 9, 2), "126025": ("adult", 48_842, 14, 2),
    "126026": ("nomao", 34_465, 118, 2), "126029": ("bank-marketing", 45_211, 16, 2),
    "146212": ("shuttle", 58_000, 9, 7), "167104": ("Australian", 690, 14, 2), "167149": ("kr-vs-kp", 3_196, 36, 2),
    "167152": ("mfeat-factors", 2_000, 216, 10), "167161": ("credit-g", 1_000, 20, 2),
    "167168": ("vehicle", 846, 18, 4), "167181": ("kc1", 2_109, 21, 2), "167184": ("blood-transfusion", 748, 4, 2),
    "167185": ("cnae-9", 1_080, 856, 9), "167190": ("phoneme", 5_404, 5, 2), "167200": ("higgs", 98_050, 28, 2),
    "167201": ("connect-4", 67_557, 42, 3), "168329": ("helena", 65_196, 27, 100),
    "168330": ("jannis", 83_733, 54, 4), "168331": ("volkert", 58_310, 180, 10),
    "168335": ("MiniBooNE", 130_064, 50, 2), "168868": ("APSFailure", 76_000, 170, 2),
    "168908": ("christine", 5_418, 1_636, 2), "168910": ("fabert", 8_237, 800, 7),
    "189354": ("airlines", 539_383, 7, 2), "189862": ("jasmine", 2_984, 144, 2), "189865": ("sylvine", 5_124, 20, 2),
    "189866": ("albert", 425_240, 78, 2), "189873": ("dionis", 416_188, 60, 355), "189905": ("car", 1_728, 6, 4),
    "189906": ("segment", 2_310, 19, 7), "189908": ("Fashion-MNIST", 70_000, 784, 10),
    "189909": ("jungle_chess", 44_819, 6, 3),
}  # fmt: skip
TUNERS = {
    "Centaur (CMA-ES+LLM)": "centaur", "TPE": "tpe", "SMAC": "smac", "CMA-ES": "cma-es",
    "Karpathy Agent (14 HPs)": "karpathy-agent", "LLAMBO (Paper)": "llambo", "LLAMBO (Optuna)": "llambo-optuna",
    "Random": "random-search",
}  # fmt: skip
NANOCHAT = Space(
    {
        "DEPTH": Int(4, 24),
        "ASPECT_RATIO": Int(32, 384),
        "HEAD_DIM": Int(64, 256),
        "DEVICE_BATCH_SIZE": Int(32, 512, log=True),
        "TOTAL_BATCH_SIZE": Int(65_536, 2_097_152, log=True),
        "EMBEDDING_LR": Float(0.01, 2.0, log=True),
        "UNEMBEDDING_LR": Float(5e-4, 0.05, log=True),
        "MATRIX_LR": Float(5e-3, 0.2, log=True),
        "SCALAR_LR": Float(0.05, 2.0, log=True),
        "WEIGHT_DECAY": Float(0.0, 0.5),
        "WARMUP_RATIO": Float(0.0, 0.3),
        "WARMDOWN_RATIO": Float(0.0, 0.8),
        "FINAL_LR_FRAC": Float(0.0, 1.0),
        "WINDOW_PATTERN": Choice(("SSSL", "SSLL", "SLSL", "SSSS", "LSSL", "LLLL", "L")),
    }
)
NO_MEMORY = Failure(Cause.OUT_OF_MEMORY, "torch.OutOfMemoryError: CUDA out of memory.")
DIVERGED = Failure(Cause.NAN, "the loss is nan")
QUICK = 120.0  # seconds: what of nanochat's five minutes failed sooner had no memory, as its authors say of most


@dataclass(frozen=True)
class Past:
    """A task that was tuned, and what a person calls it."""

    suite: str
    said: str  # its name in a question
    task: Task
    studies: Mapping[str, Sequence[Trial]] = field(default_factory=dict)


def all_tasks(data: Path, trials: int) -> Iterator[Past]:
    """Every task, with `trials` trials a study; the data are the same at each call.

    Raises:
        DataMissing: the data are not there.
    """
    yield from lcbench(data, trials)
    yield from taskset(data, trials)
    yield from nanochat(data, trials)


def lcbench(data: Path, trials: int) -> Iterator[Past]:
    """A task for each of the 34 data sets: random configurations, validation accuracy at epoch 52."""
    for number in LCBENCH.tasks(data):
        name, rows, columns, classes = DATA_SETS[number]
        facts = {"rows": float(rows), "columns": float(columns), "classes": float(classes)}
        given = LCBENCH.task(data, number)
        rng, objective = np.random.default_rng([SEED, int(number)]), given.objective()
        configs = [given.space.sample(rng) for _ in range(trials)]
        done = [_trial(i, config, objective(config)) for i, config in enumerate(configs)]
        task = _task(f"python {name}/train.py", "val_accuracy", given.direction, given.space, facts)
        yield Past("lcbench", name, task, {f"{name}-1": done})


def taskset(data: Path, trials: int) -> Iterator[Past]:
    """A task for each of the 8 networks: random rows of the table, final validation loss, NaN where it diverged."""
    for name in TASKSET.tasks(data):
        path = need(data, "taskset", f"{PREFIX}{name}.npz")
        names, rows, _ = table(path)
        space = space_of(names, rows)
        with np.load(path) as stored:
            losses = stored["valid"][:, -1]
        chosen = np.random.default_rng([SEED, *name.encode()]).choice(len(rows), trials, replace=False)
        configs = [dict(zip(space, np.exp(rows[row]).tolist(), strict=True)) for row in chosen]
        done = [
            _trial(i, space.clip(c), float(losses[row])) for i, (c, row) in enumerate(zip(configs, chosen, strict=True))
        ]
        task = _task(f"python imdb_{name}/train.py", "valid_loss", Direction.MINIMIZE, space)
        yield Past("taskset", f"imdb {name.replace('_', ' ')}", task, {f"{name}-1": done})


def nanochat(data: Path, trials: int) -> Iterator[Past]:
    """A task for each tuner whose log is complete: the first trials of its first two seeds, as two studies."""
    with gzip.open(need(data, "nanochat_trials", "trials_public_demo.json.gz")) as file:
        logs = json.load(file)
    for tuner, name in TUNERS.items():
        studies = {
            f"{name}-{seed}": [_logged(i, row) for i, row in enumerate(logs[tuner][seed][:trials])] for seed in "01"
        }
        task = _task(f"python nanochat-{name}/train.py", "val_bpb", Direction.MINIMIZE, NANOCHAT)
        yield Past("nanochat", f"nanochat {name}", task, studies)


def _task(
    script: str, metric: str, direction: Direction, space: Space, features: Mapping[str, float] | None = None
) -> Task:
    return Task(script=script, metric=metric, direction=direction, space=space, features=dict(features or {}))


def _trial(number: int, config: Config, value: float, seconds: float = 60.0) -> Trial:
    make = partial(Trial, number, config, seconds=seconds, source="past")
    return make(State.COMPLETE, value) if math.isfinite(value) else make(State.FAILED, failure=DIVERGED)


def _logged(number: int, row: Mapping[str, Any]) -> Trial:
    config = {name: row[name] for name in NANOCHAT}
    if row["success"]:
        return _trial(number, config, float(row["val_bpb"]), float(row["wt"]))
    failure = NO_MEMORY if row["wt"] < QUICK else Failure(Cause.CRASH, "the run ended without a value")
    return Trial(number, config, State.FAILED, failure=failure, seconds=float(row["wt"]), source="past")
