"""A context as text within a budget of tokens, the least useful rows dropped first."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from .context import Comparison, Context, TrialRow

CHARACTERS_A_TOKEN = 3.0  # numbers and names split finer than prose; measured 3.1 on such texts with Qwen's tokenizer
MAX_EVIDENCE = 120  # characters of a log line or an evidence
MAX_LESSON = 240  # characters of what a past study taught
UNSAFE = re.compile(r"[^\x20-\x7e]+")  # what came out of a log stays on its line


def approx_tokens(text: str) -> int:
    """A count that errs on the high side, for when no tokenizer is at hand."""
    return math.ceil(len(text) / CHARACTERS_A_TOKEN)


@dataclass(frozen=True)
class _Line:
    order: int  # where it stands in the text
    worth: int  # the lowest is dropped first
    text: str


def render(context: Context, tokens: int = 600, count: Callable[[str], int] = approx_tokens) -> str:
    """The context in at most `tokens` tokens by `count`; "" when not even the first line fits."""
    kept = _lines(context)
    while kept:
        text = "\n".join(line.text for line in sorted(kept, key=lambda line: line.order))
        if count(text) <= tokens:
            return text
        kept.remove(min(kept, key=lambda line: (line.worth, -line.order)))
    return ""


def _lines(c: Context) -> list[_Line]:
    """Every line with its worth; 100 is the last to go."""
    better = "higher" if c.direction == "maximize" else "lower"
    left = ", ".join(f"{value:.4g} {name}" for name, value in c.budget.items())
    found = [
        (100, f"Goal: {c.metric}, {better} is better. {c.finished} trials done." + (f" Left: {left}." if left else ""))
    ]
    if c.best is not None:
        found.append((99, f"Best is {_row(c.best)}"))
    if c.default is not None and (c.best is None or c.default.number != c.best.number):
        found.append((80, f"Default is {_row(c.default)}"))
    if c.latest is not None and (c.best is None or c.latest.number != c.best.number):
        found.append((90, f"Latest is {_row(c.latest)}"))
    found += [(85 - i, f"Against {name}: {_comparison(x)}") for i, (name, x) in enumerate(_comparisons(c))]
    found += [(75 - i, f"Effect: {e.text}.") for i, e in enumerate(e for e in c.effects if e.certain)]
    unknown = [e.name for e in c.effects if not e.certain]
    if unknown:
        found.append((40, f"Effect unknown: {', '.join(unknown)}."))
    found += [(60 - i, f"Avoid: {_safe(text)}") for i, text in enumerate(dict.fromkeys(reversed(c.avoid)))]
    found += [(55 - i, f"From past studies: {_safe(text, MAX_LESSON)}") for i, text in enumerate(c.recalled)]
    found.append((50, f"Noise: {c.noise.text}."))
    if c.unexplored:
        found.append((45, f"Unexplored: {'; '.join(c.unexplored)}."))
    shown = {r.number for r in (c.best, c.default, c.latest) if r is not None}
    found += [(30 - i, f"Also {_row(r)}") for i, r in enumerate(r for r in c.rows if r.number not in shown)]
    return [_Line(order, worth, text) for order, (worth, text) in enumerate(found)]


def _comparisons(c: Context) -> list[tuple[str, Comparison]]:
    pairs = [("the best before it", c.against_best), ("the one before", c.against_before)]
    found = [(name, x) for name, x in pairs if x is not None]
    return found[:1] if len(found) == 2 and found[0][1].against == found[1][1].against else found


def _comparison(x: Comparison) -> str:
    return f"{x.text}; changed {', '.join(x.changes) or 'nothing'}."


def _row(row: TrialRow) -> str:
    config = " ".join(f"{n}={v:.3g}" if isinstance(v, float) else f"{n}={v}" for n, v in row.config.items())
    value = "no value" if row.value is None else f"{row.value:.5g}"
    return f"trial {row.number}: {value} ({config}); {row.verdict}: {_safe(row.evidence)}"


def _safe(text: str, limit: int = MAX_EVIDENCE) -> str:
    return UNSAFE.sub(" ", text)[:limit]
