"""Ctrl-C ends a long command, also where a library loses the KeyboardInterrupt."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer

INTERRUPTED = 128 + signal.SIGINT  # what shells return after Ctrl-C


@contextmanager
def stoppable(words: str) -> Iterator[Callable[[], None]]:
    """Ctrl-C prints `words` and ends the command with `INTERRUPTED`.

    NumPy swallows a KeyboardInterrupt while it makes a string of an array's element, and makes a ValueError of one
    while it reads a buffer. So the signal is noted besides, and the function given, which is to be called between
    steps, raises a KeyboardInterrupt where one was lost. Any error after the signal counts as its doing.
    """
    noted = list[int]()

    def check() -> None:
        if noted:
            raise KeyboardInterrupt

    try:
        with _noting(noted):
            yield check
    except BaseException as error:
        if not (noted or isinstance(error, KeyboardInterrupt)):
            raise
        print(f"\nstopped; {words}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _noting(noted: list[int]) -> Iterator[None]:
    """Append each SIGINT before it is raised; where another handler was set or none may be, that one is left alone."""
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not handled or threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
