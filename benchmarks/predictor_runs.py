"""Train on all folds but one, predict that one: every model and split, kept in files so that a run can be resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from predictor_models import MODELS, Factory
from predictor_probes import PROBES, after_probes

from luthier.predictor.encoding import Encoder
from luthier.predictor.estimator import Estimates
from luthier.predictor.logs import Logs, Pairs
from luthier.predictor.splits import split_rows

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Job:
    """One model trained once."""

    split: str
    fold: int
    model: str


class Kept:
    """Predictions as one npz file a job. One of other logs or folds is as good as none."""

    def __init__(self, folder: Path, redo: Collection[str] = ()) -> None:
        self._folder, self._redo, self._made = folder, set(redo), set[Job]()

    def get(self, job: Job, key: str) -> Arrays | None:
        """What was predicted, or None."""
        path = self._path(job)
        if not path.exists() or (job.model in self._redo and job not in self._made):
            return None
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files} if str(file["key"]) == key else None

    def put(self, job: Job, key: str, arrays: Arrays) -> None:
        """Keep predictions; a kill in the middle leaves the file as it was."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(job)
        half = path.with_suffix(".half.npz")
        np.savez(half, allow_pickle=False, key=np.array(key), **arrays)
        half.replace(path)
        self._made.add(job)

    def _path(self, job: Job) -> Path:
        return self._folder / f"{job.split}-{job.fold}-{job.model.replace(' ', '_')}.npz"


def key_of(logs: Logs, fold: np.ndarray) -> str:
    """Changes with whatever a prediction depends on but the model's code."""
    found = hashlib.sha256()
    for part in (logs.workflow, logs.task, logs.runs, logs.successes, fold):
        found.update(np.ascontiguousarray(part, np.int64).tobytes())
    found.update("".join(w.graph_key for w in logs.workflows).encode())
    found.update("".join(t.id + t.text for t in logs.tasks).encode())
    return found.hexdigest()[:16]


def run(job: Job, logs: Logs, fold: np.ndarray, make: Factory, encoder: Encoder) -> Arrays:
    """Train and predict the rows of the held fold."""
    train, test = split_rows(logs, fold, job.fold)
    estimator = make(encoder).fit(train)
    pairs = Pairs(test.workflows, test.tasks, test.workflow, test.task)
    found = estimator.predict(pairs)
    arrays = {"probability": found.probability, "deviation": found.deviation, "abstains": found.abstains}
    if job.split == "workflow" and job.model in MODELS:  # ablations are not probed, which takes most of the time
        for count in PROBES:
            arrays |= after_probes(estimator, train, test, count, job.fold)
    return arrays


def run_all(
    logs: Logs, folds: Mapping[str, np.ndarray], models: Mapping[str, Factory], encoder: Encoder, kept: Kept
) -> Iterator[Job]:
    """Do what is not kept yet; each job as it is done or found done."""
    for split, fold in folds.items():
        key = key_of(logs, fold)
        for model, make in models.items():
            for held in map(int, np.unique(fold)):
                job = Job(split, held, model)
                if kept.get(job, key) is None:
                    kept.put(job, key, run(job, logs, fold, make, encoder))
                yield job


def gather(logs: Logs, split: str, fold: np.ndarray, model: str, kept: Kept) -> Arrays:
    """All kept predictions of a model on a split, each row by the training that did not see it; rows last."""
    key, whole = key_of(logs, fold), Arrays()
    for held in map(int, np.unique(fold)):
        arrays = kept.get(Job(split, held, model), key)
        assert arrays is not None, f"{model} was not run on {split} {held}"
        for name, part in arrays.items():
            if name != "key":
                whole.setdefault(name, np.full((*part.shape[:-1], len(logs)), 0, part.dtype))[..., fold == held] = part
    return whole


def as_estimates(arrays: Arrays) -> Estimates:
    """Without the probes."""
    return Estimates(arrays["probability"], arrays["deviation"], arrays["abstains"])
