"""The trials of a study as a table for people."""

from __future__ import annotations

from itertools import zip_longest

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from .trials.diagnosis import diagnose
from .trials.records import Trial
from .trials.study import Study
from .words import difference, duration, number, sparkline

NARROW = 80  # columns below which a diagnosis is told without its step
CURVES = ((90, 20), (NARROW, 12), (0, 8))  # from so many columns on, so many points of a curve
WIDE = 130  # columns from which what a trial changes has room beside it
INDENT = 7  # columns below a trial's number
STYLE_OF = {"complete": "", "pruned": "yellow", "failed": "red", "running": "cyan"}


class TrialTable:
    """One row a trial, the best in bold. What a trial changes stands beside it, or below it on a narrow terminal."""

    def __init__(self, study: Study) -> None:
        self._study, self._trials, self._best = study, study.trials, study.best
        base = dict(self._trials[0].config) if self._trials else {}
        self._changes = [difference(trial.config, base) for trial in self._trials]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width >= WIDE:
            yield self._table(options.max_width, self._changes)
            return
        lines = console.render_lines(self._table(options.max_width), options, pad=False)
        for line, change in zip_longest(lines, ["", *self._changes], fillvalue=""):
            yield from (*line, Segment.line())
            if change:
                yield Text(" " * INDENT + change, style="dim", no_wrap=True, overflow="ellipsis")

    def _table(self, width: int, changes: list[str] | None = None) -> Table:
        table = Table(box=None, pad_edge=False, expand=changes is not None)
        for heading in ("trial", "from", escape(self._study.metric), "curve", "time", "diagnosis"):
            table.add_column(heading, no_wrap=True)
        if changes is not None:
            table.add_column("what it changes", no_wrap=True, ratio=1, overflow="ellipsis")
        for place, trial in enumerate(self._trials):
            won = self._best is not None and trial.number == self._best.number
            style = "bold green" if won else STYLE_OF[trial.state.value]
            table.add_row(
                *self._cells(trial, width), *([] if changes is None else [escape(changes[place])]), style=style
            )
        return table

    def _cells(self, trial: Trial, width: int) -> list[str]:
        study, reference = self._study, None if self._best is None else self._best.value
        found = diagnose(trial, study.direction, study.metric, reference)
        since = f" since step {found.since}" if found.since is not None and width >= NARROW else ""
        points = next(points for columns, points in CURVES if width >= columns)
        curve = sparkline([v for _, v in trial.trajectory.curve(study.metric)], points)
        value = number(trial.value) if trial.failure is None else trial.failure.cause.value
        return [
            str(trial.number), escape(trial.source), value, curve, duration(trial.seconds), found.verdict.value + since,
        ]  # fmt: skip
