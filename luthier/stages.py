"""How far a long command is: a bar where somebody watches, else a line at each new stage and each quarter of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUARTERS = 4


@contextmanager
def stages() -> Iterator[Callable[[str, float], None]]:
    """A function that takes what is being done and the share of it that is done. All goes to standard error."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from .consoles import open_console

    console = open_console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)


class _Lines:
    """Writes a line when the stage changes, and then at each quarter."""

    def __init__(self) -> None:
        self._last = ("", -1)

    def __call__(self, what: str, share: float) -> None:
        here = (what, int(QUARTERS * share))
        if here != self._last and share < 1:
            print(f"{what}: {share:.0%}" if share else what, file=sys.stderr, flush=True)
        self._last = here
