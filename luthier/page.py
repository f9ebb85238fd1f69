"""The summary as a page for people."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from .confirm import Comparison, Confirmation
from .savings import short_lines
from .summary import Summary
from .trial_table import TrialTable
from .trials.study import Study
from .words import config, duration, number


def print_summary(summary: Summary, study: Study, picture: Path | None, console: Console) -> None:
    """Print the trials, then what they amount to."""
    console.print()
    console.print(TrialTable(study))
    console.print()
    for line in summary_lines(summary):
        console.print(line, highlight=False)
    if picture is not None:
        console.print(f"Picture: {escape(str(picture))}", highlight=False)


def summary_lines(summary: Summary) -> list[str]:
    """What the study found, in sentences (rich markup)."""
    lines = [_best_line(summary), *_gain_lines(summary)]
    if summary.confirmation is not None:
        lines += confirmation_lines(summary.confirmation, summary.best_trial)
    lines.append(_mattered_line(summary))
    lines += [f"Failed: trial {f['trial']} ({f['cause']}) at {escape(config(f['config']))}" for f in summary.failures]
    if summary.savings is not None:
        lines += short_lines(summary.savings)
    spent = f"{summary.trials} trials, {duration(summary.training_seconds)} of training"
    model = f"{summary.model}: {summary.tokens:,} tokens, {duration(summary.model_seconds)}"
    lines.append(
        f"Spent: {spent}; model {escape(model)}." + (f" Stopped by: {summary.stopped}." if summary.stopped else "")
    )
    return lines


def _best_line(summary: Summary) -> str:
    if not summary.trials:
        return "[bold]No trial has ended yet.[/]"
    if summary.best_trial is None:
        return "[bold]No trial gave a value.[/] Look at a log: luthier show " + escape(summary.name) + " --trial 0"
    found = f"trial {summary.best_trial}, {summary.metric} {number(summary.best_value)}"
    return f"[bold green]Best: {escape(found)}[/]  {escape(config(summary.best_config))}"


def _gain_lines(summary: Summary) -> list[str]:
    if not summary.trials:
        return []
    if summary.gain is None:
        return ["Gain over the default: unknown, since one of them has no value."]
    if summary.best_trial == 0:
        return ["Gain over the default: none; no trial was better than the default."]
    if summary.noise is None:
        return [f"Gain over the default: {summary.gain:+.4g} (the noise was not measured)."]
    if summary.noise == 0:
        return [f"Gain over the default: {summary.gain:+.4g}; the script gives equal values for equal settings."]
    rough = ", a rough figure" if summary.noise_runs < 4 else ""
    against = f"noise {summary.noise:.2g} from {summary.noise_runs} runs of trial 0{rough}"
    above = "above" if summary.gain > 2 * summary.noise else "not clearly above"
    return [f"Gain over the default: {summary.gain:+.4g}, {above} the noise ({against})."]


def confirmation_lines(confirmation: Confirmation, best: int | None) -> list[str]:
    """Best, or next best, against default on fresh seeds, one line a metric; a tie is called a tie."""
    if not confirmation.comparisons:
        return ["On fresh seeds: every pair of runs failed, so nothing is confirmed."]
    failed = f" ({confirmation.failed} runs failed)" if confirmation.failed else ""
    who = "best" if confirmation.trial == best else f"trial {confirmation.trial}, the next best,"
    head = f"On {len(confirmation.seeds)} fresh seeds, {who} against default{failed}:"
    return [head, *(f"  {_comparison_line(c)}" for c in confirmation.comparisons)]


def _comparison_line(c: Comparison) -> str:
    words = {"better": "[green]better[/]", "worse": "[red]worse[/]", "tie": "[yellow]a tie[/]"}
    challenger, default = sum(c.challenger) / len(c.challenger), sum(c.default) / len(c.default)
    bounds = f"gain {c.gain:+.4g}, 95 % interval {c.low:+.4g} to {c.high:+.4g}"
    return f"{escape(c.metric)}: {number(challenger)} against {number(default)}; {bounds}: {words[c.verdict]}"


def _mattered_line(summary: Summary) -> str:
    if not summary.mattered:
        return "What mattered: unknown, too few trials to tell any hyperparameter's effect from noise."
    return "What mattered: " + "; ".join(escape(str(effect["text"])) for effect in summary.mattered) + "."
