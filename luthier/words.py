"""Numbers and configurations in the few characters a terminal has."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

BARS = "▁▂▃▄▅▆▇█"


def number(value: float | None) -> str:
    """A metric's value to 4 significant digits; a dash when there is none."""
    return "-" if value is None else f"{value:.4g}"


def config(values: Mapping[str, object]) -> str:
    """`lr=0.001 units=64 optimizer=adam`."""
    return " ".join(f"{name}={number(v) if isinstance(v, float) else v}" for name, v in values.items())


def printable(text: str) -> str:
    """Without control characters: it may be a model's, a server's or a log's, and a terminal must not obey it."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Zl", "Zp") else " " for c in text)


def strict_json(value: object) -> str:
    """JSON for programs. A number that is not finite is null: JSON knows none, and most readers refuse it."""
    return json.dumps(_known(value), indent=2, allow_nan=False)


def difference(values: Mapping[str, object], base: Mapping[str, object]) -> str:
    """What `values` changes against `base`: `lr 0.001→0.01`; the whole configuration where nothing is shared."""
    changed = {name: v for name, v in values.items() if base.get(name) != v}
    if not changed:
        return "the default"
    return ", ".join(f"{name} {_plain(base.get(name))}→{_plain(v)}" for name, v in changed.items())


def duration(seconds: float) -> str:
    """`42s`, `3m05s`, `2h10m`."""
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def sparkline(values: Sequence[float], width: int = 20) -> str:
    """A curve in `width` characters; what is not finite shows as `×`."""
    shown = list(_thin(values, width))
    finite = [v for v in shown if math.isfinite(v)]
    if not finite:
        return "×" * len(shown)
    low, high = min(finite), max(finite)
    return "".join(_bar(v, low, high) if math.isfinite(v) else "×" for v in shown)


def _bar(value: float, low: float, high: float) -> str:
    # Halves, since the difference of two huge values is infinite.
    share = 0.5 if high == low else (value / 2 - low / 2) / (high / 2 - low / 2 or 1.0)
    return BARS[min(int(share * len(BARS)), len(BARS) - 1)]


def _thin(values: Sequence[float], width: int) -> Iterable[float]:
    if len(values) <= width:
        return values
    return (values[round(i * (len(values) - 1) / (width - 1))] for i in range(width))


def _known(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _known(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_known(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: object) -> str:
    return "off" if value is None else number(value) if isinstance(value, float) else str(value)
