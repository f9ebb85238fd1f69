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
from .words import config, difference, duration, number, printable, sparkline

SAID = 6  # words that are kept
AROUND = 5  # lines of title, headings, the best so far, and the frame of what is said
BORDER = 5  # columns around and between what is said
WIDE = 110  # columns from which curves are drawn at full width
STYLES = {State.COMPLETE: "green", State.PRUNED: "yellow", State.FAILED: "red", State.RUNNING: "cyan"}


class LiveView:
    """A listener that redraws the terminal four times a second while the loop runs."""

    def __init__(self, name: str, metric: str, direction: Direction, console: Console) -> None:
        self._name, self._metric, self._direction, self._console = name, metric, direction, console
        self._trials: list[Trial] = []
        self._said: deque[tuple[str, str]] = deque(maxlen=SAID)
        self._running: TrialStarted | None = None
        self._curve: list[float] = []
        self._budget = 0
        self._since = time.monotonic()
        self._title = name
        self._live = Live(get_renderable=self.drawn, console=console, refresh_per_second=4)

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
        self._said.append((where, printable(text)))

    def drawn(self) -> RenderableType:
        """What the screen shows now."""
        said, lines = self._heard()
        panel = Panel(said, title="what the agents say", title_align="left")
        return Group(self._table(self._console.height - lines - AROUND), self._best(), panel)

    def _heard(self) -> tuple[Table, int]:
        """The latest words that leave the trials half of the screen, and how many lines they take."""
        said = Table.grid(padding=(0, 1), expand=True)
        said.add_column(style="bold", no_wrap=True)
        said.add_column(ratio=1)
        width = self._console.width - BORDER - max((len(role) for role, _ in self._said), default=0)
        shown, lines = list[tuple[str, Text]](), 0
        for role, words in reversed(self._said):
            text = Text(words)
            needs = len(text.wrap(self._console, max(width, 1)))
            if shown and lines + needs > self._console.height // 2 - AROUND:
                break
            shown, lines = [(role, text), *shown], lines + needs
        for row in shown:
            said.add_row(*row)
        return said, lines

    def _table(self, room: int) -> Table:
        """The latest trials, a line each, and the one that runs, in `room` lines."""
        table = Table(title=escape(self._title), title_justify="left", box=None, pad_edge=False, expand=True)
        for heading in ("trial", "from", escape(self._metric), "curve", "time"):
            table.add_column(heading, no_wrap=True)
        table.add_column("what it changes", no_wrap=True, ratio=1, overflow="ellipsis")
        best = best_trial(self._trials, self._direction)
        for trial in self._trials[-max(room - (self._running is not None), 1) :]:
            table.add_row(*self._row(trial), style=STYLES[trial.state] if trial is not best else "bold green")
        if self._running is not None:
            table.add_row(*self._running_row(self._running), style="cyan")
        return table

    def _running_row(self, running: TrialStarted) -> list[str]:
        which = "noise" if running.number is None else str(running.number)
        last = number(self._curve[-1]) if self._curve else "..."
        took = duration(time.monotonic() - self._since)
        source, change = escape(running.candidate.source), self._change(running.candidate.config)
        return [which, source, last, self._spark(self._curve), took, change]

    def _row(self, trial: Trial) -> list[str]:
        value = number(trial.value) if trial.failure is None else trial.failure.cause.value
        if trial.state is State.PRUNED:
            value += " (stopped)"
        curve = self._spark([v for _, v in trial.trajectory.curve(self._metric)])
        took = duration(trial.seconds)
        return [str(trial.number), escape(trial.source), value, curve, took, self._change(trial.config)]

    def _spark(self, curve: list[float]) -> str:
        return sparkline(curve, 20 if self._console.width >= WIDE else 10)

    def _change(self, values: Config) -> str:
        base = self._trials[0].config if self._trials else values
        return escape(difference(values, base))

    def _best(self) -> Text:
        best = best_trial(self._trials, self._direction)
        left = f"{max(self._budget - len(self._trials), 0)} of {self._budget} trials left"
        if best is None:
            return Text(f"no value yet; {left}")
        return Text(f"best so far: trial {best.number}, {self._metric} {number(best.value)}; {left}", style="bold")
