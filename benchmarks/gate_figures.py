"""The figures of gate 2's benchmark, and its tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from figures import Figure, figure
from gate_nanochat import Runs
from rich.table import Table
from stats import bootstrap

from luthier.predictor.metrics import auc, brier, calibration_error
from luthier.predictor.trial_gate import FAILS
from luthier.trials.records import Trial

METRICS = {
    "auc": "AUC", "auc-worst": "worst draw", "ece": "calibration error", "brier": "Brier",
    "failures-skipped": "failures skipped", "good-lost": "good trials lost", "seconds-saved": "time saved",
}  # fmt: skip
PERCENT = ("failures-skipped", "good-lost", "seconds-saved")


def measured(probability: np.ndarray, tested: Sequence[Trial]) -> dict[str, float]:
    """Every metric of one draw."""
    died = np.array([t.died_there for t in tested])
    seconds, skipped = np.array([t.seconds for t in tested]), probability >= FAILS
    return {
        "auc": auc(probability, died),
        "ece": calibration_error(probability, died.astype(float)),
        "brier": brier(probability, died.astype(float)),
        "failures-skipped": float(skipped[died].mean()),
        "good-lost": float(skipped[~died].mean()),
        "seconds-saved": float(np.nansum(seconds[skipped & died]) / np.nansum(seconds)),
    }


def summed(suite: str, name: str, rows: Sequence[Mapping[str, float]]) -> list[Figure]:
    """The mean over draws with its bootstrap interval, and the worst draw's AUC."""
    figures = []
    for metric in rows[0]:
        figures.append(figure(suite, name, metric, bootstrap([row[metric] for row in rows])))
    worst = min(row["auc"] for row in rows)
    return [*figures, Figure(suite, name, "auc-worst", worst, worst, worst)]


def early(runs: Runs) -> Figure:
    """The share of all seconds that failures took: what a perfect gate would save. The interval is over runs."""
    every = [run for seeds in runs.of.values() for run in seeds.values()]
    shares = [sum(t.seconds for t in run if t.died_there) / sum(t.seconds for t in run) for run in every]
    return figure("nanochat", "perfect gate", "seconds-saved", bootstrap(shares))


def plain_table(figures: Sequence[Figure]) -> Table:
    """One row a figure."""
    made = Table("method", "metric", "mean", "95 % interval over tasks")
    for f in sorted(figures, key=lambda f: (f.method, f.metric)):
        made.add_row(f.method, f.metric, f"{f.value:.3f}", f"{f.low:.3f} to {f.high:.3f}")
    return made


def table(figures: Sequence[Figure], suite: str, size: int) -> Table:
    """One table a suite and number of trials."""
    shown = {(f.method, f.metric): f for f in figures if f.suite == suite and f.method.endswith(f"after {size}")}
    made = Table(title=f"{suite}: after {size} trials, on other tuners' trials")
    made.add_column("method")
    for heading in METRICS.values():
        made.add_column(heading, justify="right")
    for method in dict.fromkeys(name for name, _ in shown):
        cells = [_cell(shown.get((method, metric))) for metric in METRICS]
        made.add_row(method.removesuffix(f" after {size}"), *cells)
    return made


def _cell(one: Figure | None) -> str:
    if one is None:
        return "-"
    if one.metric in PERCENT:
        return f"{one.value:.1%}"
    return f"{one.value:.3f}" if one.low == one.high else one.shown
