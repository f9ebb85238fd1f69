"""LangGraph's items as notes and back, and the conditions of its searches. Pure: no store.

An item is a conversation note: its content is the value as JSON, its study the namespace, its first keyword the key.
Its id follows from both, so that a note tells whether it is an item, whatever was made of its words since.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from langgraph.store.base import GetOp, InvalidNamespaceError, ListNamespacesOp, MatchCondition, Op, PutOp, SearchOp

from .errors import Refused
from .note import MAX_CONTENT, Author, Kind, Note, clean

Namespace = tuple[str, ...]

ITEMS = Kind.CONVERSATION
LANGGRAPH = Author(by="code", name="langgraph")
STUDY = "langgraph:"  # before the namespace; labels have no dots, so that dots can be between them
UNINDEXED = "unindexed"  # tag of an item that no query may find
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def note_of(op: PutOp) -> Note:
    """The note of an item that is put.

    Raises:
        Refused: the value is no JSON, or too long for a note.
    """
    try:
        content = json.dumps(dict(op.value or {}), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(
            f"an item's value must be JSON, but that of {op.key!r} is not: {error}; put plain values"
        ) from None
    if len(content) > MAX_CONTENT:
        raise Refused(
            f"an item's value must be at most {MAX_CONTENT:,} characters of JSON, but that of {op.key!r} "
            f"has {len(content):,}; put a summary, or several items"
        )
    return Note(
        id=id_of(op.namespace, op.key),
        kind=ITEMS,
        content=content,
        keywords=(op.key,),
        tags=(UNINDEXED,) if op.index is False else (),
        study=STUDY + ".".join(op.namespace),
        recalled=True,  # nobody can tell what a graph writes from what it has recalled, so nothing of it is evidence
        author=LANGGRAPH,
    )


def id_of(namespace: Sequence[str], key: str) -> str:
    """The id of the one note of an item."""
    told = json.dumps(clean([*namespace, key]))
    return f"{ITEMS}-{hashlib.sha256(told.encode()).hexdigest()[:40]}"


def namespace_of(study: str) -> Namespace:
    """The namespace that a note's study stands for; () for none."""
    return tuple(study.removeprefix(STUDY).split(".")) if study.startswith(STUDY) else ()


def key_of(note: Note) -> str | None:
    """The key of the item that a revision shows; None where it shows none."""
    namespace = namespace_of(note.study)
    return next((word for word in note.keywords[:1] if namespace and id_of(namespace, word) == note.id), None)


def value_of(note: Note) -> dict[str, Any]:
    """The value of an item. Words that somebody else has put in its place are its `content`."""
    try:
        value = json.loads(note.content)
    except ValueError:
        value = note.content
    return value if isinstance(value, dict) else {"content": value}


def check_op(op: Op) -> None:
    """That an operation is one, and that the labels of its namespace can be told apart when they are stored.

    Raises:
        ValueError: it is none.
        InvalidNamespaceError: an item without a namespace, or a label that is empty or no text, or has a dot or a NUL.
    """
    if not isinstance(op, GetOp | PutOp | SearchOp | ListNamespacesOp):
        raise ValueError(f"an operation must be one of LangGraph's, but got {op!r}")
    if isinstance(op, GetOp | PutOp) and not op.namespace:
        raise InvalidNamespaceError(
            f"an item must have a namespace, but {op.key!r} has none; give it one label or more"
        )
    for label in _labels(op):
        if not isinstance(label, str) or not label or "." in label or "\0" in label:
            raise InvalidNamespaceError(
                f"a label of a namespace must be text without dots and NUL, but got {label!r}; choose another one"
            )


def within(namespace: Namespace, prefix: Sequence[str]) -> bool:
    """Whether a namespace is the prefix or below it."""
    return namespace[: len(prefix)] == tuple(prefix)


def matches(namespace: Namespace, conditions: Iterable[MatchCondition]) -> bool:
    """Whether a namespace meets all conditions; `*` stands for any one label.

    Raises:
        ValueError: an unknown type of condition.
    """
    return all(_meets(namespace, condition) for condition in conditions)


def passes(value: Mapping[str, Any], conditions: Mapping[str, Any] | None) -> bool:
    """Whether a value meets the conditions of a search, each on one field.

    Raises:
        ValueError: an unknown operator.
    """
    return all(_holds(value.get(name), wanted) for name, wanted in (conditions or {}).items())


def _labels(op: Op) -> Sequence[object]:
    if isinstance(op, SearchOp):
        return op.namespace_prefix
    if isinstance(op, ListNamespacesOp):
        return [label for condition in op.match_conditions or () for label in condition.path]
    return op.namespace


def _meets(namespace: Namespace, condition: MatchCondition) -> bool:
    kind, path = condition
    if kind not in ("prefix", "suffix"):
        raise ValueError(f"a condition on namespaces must be `prefix` or `suffix`, but got {kind!r}")
    if len(path) > len(namespace):
        return False
    part = namespace[: len(path)] if kind == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for label, wanted in zip(part, path, strict=True))


def _holds(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if any(str(name).startswith("$") for name in wanted):
            return all(_compares(value, name, than) for name, than in wanted.items())
        return isinstance(value, dict) and passes(value, wanted)
    if isinstance(wanted, list | tuple):
        equal = isinstance(value, list) and len(value) == len(wanted)
        return equal and all(_holds(one, other) for one, other in zip(value, wanted, strict=True))
    return bool(value == wanted)


def _compares(value: Any, name: str, than: Any) -> bool:
    if name in ("$eq", "$ne"):
        return (value == than) is (name == "$eq")
    if name not in _ORDER:
        known = ", ".join(("$eq", "$ne", *_ORDER))
        raise ValueError(f"an operator of a filter must be one of {known}, but got {name!r}")
    # Only numbers among themselves and texts among themselves have an order; a field that is not there has none.
    alike = all(isinstance(one, int | float) for one in (value, than)) or all(
        isinstance(one, str) for one in (value, than)
    )
    return alike and _ORDER[name](value, than)
