"""From what a script prints to the metrics that it reports. Pure: bytes in, reports out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import SpecError

MAX_LINE = 65_536  # bytes; a longer line is no metric line, and what follows its start is dropped
MAX_METRICS = 100  # names a line
MAX_NAME = 100  # characters
MAX_STEP = 2**53  # a step beyond it is no counter
STEP_KEYS = ("step", "global_step", "iteration", "epoch")  # in plain JSON lines, the first that is there counts
_OURS = '{"luthier"'
_LINE_END = re.compile(rb"[\r\n]")  # progress bars return without a new line


@dataclass(frozen=True)
class Report:
    """Metrics of one line; `step` is None where the line names none."""

    step: int | None
    metrics: Mapping[str, float]


class Parser:
    """Reads one stream, in pieces of any size.

    Three kinds of line are metrics: ours (`luthier.report`), wherever in a line it begins; a line that is a JSON
    object with numbers in it; and a line on which a pattern matches. NaN and infinities are numbers here.

    `patterns` maps a metric's name (or `step`) to a regular expression with one group.

    Raises:
        SpecError: when a pattern is no regular expression with one group.
    """

    def __init__(self, patterns: Mapping[str, str] | None = None) -> None:
        self._patterns = {name: _compile(name, text) for name, text in (patterns or {}).items()}
        self._rest = b""
        self._skipping = False  # inside a line that grew too long

    def feed(self, data: bytes) -> list[Report]:
        """The reports on all lines that `data` completes, in order."""
        *lines, rest = _LINE_END.split(self._rest + data)
        reports: list[Report] = []
        for line in lines:
            if not self._skipping:
                reports += self._line(line)
            self._skipping = False
        self._skipping |= len(rest) > MAX_LINE
        self._rest = b"" if self._skipping else rest
        return reports

    def finish(self) -> list[Report]:
        """The reports on a last line that has no end."""
        return self.feed(b"\n")

    def _line(self, line: bytes) -> list[Report]:
        if not line or len(line) > MAX_LINE:
            return []
        text = line.decode("utf-8", "replace").strip()
        report = _ours(text) or _plain(text) or self._matched(text)
        return [report] if report else []

    def _matched(self, text: str) -> Report | None:
        found = {name: _to_float(m[1]) for name, p in self._patterns.items() if (m := p.search(text))}
        return _report(found, ("step",))


def _compile(name: str, text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise SpecError(
            f"the pattern of {name!r} must be a regular expression, but {text!r} is not: {error}; "
            r"write it like `val loss: (\S+)`"
        ) from error
    if pattern.groups != 1:
        raise SpecError(
            f"the pattern of {name!r} must have one group, but {text!r} has {pattern.groups}; "
            "put ( ) around the number, and (?: ) around anything else"
        )
    return pattern


def _ours(text: str) -> Report | None:
    # A progress bar may stand before it on the same line.
    start = text.find(_OURS)
    if start < 0:
        return None
    values = _object(text[start:])
    version = values.pop("luthier", None)
    return _report(values, ("step",)) if isinstance(version, int) else None


def _plain(text: str) -> Report | None:
    if not (text.startswith("{") and text.endswith("}")):
        return None
    return _report(_object(text), STEP_KEYS)


def _object(text: str) -> dict[str, Any]:
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _report(values: Mapping[str, Any], step_keys: tuple[str, ...]) -> Report | None:
    steps = [values[key] for key in step_keys if _is_step(values.get(key))]
    names = [n for n, v in values.items() if _is_metric(n, v) and n not in step_keys][:MAX_METRICS]
    if not names:
        return None
    return Report(int(steps[0]) if steps else None, {name: _as_float(values[name]) for name in names})


def _is_step(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= MAX_STEP and value == int(value)


def _is_metric(name: str, value: Any) -> bool:
    return 0 < len(name) <= MAX_NAME and name.isprintable() and _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _to_float(text: str | None) -> float | None:
    try:
        return float((text or "").strip().rstrip("%,;"))
    except ValueError:
        return None
