"""`luthier doctor`."""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.table import Column, Table

from .consoles import open_console
from .doctor import Check, examine
from .words import strict_json


def print_report(as_json: bool) -> None:
    """Print every check; exit code 1 when something that Luthier needs is missing."""
    checks = examine()
    if as_json:
        print(strict_json([check.as_dict() for check in checks]))
    else:
        open_console().print(_table(checks))
    if any(check.ok is False for check in checks):
        raise typer.Exit(1)


def _table(checks: list[Check]) -> Table:
    # A long path is told whole: it is to be looked up.
    table = Table("", "what", Column("found", overflow="fold"), Column("to do", overflow="fold"), box=None)
    marks = {True: "[green]ok[/]", None: "[yellow]--[/]", False: "[red]no[/]"}
    for check in checks:
        table.add_row(marks[check.ok], check.name, escape(check.found), "" if check.ok else escape(check.remedy))
    return table
