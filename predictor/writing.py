"""Writes files of lines whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, cast


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object a line, gzipped where the name ends in `.gz`; makes the folder.

    A kill or a full disk leaves what was there before.

    Returns:
        How many lines.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as raw:
            count = _write(raw, lines, compress=path.suffix == ".gz")
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return count


def _write(raw: IO[bytes], lines: Iterable[Mapping[str, Any]], *, compress: bool) -> int:
    file = cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="wb", mtime=0)) if compress else raw
    count = 0
    for line in lines:
        # A text with half a character cannot be written; the embedder would not see it either.
        file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        count += 1
    if compress:
        file.close()
    return count
