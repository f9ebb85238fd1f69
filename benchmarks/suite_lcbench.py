"""LCBench: 34 data sets x 7 hyperparameters of a small network, answered by YAHPO Gym's surrogate (an ONNX file).

Value: validation accuracy in percent at epoch 52. All tasks come from one jointly trained network, so its landscapes
are smoother and more alike than life. Zimmer et al. 2021 (arXiv 2006.13799), Pfisterer et al. 2022 (arXiv 2109.03670).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from suites import NO_DEFAULT, REFERENCE_SEED, Task, midpoint, need

from luthier.trials.records import Config, Direction
from luthier.trials.space import Float, Int, Space

LAST_EPOCH = 52
REFERENCE_POINTS = 2_000
ACCURACY = 1  # column of the surrogate's output
COLUMNS = ("batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout")
SPACE = Space(
    {
        "batch_size": Int(16, 512, log=True),
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "momentum": Float(0.1, 0.99),
        "weight_decay": Float(1e-5, 1e-1, log=True),
        "num_layers": Int(1, 5),
        "max_units": Int(64, 1024, log=True),
        "max_dropout": Float(0.0, 1.0),
    }
)
COMMON: Config = {
    "batch_size": 64,
    "learning_rate": 0.01,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "num_layers": 3,
    "max_units": 256,
    "max_dropout": 0.2,
}


@lru_cache
def session(model: Path) -> Any:
    """The surrogate, opened once a process, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options)


def accuracies(model: Path, code: int, configs: Sequence[Config], epochs: Sequence[int] = (LAST_EPOCH,)) -> np.ndarray:
    """Validation accuracy of each configuration after each of `epochs`, shape (n_configs * n_epochs,)."""
    numbers = [[epoch, *(config[name] for name in COLUMNS)] for config in configs for epoch in epochs]
    inputs = {
        "x_cont": np.array(numbers, dtype=np.float32),  # (n, 8)
        "x_cat": np.full((len(numbers), 1), code, dtype=np.int32),
    }
    output: np.ndarray = session(model).run(None, inputs)[0]  # (n, 6)
    return output[:, ACCURACY].astype(float)


def file_default(folder: Path) -> dict[str, Any]:
    """The defaults that the surrogate's own space file states."""
    stated = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
    return {**midpoint(SPACE), **{h["name"]: h["default"] for h in stated if h["name"] in COLUMNS}}


class LCBench:
    """See the module."""

    name = "lcbench"
    defaults = ("common", "file", NO_DEFAULT)

    def tasks(self, data: Path | None) -> list[str]:
        """The 34 ids of the space file; the encoding has a 35th, which is left out."""
        stated = json.loads(need(data, "yahpo_lcbench", "config_space.json").read_text())["hyperparameters"]
        ids: list[str] = next(h["choices"] for h in stated if h["name"] == "OpenML_task_id")
        return ids

    def task(self, data: Path | None, name: str) -> Task:
        """One data set."""
        folder = need(data, "yahpo_lcbench")
        code = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"][name]
        values = partial(accuracies, folder / "model.onnx", code)
        starts: dict[str, list[Config]] = {"common": [COMMON], "file": [file_default(folder)], NO_DEFAULT: []}

        def reference() -> list[float]:
            rng = np.random.default_rng(REFERENCE_SEED)
            return list(values([SPACE.sample(rng) for _ in range(REFERENCE_POINTS)]))

        return Task(
            name=name,
            space=SPACE,
            direction=Direction.MAXIMIZE,
            objective=lambda: lambda config: float(values([config])[0]),
            reference=reference,
            starts=lambda default, seed: starts[default],
            learner=lambda: lambda config: values([config], range(1, LAST_EPOCH + 1)).tolist(),
            epochs=LAST_EPOCH,
        )


SUITE = LCBench()
