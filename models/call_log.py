"""The call log: one JSON line for each model call, readable after any crash, enough to replay a run."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage

Messages = tuple[tuple[str, str], ...]  # (system | human | ai, text)


@dataclass(frozen=True)
class Call:
    """One call of a model: what was asked, what came back, what it cost."""

    time: str  # UTC, ISO 8601
    role: str
    model: str
    messages: Messages
    schema: Mapping[str, Any] | None = None
    decoding: Mapping[str, Any] = field(default_factory=dict)
    scored: bool = False  # whether log-probabilities were asked for
    content: str = ""
    logprobs: list[dict[str, Any]] | None = None  # OpenAI's `logprobs.content`
    finish: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0  # tokens of the prompt that the server had at hand
    seconds: float = 0.0
    error: str = ""  # the class of the error, as in `models.errors`
    message: str = ""  # and its text
    trial: int | None = None  # the trial it was asked for

    @property
    def key(self) -> str:
        """What a replay recognises the call by."""
        return call_key(self.messages, self.schema, self.scored)


_FIELDS = {f.name for f in fields(Call)}


def call_key(messages: Messages, schema: Mapping[str, Any] | None, scored: bool) -> str:
    """A hash of what was asked. Decoding and time limits stay out: they do not change which answer is wanted."""
    asked = json.dumps([[list(m) for m in messages], schema, scored], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()


def plain(messages: Iterable[BaseMessage]) -> Messages:
    """LangChain's messages as pairs of kind and text."""
    return tuple((message.type, str(message.text)) for message in messages)


class CallLog:
    """An append-only `calls.jsonl`. Each call is one write of one line, so a kill can lose only the last line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._mended = False

    def append(self, call: Call) -> None:
        """Write one call, and have it on its way to the disk before returning."""
        line = json.dumps(asdict(call), ensure_ascii=False, default=str) + "\n"
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._mended:
                line, self._mended = self._after_a_half_line() + line, True
            with self.path.open("ab") as file:
                file.write(line.encode(errors="backslashreplace"))  # JSON's own way to write half a character

    def __iter__(self) -> Iterator[Call]:
        """The calls in order. A half line, left by a kill, is passed over."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                if call := _parse(line):
                    yield call

    def _after_a_half_line(self) -> str:
        if not self.path.exists() or self.path.stat().st_size == 0:
            return ""
        with self.path.open("rb") as file:
            file.seek(-1, 2)
            return "" if file.read() == b"\n" else "\n"


def _parse(line: bytes) -> Call | None:
    try:
        data = json.loads(line)
        # A later version may add keys; a log outlives the version that wrote it.
        known = {key: value for key, value in data.items() if key in _FIELDS}
        return Call(**{**known, "messages": tuple((kind, text) for kind, text in data["messages"])})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
