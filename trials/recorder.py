"""What a trial leaves behind while it runs: its log, its metrics, its trajectory."""

from __future__ import annotations

import contextlib
import errno
import json
import math
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from .records import Config, Trajectory
from .runner import DiskFullError, Limits, OnReport
from .stream import Parser, Report

MAX_STEPS = 10_000  # of a trajectory; beyond it every second step is dropped, again and again
TAIL_BYTES = 32_768  # of each stream, kept in memory as the log's last lines
LAST_LINES = 20  # of the log, kept as a crash's evidence
STREAMS = ("stdout", "stderr")


class Recorder:
    """Takes a trial's output as it comes; a context manager that closes its files.

    A report without a step opens a new step when it names a metric that the current step already has, and joins
    the current step otherwise. A step reported twice keeps the later value of each metric.

    Raises:
        DiskFullError: from any method that writes.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        *,
        patterns: Mapping[str, str] | None = None,
        on_report: OnReport | None = None,
    ) -> None:
        self.metrics: dict[str, float] = {}  # the last value of each
        self.stop_asked = False  # `on_report` said that the trial should stop
        self._folder = folder
        self._on_report = on_report
        self._parsers = {name: Parser(patterns) for name in STREAMS}
        self._tails: dict[str, deque[bytes]] = {name: deque() for name in STREAMS}
        self._steps: dict[int, dict[str, float]] = {}
        self._step = -1  # the current one
        with guard_disk(folder):
            self._log = _Log(folder / "log.txt", limits.log_bytes)
            self._lines: IO[str] = (folder / "metrics.jsonl").open("w", encoding="utf-8", buffering=1)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # An error that is on its way out says more than a second one about the same disk.
        with contextlib.suppress(OSError) if error else guard_disk(self._folder):
            self._log.close()
        with contextlib.suppress(OSError) if error else guard_disk(self._folder):
            self._lines.close()

    def feed(self, stream: str, data: bytes) -> None:
        """Take what came out of `stdout` or `stderr`."""
        with guard_disk(self._folder):
            self._log.write(data)
        self._remember(stream, data)
        for report in self._parsers[stream].feed(data):
            self.take(report)

    def finish(self) -> None:
        """Take last lines that have no end."""
        for parser in self._parsers.values():
            for report in parser.finish():
                self.take(report)

    def take(self, report: Report) -> None:
        """Take one report, and ask whether the trial should go on. After a "no" nothing more is taken, so that what
        becomes of the trial does not hang on how fast it ends."""
        if self.stop_asked:
            return
        step = self._step_of(report)
        self._step = step
        values = self._steps.setdefault(step, {})
        values.update(report.metrics)
        self.metrics.update(report.metrics)
        with guard_disk(self._folder):
            self._lines.write(json.dumps({"step": step, **report.metrics}) + "\n")
        if self._on_report is not None:
            self.stop_asked = bool(self._on_report(step, dict(values)))
        self._thin()

    def conclude(self, metrics: Mapping[str, float]) -> None:
        """Take final values, which belong to no step."""
        if self.stop_asked or not metrics:
            return
        self.metrics.update(metrics)
        with guard_disk(self._folder):
            self._lines.write(json.dumps(dict(metrics)) + "\n")

    def trajectory(self) -> Trajectory:
        """All steps so far in order; NaN where a step did not report a metric."""
        steps = tuple(sorted(self._steps))
        names = dict.fromkeys(name for step in steps for name in self._steps[step])
        return Trajectory(steps, {n: tuple(self._steps[s].get(n, math.nan) for s in steps) for n in names})

    def last_lines(self) -> str:
        """The last lines of standard error, and of standard output where there is no error."""
        for stream in reversed(STREAMS):
            lines = b"".join(self._tails[stream]).decode("utf-8", "replace").splitlines()
            if text := "\n".join(lines[-LAST_LINES:]).strip():
                return text
        return ""

    def _step_of(self, report: Report) -> int:
        if report.step is not None:
            return report.step
        known = self._steps.get(self._step, {})
        joins = self._step >= 0 and not known.keys() & report.metrics.keys()
        return self._step if joins else self._step + 1

    def _thin(self) -> None:
        if len(self._steps) <= MAX_STEPS:
            return
        kept = sorted(self._steps)[::2]
        # The current step may still gain metrics.
        self._steps = {step: self._steps[step] for step in dict.fromkeys([*kept, self._step])}

    def _remember(self, stream: str, data: bytes) -> None:
        tail = self._tails[stream]
        tail.append(data[-TAIL_BYTES:])
        while sum(map(len, tail)) - len(tail[0]) >= TAIL_BYTES:
            tail.popleft()


class _Log:
    """A file that keeps the first and the last bytes of a stream that may be endless."""

    def __init__(self, path: Path, limit: int) -> None:
        self._file = path.open("wb", buffering=0)
        self._tail_limit = min(TAIL_BYTES, limit // 2)
        self._room = limit - self._tail_limit
        self._tail = b""
        self._dropped = 0

    def write(self, data: bytes) -> None:
        now, later = data[: self._room], data[self._room :]
        if now:
            self._file.write(now)
            self._room -= len(now)
        if later:
            self._tail += later
            if len(self._tail) > 2 * self._tail_limit:
                self._cut()

    def close(self) -> None:
        try:
            self._cut()
            note = f"\n... {self._dropped} bytes left out here ...\n".encode() if self._dropped else b""
            if self._tail:
                self._file.write(note + self._tail)
        finally:
            self._file.close()

    def _cut(self) -> None:
        excess = max(len(self._tail) - self._tail_limit, 0)
        self._dropped += excess
        self._tail = self._tail[excess:]


def write_config(folder: Path, config: Config) -> None:
    """Write `config.json`: the hyperparameters that the trial ran with.

    Raises:
        DiskFullError: when it cannot be written.
    """
    with guard_disk(folder):
        (folder / "config.json").write_text(json.dumps(dict(config), indent=2) + "\n")


@contextlib.contextmanager
def guard_disk(folder: Path) -> Iterator[None]:
    """Turn a full disk, or a full quota, into the one error that says what to do.

    Raises:
        DiskFullError: when the body meets one.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(
            f"a trial's log must be written, but the disk is full at {folder}; free some space, then run the same "
            "command: finished trials are kept"
        ) from error
