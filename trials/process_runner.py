"""What the two runners of local processes share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .energy import Meter
from .errors import TrialError
from .recorder import Recorder, guard_disk, write_config
from .records import Config, Outcome
from .runner import Limits, OnReport
from .sandbox import Sandbox, best_sandbox


class ProcessRunner(ABC):
    """A runner (see `Runner`) whose trials are processes on this machine, one at a time."""

    def __init__(
        self, metric: str, limits: Limits, sandbox: Sandbox | None, patterns: Mapping[str, str] | None = None
    ) -> None:
        self.metric = metric
        self.limits = limits
        self.sandbox = best_sandbox() if sandbox is None else sandbox
        self._patterns = dict(patterns or {})
        self._seed = 0  # of the trial that runs
        self._closing = threading.Event()
        # Re-entrant: whoever listens to a trial's reports may close the runner.
        self._lock = threading.RLock()

    def run(self, config: Config, folder: Path, *, seed: int = 0, on_report: OnReport | None = None) -> Outcome:
        """See `Runner.run`.

        Raises:
            TrialError: when the runner is closed.
        """
        with self._lock:
            if self._closing.is_set():
                raise TrialError("a closed runner runs no trial; make a new one")
            folder, self._seed = folder.resolve(), seed
            with guard_disk(folder):
                folder.mkdir(parents=True, exist_ok=True)
            write_config(folder, config)
            with (
                Meter() as meter,
                Recorder(folder, self.limits, patterns=self._patterns, on_report=on_report) as recorder,
            ):
                outcome = self._run(config, folder, recorder)
            return replace(outcome, energy=meter.energy)

    def close(self) -> None:
        """See `Runner.close`."""
        self._closing.set()
        with self._lock:
            self._release()

    @abstractmethod
    def _run(self, config: Config, folder: Path, recorder: Recorder) -> Outcome: ...

    @abstractmethod
    def _release(self) -> None:
        """End what outlives a trial."""
