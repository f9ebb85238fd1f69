"""`luthier init`."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.syntax import Syntax

from .consoles import open_console
from .trials.draft import draft
from .trials.errors import SpecError


def write_draft(script: Path, out: Path, force: bool) -> None:
    """Write the drafted study file and say what to look at.

    Raises:
        SpecError: when `out` exists and `force` is off, or the script cannot be read.
    """
    if out.exists() and not force:
        raise SpecError(f"{out} must not exist yet, but it does; choose another --out, or pass --force")
    drafted = draft(script, out.resolve().parent)
    out.write_text(drafted.yaml, encoding="utf-8")
    console = open_console()
    console.print(f"Wrote {escape(str(out))}:", highlight=False)
    console.print(Syntax(drafted.yaml, "yaml", background_color="default"))
    if drafted.doubts:
        console.print("Please check, since I was not sure:")
        for doubt in drafted.doubts:
            console.print(f"  - {escape(doubt)}", highlight=False)
    console.print(f"Then: [bold]luthier tune {escape(str(out))}[/]", highlight=False)
