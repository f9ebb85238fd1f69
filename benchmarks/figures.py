"""The figures of a benchmark: one number of one method with its interval, and the list that `--json` writes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stats import Interval

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Figure:
    """One number of one method with its 95 % interval; the benchmark says over what."""

    suite: str
    method: str
    metric: str
    value: float
    low: float
    high: float

    @property
    def shown(self) -> str:
        """Value and interval."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def figure(suite: str, method: str, metric: str, interval: Interval) -> Figure:
    """A figure from an interval."""
    return Figure(suite, method, metric, interval.mean, interval.low, interval.high)


def write(path: Path, found: Iterable[DataclassInstance]) -> None:
    """The list that other programs read: one record a line, of figures or of runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(json.dumps(asdict(one)) for one in found) + "\n]\n")
