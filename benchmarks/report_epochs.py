"""What a budget of epochs bought: regret after so many full trainings' worth of epochs, and what the best peer cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from figures import Figure, figure
from report import OURS, per_task
from results import Result
from rich.table import Table
from rich.text import Text
from stats import LEVEL, RESAMPLES, Interval, bootstrap, paired

CHECKPOINTS = (1, 2, 5, 10, 20, 50)  # full trainings' worth of epochs
OWN = (OURS, f"{OURS}-")  # names that are the product's, and so no peers


def figures(runs: Sequence[Result], trainings: int) -> list[Figure]:
    """All figures of one suite.

    - `regret@N`: after the epochs of N full trainings.
    - `luthier-minus-it@N`: paired by task; below 0 the product is better.
    - `epochs-to-best-peer`: of a product's method: after which share of all epochs its mean regret is at most the best
      peer's at the end; above 1 means never. `epochs-to-METHOD` is the same for another of its own methods.
    """
    epochs = min(len(run.regret) for run in runs) // trainings
    suite, found = runs[0].suite, list[Figure]()
    for count in [c for c in CHECKPOINTS if c < trainings] + [trainings]:
        columns = per_task(runs, count * epochs)
        for method, tasks in columns.items():
            found.append(figure(suite, method, f"regret@{count}", bootstrap(list(tasks.values()))))
            if OURS in columns and method != OURS:
                gap = paired(list(columns[OURS].values()), list(tasks.values()))
                found.append(figure(suite, method, f"{OURS}-minus-it@{count}", gap))
    return found + list(_shares(runs))


def _shares(runs: Sequence[Result]) -> Iterator[Figure]:
    curves = _curves(runs)
    own = [m for m in curves if m.startswith(OWN)]
    peers = [m for m in curves if m not in own]
    if not own or not peers:
        return
    best = min(peers, key=lambda m: float(curves[m][:, -1].mean()))
    for method in own:
        yield figure(runs[0].suite, method, f"epochs-to-{best}", share(curves[method], curves[best]))


def _curves(runs: Sequence[Result]) -> dict[str, np.ndarray]:
    """Method -> regret of shape (n_tasks, n_epochs), seeds averaged, tasks in one order."""
    last = min(len(run.regret) for run in runs)
    shared = set.intersection(*({r.task for r in runs if r.method == m} for m in {r.method for r in runs}))
    return {
        method: np.array(
            [
                np.mean([r.regret[:last] for r in runs if (r.method, r.task) == (method, task)], axis=0)
                for task in sorted(shared)
            ]
        )
        for method in dict.fromkeys(run.method for run in runs)
    }


def share(ours: np.ndarray, peer: np.ndarray, seed: int = 0) -> Interval:
    """The share of all epochs after which our mean regret is at most the peer's at the end.

    Args:
        ours: regret of shape (n_tasks, n_epochs); the tasks are drawn again for the interval, both methods' together.
        peer: the same of the peer.

    Returns:
        Shares of the epochs; one epoch more than all of them stands for "never".
    """
    n_tasks, n_epochs = ours.shape
    drawn = np.random.default_rng(seed).integers(n_tasks, size=(RESAMPLES, n_tasks))
    weights = np.apply_along_axis(np.bincount, 1, drawn, minlength=n_tasks) / n_tasks  # (RESAMPLES, n_tasks)
    weights = np.vstack([np.full(n_tasks, 1 / n_tasks), weights])
    reached = weights @ ours <= (weights @ peer[:, -1])[:, None] + 1e-12  # (RESAMPLES + 1, n_epochs)
    first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, n_epochs + 1) / n_epochs
    low, high = np.quantile(first[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(first[0]), float(low), float(high))


def tables(found: Sequence[Figure]) -> Iterator[Table]:
    """A suite's regrets, what the product is ahead or behind, and the share of the epochs that it needed."""
    for suite in dict.fromkeys(f.suite for f in found):
        mine = [f for f in found if f.suite == suite]
        for prefix, title in (
            ("regret@", "mean regret after so many full trainings' worth of epochs"),
            (f"{OURS}-minus-it@", f"{OURS} minus the other, task by task (below 0: {OURS} is better)"),
            ("epochs-to-", "share of all epochs until its mean regret is the best peer's at the end; above 1: never"),
        ):
            shown = [f for f in mine if f.metric.startswith(prefix)]
            if shown:
                yield table_of(f"{suite}: {title}", shown)


def table_of(title: str, found: Sequence[Figure]) -> Table:
    """Methods down, metrics across, the lowest value of each bold."""
    table = Table(title=title)
    table.add_column("method")
    metrics = list(dict.fromkeys(f.metric for f in found))
    for metric in metrics:
        table.add_column(metric, justify="right")
    cells = {(f.method, f.metric): f for f in found}
    lowest = {metric: min(f.value for f in found if f.metric == metric) for metric in metrics}
    for method in dict.fromkeys(f.method for f in found):
        row = [cells.get((method, metric)) for metric in metrics]
        table.add_row(method, *(Text(f.shown, "bold" if f.value <= lowest[f.metric] else "") if f else "" for f in row))
    return table
