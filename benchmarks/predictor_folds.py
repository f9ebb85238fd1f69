"""The benchmark's fixed folds: a file of one digit a pair, task, workflow and suite, so that figures compare."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from luthier.predictor.logs import Logs
from luthier.predictor.splits import FOLDS, SPLITS, folds

FILE = Path(__file__).with_name("predictor_folds.json")
SEED = 0


class WrongFolds(ValueError):
    """The fold file is of other logs."""


def units(logs: Logs, split: str) -> np.ndarray:
    """What a split deals out, by name: of each pair the thing that its fold hangs on; shape (n,), str."""
    workflow = np.array([w.id for w in logs.workflows], str)[logs.workflow]
    task = np.array([t.id for t in logs.tasks], str)[logs.task]
    named = {"task": task, "workflow": workflow, "suite": logs.suite}
    return named[split] if split in named else np.char.add(np.char.add(workflow, " "), task)


def make(logs: Logs) -> dict[str, Any]:
    """The folds of some logs as JSON: for each split, one digit a unit in the order of their names."""
    made: dict[str, Any] = {"folds": FOLDS, "seed": SEED}
    for split in SPLITS:
        names, first = np.unique(units(logs, split), return_index=True)
        digits = "".join(str(fold) for fold in folds(logs, split, FOLDS, SEED)[first])
        made[split] = {"units": _hash(names), "fold": digits}
    return made


def read(logs: Logs, split: str, path: Path = FILE) -> np.ndarray:
    """The fold of each pair; shape (n,), int.

    Raises:
        WrongFolds: the file was made for other logs.
    """
    kept = json.loads(path.read_text())[split]
    names, place = np.unique(units(logs, split), return_inverse=True)
    if kept["units"] != _hash(names):
        raise WrongFolds(f"{path.name} was made for other logs ({split}); make it again with --make-folds")
    found = np.array([int(digit) for digit in kept["fold"]], int)[place]
    for content, name in ((logs.graph, "workflow"), (logs.task, "task")):
        if split == name and len(np.unique(np.column_stack([content, found]), axis=0)) > len(np.unique(content)):
            raise WrongFolds(f"{path.name} has one {name} in two folds; make it again with --make-folds")
    return found


def _hash(names: np.ndarray) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
