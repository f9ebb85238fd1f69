"""The runner protocol: what carries one configuration to its outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from .errors import StudyError
from .records import Config, Outcome

OnReport = Callable[[int, Mapping[str, float]], bool]
"""Called with a step and all its metrics so far, again if the step gains one; True stops the trial as pruned."""


@dataclass(frozen=True)
class Limits:
    """What one trial may use."""

    seconds: float | None = None  # wall time
    memory_gib: float | None = None  # resident memory of the trial and all its descendants, shared pages counted once
    log_bytes: int = 50_000_000  # of log.txt; the first and the last lines are kept, the middle is left out


class DiskFullError(StudyError):
    """Nothing more can be written; the trial stays unfinished, so that the same command runs it again."""


@runtime_checkable
class Runner(Protocol):
    """Carries one configuration to its outcome.

    A failed trial is an outcome, not an exception. Whatever ends `run`, no process that it started is left, except
    a runner's own warm worker. The trial's folder holds `log.txt`, `metrics.jsonl` and `config.json` afterwards.
    """

    def run(self, config: Config, folder: Path, *, seed: int = 0, on_report: OnReport | None = None) -> Outcome:
        """Run an active configuration in `folder`, which exists.

        `seed` reaches the trial as `$LUTHIER_SEED`: equal for all trials, another for runs that measure noise.

        Raises:
            InputError: when the user must act before any trial can run (a full disk, a placeholder without meaning).
            KeyboardInterrupt: after the trial's processes are ended.
        """
        ...

    def close(self) -> None:
        """End what runs, also from another thread: a running trial then fails as interrupted."""
        ...
