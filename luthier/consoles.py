"""The one place where consoles are made."""

from __future__ import annotations

import io
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from .words import printable


class _Console(Console):
    """Prints no control character of a log, a model or a server: a terminal must not obey them."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def open_console(*, stderr: bool = False) -> Console:
    """A console that prints words as they are: rich would make an emoji of `:x:` in the name of a model or a file."""
    return _Console(stderr=stderr, emoji=False)


def forgive_encodings() -> None:
    """Print `?` for what a terminal's or a file's encoding has no letter for: curves are drawn in few of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
