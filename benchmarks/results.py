"""Results on disk: a cache of JSON lines that makes a run resumable."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

Key = tuple[str, str, int, str, str]


@dataclass(frozen=True)
class Result:
    """One run of one method on one task: the regret of the best so far after each trial, or after each epoch where
    epochs are the budget."""

    suite: str
    task: str
    seed: int
    method: str
    default: str
    regret: list[float]

    @property
    def key(self) -> Key:
        """What makes it the same run."""
        return self.suite, self.task, self.seed, self.method, self.default

    def first(self, trials: int) -> Result:
        """The same run stopped earlier; no method here knows how many trials it has."""
        return Result(self.suite, self.task, self.seed, self.method, self.default, self.regret[:trials])


class Cache:
    """Finished runs as JSON lines beside the result file. A half-written last line of a killed run is passed over."""

    def __init__(self, path: Path, redo: Collection[str] = ()) -> None:
        self._path = path
        self._found: dict[Key, Result] = {}
        for result in read(path):
            if result.method not in redo:
                self._found[result.key] = result

    def get(self, key: Key, trials: int) -> Result | None:
        """A run with at least so many trials."""
        result = self._found.get(key)
        return result.first(trials) if result is not None and len(result.regret) >= trials else None

    def add(self, result: Result, file: TextIO) -> None:
        """Keep a run, in memory and at the end of the file."""
        self._found[result.key] = result
        file.write(json.dumps(asdict(result)) + "\n")
        file.flush()

    def open(self) -> TextIO:
        """The file to add to; its last line is ended first."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a")
        if self._path.stat().st_size and not self._path.read_text().endswith("\n"):
            file.write("\n")
        return file


def read(path: Path) -> list[Result]:
    """The runs of a cache, oldest first; none where there is no file."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(Result(**json.loads(line)))
        except (json.JSONDecodeError, TypeError):
            continue  # the process was killed while it wrote this line: the run is simply done again
    return found
