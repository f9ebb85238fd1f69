"""Follows a running trial: its output goes to the recorder until it ends or a limit is met."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from enum import Enum, auto
from typing import IO, Protocol

from .processes import resident_bytes
from .recorder import STREAMS, Recorder
from .runner import Limits
from .sandbox import Child

TICK = 0.1  # seconds between two looks at memory, time and whether the runner was closed
CHUNK = 65_536  # bytes, a pipe's size
GIB = 2**30


class Ending(Enum):
    """What ended the watching."""

    EXITED = auto()  # the process is gone
    DONE = auto()  # the process says that the trial is over, and lives on
    PRUNED = auto()  # `on_report` asked for it
    TIMEOUT = auto()
    MEMORY = auto()
    CLOSED = auto()  # the runner was closed from another thread


class Talk(Protocol):
    """A conversation with the process, beside its streams."""

    over: bool  # the process has said that the trial is over

    def fileno(self) -> int:
        """What to wait on."""
        ...

    def hear(self) -> bool:
        """Take what was said; False when nothing more can come."""
        ...


class Watch:
    """Watches one trial of a process. One that should be pruned gets `grace` seconds to end by itself."""

    def __init__(
        self,
        child: Child,
        recorder: Recorder,
        limits: Limits,
        closing: threading.Event,
        *,
        talk: Talk | None = None,
        grace: float = 0.0,
    ) -> None:
        self._child = child
        self._recorder = recorder
        self._closing = closing
        self._talk = talk
        self._streams: dict[str, IO[bytes]] = {"stdout": child.stdout, "stderr": child.stderr}
        self._grace = grace
        now = time.monotonic()
        self._deadline = now + (limits.seconds if limits.seconds is not None else float("inf"))
        self._pruning_since: float | None = None
        self._memory = None if limits.memory_gib is None else int(limits.memory_gib * GIB)
        self._next_look = now

    def run(self) -> Ending:
        """Watch until something ends it."""
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
            for name, stream in self._streams.items():
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, lambda name=name: self._read(name) != b"")
            if self._talk is not None:
                selector.register(self._talk.fileno(), selectors.EVENT_READ, self._listen)
            selector.register(_exit_of(self._child.pid, stack), selectors.EVENT_READ, lambda: True)
            while (ending := self._ending()) is None:
                for key, _ in selector.select(min(TICK, max(self._deadline - time.monotonic(), 0.0))):
                    # At a stream's end `select` would name it again and again.
                    if not key.data():
                        selector.unregister(key.fileobj)
        return ending

    def drain(self) -> None:
        """Take what is left in the pipes, without waiting for more."""
        for name in STREAMS:
            while self._read(name):
                pass

    def _ending(self) -> Ending | None:
        now = time.monotonic()
        if self._talk is not None and self._talk.over:
            return Ending.DONE
        if self._child.poll() is not None:
            return Ending.EXITED
        if self._closing.is_set():
            return Ending.CLOSED
        if now >= self._deadline:
            return Ending.TIMEOUT
        if self._recorder.stop_asked:
            self._pruning_since = now if self._pruning_since is None else self._pruning_since
            if now >= self._pruning_since + self._grace:
                return Ending.PRUNED
        return Ending.MEMORY if self._uses_too_much(now) else None

    def _uses_too_much(self, now: float) -> bool:
        if self._memory is None or now < self._next_look:
            return False
        used = resident_bytes(self._child.pid, self._memory)
        self._next_look = time.monotonic() + TICK
        return used > self._memory

    def _listen(self) -> bool:
        # What was printed before something was said is taken before it.
        self.drain()
        return self._talk is not None and self._talk.hear()

    def _read(self, name: str) -> bytes | None:
        """Take a piece of a stream: None when there is nothing yet, empty at its end."""
        data = self._streams[name].read(CHUNK)
        if data:
            self._recorder.feed(name, data)
        return data


def _exit_of(pid: int, stack: contextlib.ExitStack) -> int:
    """A file descriptor that becomes readable when a child of ours ends, closed with `stack`."""
    fd = os.pidfd_open(pid)
    stack.callback(os.close, fd)
    return fd
