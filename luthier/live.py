"""The live view of a terminal: trials with their curves, the best so far, what the agents say, the budget."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .graphs.events import Event, NoiseMeasured, Reported, Said, StudyStarted, TrialFinished, TrialStarted, Warned
from .trials.records import Config, Direction, State, Trial, best_trial
from .words import config, difference, duration, number, sparkline

SAID_LINES = 6  # what fits under the table on a terminal of 24 lines
STYLES = {State.COMPLETE: "green", State.PRUNED: "yellow", State.FAILED: "red", State.RUNNING: "cyan"}


class LiveView:
    """A listener that redraws the terminal four times a second while the loop runs."""

    def __init__(self, name: str, metric: str, direction: Direction, console: Console) -> None:
        self._name, self._metric, self._direction, self._console = name, metric, direction, console
        self._trials: list[Trial] = []
        self._said: deque[tuple[str, str]] = deque(maxlen=SAID_LINES)
        self._running: TrialStarted | None = None
        self._curve: list[float] = []
        self._budget = 0
        self._since = time.monotonic()
        self._title = name
        self._live = Live(get_renderable=self._draw, console=console, refresh_per_second=4)

    def __enter__(self) -> LiveView:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = None
        self._live.__exit__(kind, error, trace)

    def seen(self, trials: list[Trial]) -> None:
        """Show trials from an earlier run."""
        self._trials = list(trials)

    def __call__(self, event: Event) -> None:
        match event:
            case StudyStarted(trials=trials, model=model, workflow=workflow):
                self._budget = trials
                self._title = f"{self._name}: {self._metric} ({self._direction}), model {model}, workflow {workflow}"
            case TrialStarted():
                self._running, self._curve, self._since = event, [], time.monotonic()
                self._say(event.candidate.source, event.candidate.reason or config(event.candidate.config))
            case Reported(metrics=metrics):
                if self._metric in metrics:
                    self._curve.append(metrics[self._metric])
            case Said(role=role, text=text):
                self._say(role, text)
            case TrialFinished(trial=trial):
                self._trials.append(trial)
                self._running = None
            case NoiseMeasured(value=value):
                self._running = None
                self._say("noise", f"trial 0 again: {number(value)}")
            case Warned(text=text):
                self._say("note", text)

    def _say(self, role: str, text: str) -> None:
        where = "noise" if self._running and self._running.number is None else role
        self._said.append((where, text))

    def _draw(self) -> RenderableType:
        said = Table.grid(padding=(0, 1), expand=True)
        said.add_column(style="bold", no_wrap=True)
        said.add_column(ratio=1)
        for role, text in self._said:
            said.add_row(role, Text(text, overflow="ellipsis"))
        return Group(self._table(), self._best(), Panel(said, title="what the agents say", title_align="left"))

    def _table(self) -> Table:
        table = Table(title=escape(self._title), title_justify="left", expand=True)
        for heading in ("trial", "from", "what it changes", self._metric, "curve", "time"):
            wide = heading == "what it changes"
            table.add_column(heading, no_wrap=not wide, ratio=1 if wide else None, overflow="ellipsis")
        best = best_trial(self._trials, self._direction)
        room = max(4, self._console.height - SAID_LINES - 12)
        for trial in self._trials[-room:]:
            table.add_row(*self._row(trial), style=STYLES[trial.state] if trial is not best else "bold green")
        if self._running is not None:
            which = "noise" if self._running.number is None else str(self._running.number)
            candidate = self._running.candidate
            last = number(self._curve[-1]) if self._curve else "..."
            took = duration(time.monotonic() - self._since)
            table.add_row(
                which,
                candidate.source,
                self._change(candidate.config),
                last,
                sparkline(self._curve),
                took,
                style="cyan",
            )
        return table

    def _row(self, trial: Trial) -> list[str]:
        value = number(trial.value) if trial.failure is None else trial.failure.cause.value
        if trial.state is State.PRUNED:
            value += " (stopped)"
        curve = sparkline([v for _, v in trial.trajectory.curve(self._metric)])
        return [str(trial.number), trial.source, self._change(trial.config), value, curve, duration(trial.seconds)]

    def _change(self, values: Config) -> str:
        base = self._trials[0].config if self._trials else values
        return escape(difference(values, base))

    def _best(self) -> Text:
        best = best_trial(self._trials, self._direction)
        left = f"{max(self._budget - len(self._trials), 0)} of {self._budget} trials left"
        if best is None:
            return Text(f"no value yet; {left}")
        return Text(f"best so far: trial {best.number}, {self._metric} {number(best.value)}; {left}", style="bold")
