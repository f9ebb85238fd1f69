"""What the predictor's commands print: reports of an evaluation, estimates, and the parts of a logit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .predictor.card import Figure, in_words
from .predictor.splits import QUESTIONS

if TYPE_CHECKING:
    from .predictor.explain import Part, Step
    from .predictor_ask import Answer
    from .predictor_probes import Probe

BAR = 12  # characters to each side
FULL = 3.0  # logits of a whole bar; larger ones end there
WORDS = 32  # characters shown of a step, so that a terminal of 80 columns holds the table


def print_report(figures: Sequence[Figure], left_out: dict[str, str], console: Console) -> None:
    """A table a split, and what the difference to the best baseline says."""
    for split in dict.fromkeys(figure.split for figure in figures):
        inside = [figure for figure in figures if figure.split == split]
        console.print(f"\n[bold]{split}[/]: {QUESTIONS[split]}", highlight=False)
        console.print(_table(inside), highlight=False)
        if any(" - " in figure.model for figure in inside):
            console.print(verdict(inside), highlight=False, soft_wrap=True)
    for split, why in left_out.items():
        console.print(f"\n[bold]{split}[/] cannot be evaluated: {escape(why)}", highlight=False)


def _table(figures: Sequence[Figure]) -> Table:
    """Intervals of the first metric alone, so that a terminal of 80 columns holds the table; the card has all."""
    metrics = list(dict.fromkeys(figure.metric for figure in figures))
    cells = {(f.model, f.metric): in_words(f, interval=f.metric == metrics[0]) for f in figures}
    table = Table("model", box=None)
    for metric in metrics:
        table.add_column(metric, no_wrap=metric == metrics[0])
    for model in dict.fromkeys(figure.model for figure in figures if " - " not in figure.model):
        table.add_row(model, *(cells.get((model, metric), "") for metric in metrics))
    return table


def verdict(figures: Sequence[Figure]) -> str:
    """One sentence: whether ours is better than the best baseline by AUC, worse, or not to be told apart."""
    gap = next((f for f in figures if " - " in f.model and f.metric == "AUC"), None)
    if gap is None or gap.value is None or gap.low is None or gap.high is None:
        return "too few outcomes to tell how good it is"
    other = gap.model.partition(" - ")[2]
    points = f"{100 * gap.value:+.1f} points of AUC ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    if gap.low > 0:
        return f"better than {other}, the best baseline: {points}"
    if gap.high < 0:
        return f"worse than {other}, the best baseline: {points}"
    return f"not to be told from {other}, the best baseline: {points}"


def print_answers(answers: Sequence[Answer], console: Console) -> None:
    """One pair as a sentence, several as a table."""
    if len(answers) == 1:
        console.print(answers[0].sentence(), highlight=False, markup=False, soft_wrap=True)
        return
    table = Table("workflow", "task", "success", "95 % interval", "", box=None)
    for one in answers:
        interval = f"{one.low:.0%} to {one.high:.0%}"
        shown = [one.workflow, one.task, f"{one.probability:.0%}", interval, "abstains" if one.abstains else ""]
        table.add_row(*map(escape, shown))
    console.print(table)
    for why in dict.fromkeys(one.why for one in answers if one.abstains):
        console.print(f"abstains: {why}", highlight=False, markup=False, soft_wrap=True)


def probes_table(probes: Sequence[Probe]) -> Table:
    """Which tasks to run, the best first."""
    table = Table("task", "says", "success", "worth", box=None)
    for one in probes:
        table.add_row(escape(one.task), escape(one.words), f"{one.probability:.0%}", f"{one.worth:.3f}")
    return table


def parts_table(parts: Sequence[Part]) -> Table:
    """The summands of the logit with bars; their sum last."""
    table = Table("part", "by", "logit", "deviation", box=None)
    table.add_column(f"{'against':>{BAR}} {'for success':<{BAR}}", no_wrap=True)
    for part in parts:
        note = "" if part.known else " [dim](unseen)[/]"
        shown = [f"{part.value:+.2f}", f"{part.deviation:.2f}", bar(part.value)]
        table.add_row(part.of, escape(part.by) + note, *shown)
    total = sum(part.value for part in parts)
    table.add_row("[bold]sum[/]", "", f"{total:+.2f}", "", bar(total))
    return table


def steps_table(steps: Sequence[Step]) -> Table:
    """What each step adds, with bars."""
    table = Table("step", "operator", "says", "adds", box=None)
    table.add_column("", no_wrap=True)
    for step in steps:
        words = " ".join(step.words.split())
        shown = words if len(words) <= WORDS else words[: WORDS - 3] + "..."
        gain = ("", "") if step.gain is None else (f"{step.gain:+.2f}", bar(step.gain))
        table.add_row(str(step.node), escape(step.operator), escape(shown), *gain)
    return table


def bar(value: float) -> str:
    """A bar from the middle: to the right for success, to the left against it."""
    length = min(BAR, round(BAR * abs(value) / FULL))
    left = "" if value >= 0 else "█" * length
    right = "█" * length if value >= 0 else ""
    return f"{left:>{BAR}}│{right:<{BAR}}"
