"""Doubles that several tests share: real objects, no patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from luthier.graphs.events import Event
from luthier.trials.records import Cause, Config, Failure, Outcome, State, Trajectory
from luthier.trials.records import Trial as Record
from luthier.trials.runner import OnReport
from luthier.trials.space import Choice, Float, Int, Space

SPACE = Space(
    {
        "lr": Float(1e-5, 0.5, log=True, default=1e-3),
        "units": Int(16, 512, log=True, default=64),
        "optimizer": Choice(("sgd", "adam"), default="adam"),
        "momentum": Float(0.0, 0.99, default=0.9, when='optimizer == "sgd"'),
    },
    constraints=("units * 2 <= 900",),
)


class FunctionRunner:
    """Runs a function of the configuration in this process; None fails, as out of memory. Counts its runs."""

    def __init__(self, function: Callable[[Config], float | None], curve: Sequence[float] = ()) -> None:
        self.runs: list[Config] = []
        self.seeds: list[int] = []
        self._function, self._curve = function, curve

    def run(self, config: Config, folder: Path, *, seed: int = 0, on_report: OnReport | None = None) -> Outcome:
        """The function's value at once, after the curve's reports."""
        self.runs.append(config)
        self.seeds.append(seed)
        value = self._function(config)
        if value is None:
            return Outcome(State.FAILED, failure=Failure(Cause.OUT_OF_MEMORY, "no memory left"))
        values = [*(value + c for c in self._curve), value]
        for step, reported in enumerate(values):
            if on_report is not None and on_report(step, {"loss": reported}):
                trajectory = Trajectory(tuple(range(step + 1)), {"loss": tuple(values[: step + 1])})
                return Outcome(State.PRUNED, reported, {"loss": reported}, trajectory)
        trajectory = Trajectory(tuple(range(len(values))), {"loss": tuple(values)})
        return Outcome(State.COMPLETE, value, {"loss": value, "test_loss": value / 2}, trajectory)

    def close(self) -> None:
        """Nothing to end."""


class Listening:
    """Keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Event]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]


def complete(number: int, config: Config, value: float, curve: Sequence[float] = ()) -> Record:
    """A complete trial with the metric `loss`."""
    values = tuple(curve) or (value,)
    trajectory = Trajectory(tuple(range(len(values))), {"loss": values})
    return Record(number, config, State.COMPLETE, value, {"loss": value}, trajectory, source="test")


def failed(number: int, config: Config, cause: Cause = Cause.OUT_OF_MEMORY, detail: str = "boom") -> Record:
    """A failed trial."""
    return Record(number, config, State.FAILED, failure=Failure(cause, detail), source="test")
