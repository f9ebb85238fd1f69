"""The predictor benchmark's tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from predictor_figures import Figure
from rich.table import Table
from rich.text import Text

PERCENT = ("accuracy", "auc", "utility", "abstains")  # and what begins so
LOW_IS_GOOD = ("brier", "log-loss", "calibration-error", "calibration-error-by-chance", "top-1-regret")
QUESTIONS = {
    "pair": "unseen pairs of known tasks and workflows",
    "task": "unseen tasks",
    "workflow": "unseen workflows",
    "suite": "an unseen suite",
}


def tables(figures: Sequence[Figure], metrics: Sequence[str] = ()) -> Iterator[Table]:
    """One table a split and metric: models down, domains across, the best bold."""
    for split in dict.fromkeys(f.split for f in figures):
        of_split = [f for f in figures if f.split == split]
        wide = {f.domain for f in of_split if f.metric == "accuracy"}  # of a single suite there are few figures
        for metric in dict.fromkeys(f.metric for f in of_split):
            if not metrics or metric in metrics:
                shown = [f for f in of_split if f.metric == metric]
                yield _table(split, metric, [f for f in shown if f.domain in wide])
                if by_suite := [f for f in shown if f.domain not in wide]:
                    yield _table(split, metric, by_suite)


def _table(split: str, metric: str, figures: Sequence[Figure]) -> Table:
    table = Table(title=f"{metric}, {QUESTIONS.get(split, split)}")
    table.add_column("model")
    domains = list(dict.fromkeys(f.domain for f in figures))
    for domain in domains:
        table.add_column(domain, justify="right")
    found = {(f.model, f.domain): f for f in figures}
    sign = -1 if metric in LOW_IS_GOOD else 1
    best = {
        d: max((sign * f.value for f in figures if f.domain == d and np.isfinite(f.value)), default=0) for d in domains
    }
    for model in dict.fromkeys(f.model for f in figures):
        cells = [_cell(found.get((model, d)), metric, sign, best[d]) for d in domains]
        table.add_row(model, *cells)
    return table


def _cell(figure: Figure | None, metric: str, sign: int, best: float) -> Text:
    if figure is None or not np.isfinite(figure.value):
        return Text("-")
    return Text(shown(figure), style="bold" if sign * figure.value >= best else "")


def shown(figure: Figure) -> str:
    """Value and interval; in percent where the metric is a share that is usually given so."""
    numbers = (figure.value, figure.low, figure.high)
    plus = "+" if figure.metric.endswith(("minus-best", "minus-chosen")) else ""
    if figure.metric.startswith(PERCENT):
        value, low, high = (f"{100 * x:{plus}.1f}" for x in numbers)
    else:
        value, low, high = (f"{x:{plus}.3f}" for x in numbers)
    return f"{value} [{low}, {high}]"


def markdown(table: Table) -> str:
    """The same table as Markdown."""
    heads = [str(column.header) for column in table.columns]
    cells = zip(*([_plain(cell) for cell in column.cells] for column in table.columns), strict=True)
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *cells)]
    return f"**{table.title}**\n\n" + "\n".join(lines) + "\n"


def _plain(cell: object) -> str:
    return f"**{cell}**" if isinstance(cell, Text) and "bold" in str(cell.style) else str(cell)
