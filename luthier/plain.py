"""The view for pipes, logs and CI: one line for each thing that happens."""

from __future__ import annotations

from collections.abc import Callable

from .graphs.events import (
    Event,
    NoiseMeasured,
    Reported,
    Said,
    Stopped,
    StudyStarted,
    TrialFinished,
    TrialStarted,
    Warned,
)
from .trials.records import Direction, State, Trial
from .words import config, duration, number, printable


class PlainView:
    """Writes each event as a line. Reports of single steps are left out: the trial's line ends with its value."""

    def __init__(self, metric: str, direction: Direction, write: Callable[[str], None]) -> None:
        self._metric, self._direction, self._write = metric, direction, write
        self._best: Trial | None = None

    def seen(self, trials: list[Trial]) -> None:
        """Take note of trials from an earlier run, so that `best` is right from the first line."""
        for trial in trials:
            self._note(trial)

    def __call__(self, event: Event) -> None:
        line = self._line(event)
        if line is not None:
            self._write(printable(line))

    def _line(self, event: Event) -> str | None:
        match event:
            case StudyStarted(done=done, trials=trials, model=model, workflow=workflow):
                resumed = f"{done} of {trials} trials done already, going on" if done else f"{trials} trials"
                return f"tuning {self._metric} ({self._direction}): {resumed}; model {model}, workflow {workflow}"
            case TrialStarted(number=None):
                return "trial 0 again, to measure the noise"
            case TrialStarted(number=n, candidate=c, attempt=attempt):
                again = f" (attempt {attempt + 1})" if attempt else ""
                return f"trial {n}{again} from {c.source}: {config(c.config)}" + (f" | {c.reason}" if c.reason else "")
            case Said(number=n, role=role, text=text):
                return f"trial {n} {role}: {text}"
            case TrialFinished(trial=trial):
                return self._finished(trial)
            case NoiseMeasured(value=value):
                return f"trial 0 again: {self._metric} {number(value)}"
            case Warned(text=text):
                return f"note: {text}"
            case Stopped(reason=reason):
                return f"stopped: {reason}"
            case Reported():
                return None

    def _note(self, trial: Trial) -> bool:
        if trial.state is not State.COMPLETE or trial.value is None:
            return False
        if self._best is None or self._direction.better(trial.value, self._best.value or 0.0):
            self._best = trial
            return True
        return False

    def _finished(self, trial: Trial) -> str:
        took = duration(trial.seconds)
        if trial.failure is not None:
            return f"trial {trial.number} failed after {took}: {trial.failure.cause} {trial.failure.detail[-120:]!r}"
        mark = "  <- best so far" if self._note(trial) else ""
        return f"trial {trial.number} {trial.state} in {took}: {self._metric} {number(trial.value)}{mark}"
