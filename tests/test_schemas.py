"""Reading a model's answer: what is JSON, what breaks a schema, and how it is said."""

from __future__ import annotations

import random
import re
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from luthier.models.errors import EmptyAnswer, ModelError, NotJSON, OutOfRange
from luthier.models.fake import random_value
from luthier.models.schemas import read_json, violation

NUMBER = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}


@pytest.mark.parametrize(
    ("value", "schema", "said"),
    [
        (0.5, NUMBER, None),
        (0, NUMBER, None),
        (1, NUMBER, "below 1"),
        (-0.1, NUMBER, "at least 0"),
        (True, NUMBER, "must be number"),
        (float("nan"), NUMBER, "must be number"),
        ("0.5", NUMBER, "must be number"),
        (3.0, {"type": "integer"}, None),
        (3.5, {"type": "integer"}, "must be integer"),
        (1, {"enum": [True, "1"]}, "one of"),
        (True, {"enum": [1]}, "one of"),
        (None, {"type": ["string", "null"]}, None),
        ("yes", {"const": "no"}, "one of"),
        ({}, {"required": ["lr"]}, "must have 'lr'"),
        ({"x": 1}, {"properties": {}, "additionalProperties": False}, "may not have 'x'"),
        ({"x": "1"}, {"additionalProperties": {"type": "integer"}}, "answer.x must be integer"),
        ([1, "b"], {"items": {"type": "integer"}}, r"answer\[1\] must be integer"),
        ([], {"minItems": 1}, "0 items"),
        ("abc", {"maxLength": 2}, "3 characters"),
        (5, {"anyOf": [{"type": "string"}, {"type": "integer"}]}, None),
        (5, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "must be string"),
        (5, {"allOf": [{"minimum": 1}, {"maximum": 4}]}, "at most 4"),
    ],
)
def test_the_rules(value: Any, schema: dict[str, Any], said: str | None) -> None:
    found = violation(value, schema)
    if said is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(said, found), found


class Step(BaseModel):
    """A part of an answer, so that pydantic writes a reference."""

    kind: Literal["raise", "lower"]
    by: float = Field(ge=0, le=10)


class Plan(BaseModel):
    """An answer as an agent defines it."""

    steps: list[Step] = Field(min_length=1)
    why: str | None = None


def test_pydantic_s_schemas_are_understood() -> None:
    schema = Plan.model_json_schema()
    assert violation({"steps": [{"kind": "raise", "by": 2}], "why": None}, schema) is None
    assert "answer.steps[0].by must be at most 10" in str(violation({"steps": [{"kind": "raise", "by": 11}]}, schema))
    assert "answer.steps[0].kind" in str(violation({"steps": [{"kind": "keep", "by": 1}]}, schema))


@pytest.mark.parametrize(
    "text",
    [
        '{"lr": 0.1}',
        ' \n{"lr": 0.1}\n',
        '```json\n{"lr": 0.1}\n```',
        'Sure:\n```\n{"lr": 0.1}\n```',
        '<think>{}</think>{"lr": 0.1}',
    ],
)
def test_a_fence_and_a_thought_are_dropped(text: str) -> None:
    assert read_json(text, {"required": ["lr"]}) == {"lr": 0.1}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", EmptyAnswer),
        ("  \n", EmptyAnswer),
        ("<think>so</think>", EmptyAnswer),
        ("lower it", NotJSON),
        ("[1]", NotJSON),
        ("3", NotJSON),
        ('{"lr": 0.1', NotJSON),
        ("[" * 100_000, NotJSON),
        ("{}", OutOfRange),
        ('{"lr": NaN}', OutOfRange),
    ],
)
def test_each_wrong_answer_has_its_name(text: str, error: type[ModelError]) -> None:
    with pytest.raises(error):
        read_json(text, {"properties": {"lr": {"type": "number"}}, "required": ["lr"]})


@given(st.text())
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    try:
        read_json(text, {"type": "object", "required": ["lr"]})
    except ModelError:
        return


@given(st.integers())
def test_a_random_value_of_a_schema_matches_it(seed: int) -> None:
    schema = {
        "type": "object",
        "properties": {
            "lr": {"type": "number", "minimum": 0.01, "maximum": 0.5},
            "units": {"type": "integer", "minimum": 16, "maximum": 64},
            "names": {"type": "array", "minItems": 2, "items": {"enum": ["a", "b"]}},
            "flag": {"type": "boolean"},
        },
        "required": ["lr", "units", "names", "flag"],
        "additionalProperties": False,
    }
    assert violation(random_value(schema, random.Random(seed)), schema) is None
