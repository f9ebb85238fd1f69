"""The tables: mean regret of each method with its interval, and the product against each other method."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from results import Result
from rich.table import Table
from rich.text import Text
from stats import bootstrap, paired

OURS = "luthier"
CHECKPOINTS = (5, 10)  # trials after which the regret is shown, and after the last
BOUND = 0.02  # "not worse": the interval of the paired difference ends below this


def per_task(results: Sequence[Result], trial: int) -> dict[str, dict[str, float]]:
    """Method -> task -> regret after `trial` trials, mean over seeds; only tasks that every method has finished."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        found[result.method][result.task].append(result.regret[trial - 1])
    shared = set.intersection(*(set(tasks) for tasks in found.values()))
    return {m: {t: float(np.mean(tasks[t])) for t in sorted(shared)} for m, tasks in found.items()}


def means_table(results: Sequence[Result], title: str) -> Table:
    """Mean regret after 5, 10 and all trials with the 95 % interval over tasks; the lowest mean is bold."""
    last = min(len(r.regret) for r in results)
    shown = sorted({t for t in CHECKPOINTS if t < last} | {last})
    columns = {trial: per_task(results, trial) for trial in shown}
    table = Table(title=title)
    table.add_column("method")
    for trial in shown:
        table.add_column(f"after {trial} trials", justify="right")
    for method in columns[last]:
        cells = []
        for trial in shown:
            interval = bootstrap(list(columns[trial][method].values()))
            lowest = min(float(np.mean(list(tasks.values()))) for tasks in columns[trial].values())
            cells.append(Text(str(interval), style="bold" if interval.mean <= lowest else ""))
        table.add_row(method, *cells)
    return table


def paired_table(results: Sequence[Result]) -> Table | None:
    """The product minus each other method, best first; None where there is nothing to compare."""
    last = min(len(r.regret) for r in results)
    columns = per_task(results, last)
    ours, others = columns.get(OURS), [m for m in columns if m != OURS]
    if ours is None or not others:
        return None
    table = Table(title=f"{OURS} minus another after {last} trials, task by task (below 0: {OURS} is better)")
    for heading in ("other", "mean", "95 % interval", f"upper bound < {BOUND}", "tasks won"):
        table.add_column(heading, justify="left" if heading == "other" else "right")
    for other in sorted(others, key=lambda m: float(np.mean(list(columns[m].values())))):
        theirs = columns[other]
        difference = paired(list(ours.values()), list(theirs.values()))
        won = sum(ours[t] < theirs[t] for t in ours)
        verdict = "yes" if difference.high < BOUND else "no"
        ends = Text(f"[{difference.low:+.3f}, {difference.high:+.3f}]")
        table.add_row(other, f"{difference.mean:+.3f}", ends, verdict, f"{won}/{len(ours)}")
    return table
