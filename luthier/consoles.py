"""The one place where consoles are made."""

from __future__ import annotations

from rich.console import Console


def open_console(*, stderr: bool = False) -> Console:
    """A console that prints words as they are: rich would make an emoji of `:x:` in the name of a model or a file."""
    return Console(stderr=stderr, emoji=False)
