"""The account of turns as a page: who got them, what came of it, and whose candidates ran."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .predictor.gain import NO_MODEL
from .trust import Chooser, Row, Trust
from .words import duration

UNIT = "Gain a turn: improvement above the noise, in spreads (interquartile ranges) of the values before it; else 0."
GAIN = "gain, 95 %"
CHOSEN = {"model": "a model", "chance": "lot", "order": "order"}  # by whom a candidate was picked, as a heading says


def print_trust(trust: Trust, console: Console) -> None:
    """Print the account of a study or of several."""
    if not trust.turns:
        console.print("No turns to judge yet: a trial counts once there is a value to beat.", highlight=False)
        return
    console.print(_head(trust), highlight=False, soft_wrap=True)
    console.print(_choosers(trust))
    for line in _sentences(trust):
        console.print(line, highlight=False)
    console.print()
    console.print(_makers(trust))
    console.print(UNIT, style="dim", highlight=False)


def _head(trust: Trust) -> str:
    studies = "" if len(trust.studies) == 1 else f" of {len(trust.studies)} studies"
    drawn = f"{trust.drawn} of them drawn" if trust.drawn else "none of them drawn"
    return f"[bold]Who got the turns[/]: {trust.turns}{studies}, {drawn}"


def _choosers(trust: Trust) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("workflow", overflow="fold")
    for heading in ("turns", "share", "wins", GAIN, "training", "model"):
        table.add_column(heading, justify="left" if heading == GAIN else "right", no_wrap=heading != GAIN)
    for chooser in trust.choosers:
        asks = chooser.model != NO_MODEL
        if asks:
            table.add_row(*_cells(chooser.pooled, escape(chooser.model)), style="bold")
        for row in chooser.workflows:
            table.add_row(*_cells(row, ("  " if asks else "") + escape(row.name)))
    return table


def _cells(row: Row, name: str) -> list[str]:
    spent = duration(row.model_seconds) if row.model_seconds else "-"
    return [name, str(row.turns), f"{row.share:.0%}", str(row.wins), _gain(row), duration(row.seconds), spent]


def _gain(row: Row) -> str:
    if row.gain is None:
        return "-"
    ends = "too few" if row.low is None or row.high is None else f"\\[{row.low:.2f}, {row.high:.2f}]"
    return f"{row.gain:.2f} {ends}" + ("" if row.drawn else "*")


def _sentences(trust: Trust) -> Iterator[str]:
    """What a model's choosing is worth, and what the figures cannot say."""
    for chooser in trust.choosers:
        if chooser.model != NO_MODEL:
            yield _against_chance(chooser)
            if chooser.decided < chooser.pooled.turns:
                yield (
                    f"In {chooser.pooled.turns - chooser.decided} of {chooser.pooled.turns} turns of "
                    f"{escape(chooser.model)} the advisors decided: it had no choice, failed or was overruled."
                )
    if any(not row.drawn for chooser in trust.choosers for row in (chooser.pooled, *chooser.workflows)):
        yield "* Given by a rule, not drawn: a plain mean that was never compared on equal terms."


def _against_chance(chooser: Chooser) -> str:
    found, n = chooser.against_chance, chooser.chance_turns
    turns = f"{n} {'turn' if n == 1 else 'turns'} of a random chooser"
    head = f"Choosing by {escape(chooser.model)} against {turns}: "
    if found.low is None or found.high is None or found.value is None:
        return head + found.verdict + "."
    return head + f"{found.value:+.2f} a turn \\[{found.low:+.2f}, {found.high:+.2f}], {found.verdict}."


def _makers(trust: Trust) -> Table:
    table = Table(box=None, pad_edge=False, title="Whose candidates ran", title_justify="left", title_style="bold")
    table.add_column("made by", overflow="fold")
    for heading in ("ran", "wins", GAIN, *(f"by {who}" for who in CHOSEN.values())):
        table.add_column(heading, justify="left" if heading == GAIN else "right")
    for maker in trust.makers:
        row = maker.row
        picked = [str(maker.chosen.get(key, 0) or "-") for key in CHOSEN]
        table.add_row(escape(row.name), str(row.turns), str(row.wins), _gain(row).rstrip("*"), *picked)
    return table
