"""The part of JSON Schema that agents use: reading an answer and checking it. Also for pydantic's own schemas."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel

from .errors import EmptyAnswer, NotJSON, OutOfRange

Schema = Mapping[str, Any]
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_SHOWN = 80  # characters of a wrong answer that a message quotes
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": lambda v: is_number(v),
    "integer": lambda v: is_number(v) and float(v).is_integer(),
}
_BOUNDS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "minimum": (lambda v, b: v >= b, "at least"),
    "maximum": (lambda v, b: v <= b, "at most"),
    "exclusiveMinimum": (lambda v, b: v > b, "above"),
    "exclusiveMaximum": (lambda v, b: v < b, "below"),
}


def read_json(text: str, schema: Schema) -> dict[str, Any]:
    """The JSON object in a model's answer, checked against `schema`.

    A fence around it and a thought before it are dropped, half characters are replaced; nothing else is repaired.

    Raises:
        EmptyAnswer, NotJSON, OutOfRange: with the offending text or value.
    """
    bare = _THOUGHT.sub("", text).strip()
    if not bare:
        raise EmptyAnswer("the model answered with no text; ask again, or use another model")
    if fenced := _FENCE.search(bare):
        bare = fenced.group(1).strip()
    try:
        value = _whole(json.loads(bare))
    except (ValueError, RecursionError) as error:
        raise NotJSON(f"the answer is no JSON ({error}): {text.strip()[:_SHOWN]!r}; ask again") from error
    if not isinstance(value, dict):
        raise NotJSON(f"the answer must be a JSON object, but is {text.strip()[:_SHOWN]!r}; ask again")
    if wrong := violation(value, schema):
        raise OutOfRange(f"the answer breaks its schema: {wrong}; ask again")
    return value


def violation(value: Any, schema: Schema, at: str = "answer", root: Schema | None = None) -> str | None:
    """What is wrong with a value, or None.

    Covers type, enum, const, bounds, properties, required, additionalProperties, items, their counts, lengths,
    anyOf, oneOf, allOf and references into `$defs`.
    """
    root = schema if root is None else root
    if "$ref" in schema:
        return violation(value, _resolve(schema["$ref"], root), at, root)
    for options in (schema.get("anyOf"), schema.get("oneOf")):
        if options is not None:
            wrongs = [violation(value, option, at, root) for option in options]
            if all(wrongs):
                return wrongs[0]
    for part in schema.get("allOf", ()):
        if wrong := violation(value, part, at, root):
            return wrong
    return _wrong_type(value, schema, at) or _wrong_value(value, schema, at) or _wrong_inside(value, schema, at, root)


def json_reader(schema: dict[str, Any] | type) -> tuple[dict[str, Any], RunnableLambda[AIMessage, Any]]:
    """(JSON schema, reader) of a schema or of a pydantic class; the reader turns a message into the value."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        made, shape = schema, schema.model_json_schema()
        return shape, RunnableLambda(lambda message: made.model_validate(read_json(str(message.text), shape)))
    if not isinstance(schema, dict):
        raise TypeError(f"a schema is a dict or a pydantic class, but got {schema!r}")
    shape = schema
    return shape, RunnableLambda(lambda message: read_json(str(message.text), shape))


def _whole(value: Any) -> Any:
    """A value without half characters: JSON may spell one, as a lone surrogate, but no file or database takes it."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def _resolve(reference: str, root: Schema) -> Schema:
    found: Any = root
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    return dict(found)


def _wrong_type(value: Any, schema: Schema, at: str) -> str | None:
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if kinds and not any(_TYPES[kind](value) for kind in kinds):
        return f"{at} must be {' or '.join(kinds)}, but is {_short(value)}"
    return None


def _wrong_value(value: Any, schema: Schema, at: str) -> str | None:
    options = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if options is not None and not any(_same(value, option) for option in options):
        return f"{at} must be one of {_short(options)}, but is {_short(value)}"
    if is_number(value):
        for key, (holds, words) in _BOUNDS.items():
            if key in schema and not holds(value, schema[key]):
                return f"{at} must be {words} {schema[key]}, but is {_short(value)}"
    if isinstance(value, str) and not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf):
        return f"{at} has {len(value)} characters, which is outside its limits"
    return None


def _wrong_inside(value: Any, schema: Schema, at: str, root: Schema) -> str | None:
    if isinstance(value, dict):
        return _wrong_object(value, schema, at, root)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
            return f"{at} has {len(value)} items, which is outside its limits"
        inside = (violation(item, schema.get("items", {}), f"{at}[{i}]", root) for i, item in enumerate(value))
        return next(filter(None, inside), None)
    return None


def _wrong_object(value: dict[str, Any], schema: Schema, at: str, root: Schema) -> str | None:
    properties: Schema = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            return f"{at} must have {name!r}, but has {_short(sorted(value))}"
    others = schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name not in properties and others is False:
            return f"{at} may not have {_short(name)}"
        rule = properties.get(name, others if isinstance(others, dict) else {})
        if wrong := violation(inner, rule, f"{at}.{name}", root):
            return wrong
    return None


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)  # True is not 1 here


def is_number(value: Any) -> bool:
    """Whether a value is a number that a float can hold, and no truth value."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
