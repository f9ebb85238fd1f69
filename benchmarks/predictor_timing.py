"""How long the predictor takes to learn from AFlow's logs, and to judge 1,000 candidates.

    python benchmarks/predictor_timing.py --data ../shared/data --json predictor-timing.json

Training is what `luthier predictor train --no-evaluate` does: each text is embedded once, then a fit on all pairs;
`--report` adds the figures on held-out folds. Prediction is on one core, with all texts embedded: of 1,000 workflows
that were never seen, each with another graph, on one task, which is what a chooser asks; and of 1,000 logged pairs. CPU
time tells what a busy machine hides.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from figures import write
from threadpoolctl import threadpool_limits

from luthier.models.embedder import open_embedder
from luthier.predictor.ability import Ability
from luthier.predictor.aflow import read_aflow
from luthier.predictor.design import DEFAULT
from luthier.predictor.embeddings import embed, texts_of
from luthier.predictor.encoding import Encoder
from luthier.predictor.estimator import silent
from luthier.predictor.logs import LoggedWorkflow, Logs, Pairs
from luthier.predictor_train import SPLITS, evaluate

CANDIDATES = 1_000
ROUNDS = 5  # of a prediction; the one in the middle counts
TRAINING, PREDICTION = 600.0, 0.5  # seconds to reach


@dataclass(frozen=True)
class Row:
    """One figure."""

    what: str
    seconds: float
    cpu: float  # seconds of all threads
    target: float | None = None  # of `seconds`

    def __str__(self) -> str:
        reach = f", to reach {self.target:g}: {'yes' if self.seconds <= self.target else 'NO'}" if self.target else ""
        return f"{self.what:52} {self.seconds:8.2f} s, CPU time {self.cpu:8.2f} s{reach}"


def timed(what: str, work: Callable[[], object], rounds: int = 1, target: float | None = None) -> Row:
    """The round in the middle, by its seconds."""
    found = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return Row(what, *sorted(found)[rounds // 2], target)


def training(logs: Logs, encoder: Encoder, ability: Ability, report: bool) -> Iterator[Row]:
    """The parts of a training, then their sum; `ability` is fitted."""
    parts = [
        timed("embedding every text", lambda: embed(encoder, texts_of(logs, DEFAULT), None, silent)),
        timed(f"fit on all {len(logs):,} pairs", lambda: ability.fit(logs)),
    ]
    if report:
        parts.append(timed("figures on held-out folds", lambda: reported(logs, encoder)))
    yield from parts
    yield Row("training in all", sum(one.seconds for one in parts), sum(one.cpu for one in parts), TRAINING)


def reported(logs: Logs, encoder: Encoder) -> None:
    """What a training tells of itself: five folds of three splits, ours and the simple ones."""
    with tempfile.TemporaryDirectory() as folder:
        evaluate(logs, encoder, SPLITS, folds=5, seed=0, kept=Path(folder), progress=silent)


def candidates(logs: Logs, rng: np.random.Generator) -> Pairs:
    """Logged workflows whose steps stand in another order in a chain, all on one task: graphs never seen."""
    made = tuple(
        _chain(logs.workflows[int(rng.integers(len(logs.workflows)))], number, rng) for number in range(CANDIDATES)
    )
    return Pairs.all_of(made, logs.tasks[:1])


def _chain(workflow: LoggedWorkflow, number: int, rng: np.random.Generator) -> LoggedWorkflow:
    order = [int(i) for i in rng.choice(len(workflow.nodes), len(workflow.nodes) + number % 3)]  # some steps twice
    edges = tuple((i, i + 1) for i in range(len(order) - 1))
    parts = {name: tuple(getattr(workflow, name)[i] for i in order) for name in ("nodes", "operators", "models")}
    kinds = ("control",) * len(edges)  # as no logged one has, so that none of these is a logged one
    changed: dict[str, Any] = {
        "id": f"{workflow.id}-{number}",
        "edges": edges,
        "edge_types": kinds,
        "conditional": (),
        "decoding": (),
        **parts,
    }
    return replace(workflow, **changed)


def prediction(logs: Logs, ability: Ability, rng: np.random.Generator) -> Iterator[Row]:
    """1,000 estimates with their uncertainty, on one core."""
    rows = logs.take(np.sort(rng.choice(len(logs), CANDIDATES, replace=False)))
    logged = Pairs(rows.workflows, rows.tasks, rows.workflow, rows.task)
    asked = {f"{CANDIDATES:,} new workflows on one task": candidates(logs, rng), f"{CANDIDATES:,} logged pairs": logged}
    with threadpool_limits(1):
        for what, pairs in asked.items():
            yield timed(what, partial(ability.predict, pairs), ROUNDS, PREDICTION)


def main() -> None:
    """Print a line for each figure, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds aflow_runs")
    parser.add_argument("--report", action="store_true", help="the figures on held-out folds too")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    logs, encoder = read_aflow(args.data / "aflow_runs"), Encoder(open_embedder())
    ability, rows = Ability(encoder), list[Row]()
    predicted = prediction(logs, ability, np.random.default_rng(0))
    for measured in (training(logs, encoder, ability, args.report), predicted):
        for row in measured:
            print(row, flush=True)
            rows.append(row)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")
    if args.json is not None:
        write(args.json, rows)


if __name__ == "__main__":
    main()
