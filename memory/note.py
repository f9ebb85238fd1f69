"""Notes, links and evidence: the atoms of the memory, frozen records free of storage.

A note as in A-MEM (Xu et al. 2025, arXiv 2502.12110, section 3.1): content, keywords, tags, context, an embedding and
links. Unlike there, nothing that is written is lost: a change is a new revision, and evidence is computed by code.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ..trials.records import Direction, Value

MAX_CONTENT = 20_000  # characters of a note: the tail of a log, a page of a conversation; never a whole log
MAX_TASK = 1_000_000  # characters of a task's note, which holds its space: a choice of some 10,000 paths
MAX_WORDS = 20  # keywords or tags of a note
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # no UTF-8 text holds a lone surrogate, and SQL cuts text at NUL


def clean(value: Any) -> Any:
    """NUL and lone surrogates replaced by U+FFFD, in a string or in all strings that a container holds."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value) if _UNSTORABLE.search(value) else value
    if isinstance(value, dict):
        return {clean(name): clean(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([clean(part) for part in value])
    return value


def in_utc(time: datetime) -> datetime:
    """The same moment in UTC; a time without a zone is taken for UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


Time = Annotated[datetime, AfterValidator(in_utc)]


class Kind(StrEnum):
    """What a note is about."""

    TRIAL = "trial"
    TASK = "task"
    LESSON = "lesson"
    FAILURE = "failure"
    CONVERSATION = "conversation"


class LinkType(StrEnum):
    """How two notes belong together. The first four are structure, the others meaning."""

    SAME_STUDY = "same study"
    NEXT_TRIAL = "next trial"
    SAME_TASK = "same task"
    SAME_SPACE = "same space"
    SIMILAR = "similar"
    SUPPORTS = "supports"
    REFUTES = "refutes"
    DERIVED = "derived"  # the source's text was written from the target's


class Standing(StrEnum):
    """What the trials say of a claim by now."""

    SUPPORTED = "supported"
    WEAKENED = "weakened"  # the interval of its effect has come to hold zero
    SUPERSEDED = "superseded"  # the trials now say the opposite


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        # The tail of a log may hold what no store keeps, and a record must be equal before and after it was kept.
        return clean(data)


class Author(_Frozen):
    """Who wrote a revision or a link."""

    by: Literal["code", "person", "model"]
    name: str = ""  # of the model or the part
    prompt: str = ""  # the hash of a model's prompt


CODE, PERSON = Author(by="code"), Author(by="person")


class Evidence(_Frozen):
    """What trials showed, computed by code; a language model cannot write it.

    The effect is a difference of the metric in its direction (above 0 is better), with its 95 % interval.
    """

    trials: tuple[str, ...]  # ids of trial notes
    metric: str = ""
    direction: Direction = Direction.MAXIMIZE
    best: float | None = None
    config: dict[str, Value] = {}
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    diagnosis: str = ""
    seconds: float = 0.0  # of training
    standing: Standing = Standing.SUPPORTED


class Note(_Frozen):
    """One revision of one note."""

    id: str = Field(pattern=r"^[a-z]+-[0-9a-z]{6,40}$")
    kind: Kind
    content: str
    keywords: tuple[str, ...] = Field(default=(), max_length=MAX_WORDS)
    tags: tuple[str, ...] = Field(default=(), max_length=MAX_WORDS)
    context: str = ""  # one sentence on what it belongs to
    evidence: Evidence | None = None
    task: str = ""  # id of the task note it belongs to; "" for none
    study: str = ""  # the name of the study it comes from
    recalled: bool = False  # written from recalled notes: it can never become evidence
    author: Author = CODE
    time: Time = Field(default_factory=lambda: datetime.now(UTC))
    revision: int = 0  # counts from 0

    @field_validator("content")
    @classmethod
    def _within(cls, content: str, info: ValidationInfo) -> str:
        most = MAX_TASK if info.data.get("kind") is Kind.TASK else MAX_CONTENT
        if len(content) > most:
            kind = info.data.get("kind", "note")
            rule = f"a {kind} must have at most {most:,} characters, not {len(content):,}"
            raise PydanticCustomError("string_too_long", "{rule}", {"rule": rule})
        return content

    @property
    def text(self) -> str:
        """What is embedded and searched: content, keywords, tags and context (A-MEM, equation 3)."""
        return "\n".join(
            part for part in (self.content, " ".join(self.keywords), " ".join(self.tags), self.context) if part
        )


class Link(_Frozen):
    """A typed, directed tie between two notes. Equal source, target and type are one link."""

    source: str
    target: str
    type: LinkType
    author: Author = CODE


class Proposal(_Frozen):
    """A change of a note's words, from whoever read `revision` of it. It has no field for evidence, on purpose."""

    note: str
    revision: int  # that the writer read; refused when the note has moved on
    author: Author
    content: str | None = Field(default=None, max_length=MAX_CONTENT)
    keywords: tuple[str, ...] | None = Field(default=None, max_length=MAX_WORDS)
    tags: tuple[str, ...] | None = Field(default=None, max_length=MAX_WORDS)
    context: str | None = None
    recalled: bool = False  # written from recalled notes; once true of a note, it stays true


class PastTrial(_Frozen):
    """A trial as a structured row: found by task, space and configuration, never by its words."""

    id: str  # of its note
    task: str  # id of the task note
    study: str
    number: int
    config: dict[str, Value]
    value: float | None = None  # of the task's metric, where stopped as expected; None where it failed
    state: str
    cause: str = ""  # of a failure
    detail: str = ""  # of a failure: the last lines of its log
    diagnosis: str = ""  # of a curve
    seconds: float = 0.0
    time: Time = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def stopped(self) -> bool:
        """Whether the trial was stopped early: its value was expected, and never measured."""
        return self.state == "pruned"


def fresh_id(kind: Kind) -> str:
    """An id that no other note has."""
    return f"{kind}-{secrets.token_hex(6)}"


def stable_id(kind: Kind, *parts: object) -> str:
    """The id of the one note about `parts`: writing the same thing twice writes it once."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
    return f"{kind}-{digest[:12]}"
