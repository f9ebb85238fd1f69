"""Lines of a log, plain or gzipped, and what was passed over among them.

One bad line costs that line: it is named with its file and number, counted, and the rest is kept.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from .errors import LogFault

MAX_LINE = 16 << 20  # bytes: a thousand steps with prompts of 16 kB; a longer line is no workflow
SHOWN = 20  # faults kept in words; the others are only counted
_Row = TypeVar("_Row", bound=BaseModel)

OnProgress = Callable[[int, int], None]  # bytes read, bytes in all


@dataclass
class Faults:
    """What was passed over while reading: faults, the first in words and all counted, and what was left out rightly.

    Args:
        strict: raise at the first fault instead, and keep nothing.
    """

    strict: bool = False
    shown: list[str] = field(default_factory=list)
    count: int = 0
    left: Counter[str] = field(default_factory=Counter)  # by reason; no faults

    def add(self, place: str, what: object) -> None:
        """Note one fault. Raises LogFault when strict."""
        if self.strict:
            raise LogFault(f"{place}: {what}")
        self.count += 1
        if len(self.shown) < SHOWN:
            self.shown.append(f"{place}: {what}")


def at(path: Path, line: int) -> str:
    """How a place in a file is named."""
    return f"{path}, line {line}"


def read_lines(path: Path, faults: Faults, on_progress: OnProgress | None = None) -> Iterator[tuple[int, str]]:
    """The lines of a file that are text and not blank, with their numbers from 1.

    Raises:
        LogFault: the file cannot be opened.
    """
    size, number = _size(path), 0
    with path.open("rb") as raw:
        file = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
        try:
            while line := file.readline(MAX_LINE):
                number += 1
                if len(line) == MAX_LINE and not line.endswith(b"\n"):
                    _skip_line(file)
                    faults.add(at(path, number), f"a line may have at most {MAX_LINE >> 20} MiB; split or drop it")
                    continue
                if text := _text(line, path, number, faults):
                    yield number, text
                if on_progress is not None and number % 500 == 0:
                    on_progress(raw.tell(), size)
        except (EOFError, zlib.error, OSError) as error:
            what = f"the file ends or breaks here ({error}); fetch or pack it again"
            faults.add(f"{path}, after line {number}", what)
    if on_progress is not None:
        on_progress(size, size)


def read_rows(
    path: Path, model: type[_Row], faults: Faults, on_progress: OnProgress | None = None
) -> Iterator[tuple[int, _Row]]:
    """The lines of a file that hold JSON of this shape, with their numbers."""
    for number, text in read_lines(path, faults, on_progress):
        try:
            yield number, model.model_validate(parsed(text))
        except (LogFault, ValidationError) as error:
            faults.add(at(path, number), in_words(error))


def parsed(text: str) -> dict[str, Any]:
    """The object that a line of JSON holds. Raises LogFault when it holds none."""
    try:
        found = json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise LogFault(f"a line must be one JSON object, but {error}; mend or drop it") from error
    if not isinstance(found, dict):
        raise LogFault(f"a line must be one JSON object, but this is {type(found).__name__}; mend or drop it")
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError where a key comes twice, of which `dict` would drop the first silently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} comes twice")
    return found


def in_words(error: Exception) -> str:
    """An error as one sentence: what pydantic found first, or the message itself."""
    if not isinstance(error, ValidationError):
        return str(error)
    first, *others = error.errors(include_url=False, include_context=False)
    name = ".".join(map(str, first["loc"]))
    more = f" (and {len(others)} more)" if others else ""
    given = repr(first["input"])
    return f"{name!r}: {first['msg'].lower()}, but got {given if len(given) < 60 else given[:57] + '...'}{more}"


def _size(path: Path) -> int:
    """Bytes of a file that can be read."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size
    except OSError as error:
        raise LogFault(f"{path}: a log must be a file that can be read, but: {error.strerror}; check it") from error


def _skip_line(file: IO[bytes]) -> None:
    while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
        pass


def _text(line: bytes, path: Path, number: int, faults: Faults) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
    except UnicodeDecodeError as error:
        faults.add(at(path, number), f"a log must be UTF-8 text, but {error}; save it as UTF-8")
        return ""
