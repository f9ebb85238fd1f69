"""The embedded runtime with the smallest real model, and the strings that name models."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from luthier.models.caller import Caller, Prompt
from luthier.models.decoding import Decoding
from luthier.models.errors import ModelSpecError, PromptTooLong
from luthier.models.fake import RandomChat
from luthier.models.files import present
from luthier.models.open import open_model

SMALLEST = "embedded:smollm2-135m"
SCHEMA = {
    "type": "object",
    "properties": {"lr": {"enum": [0.1, 0.01]}, "o": {"enum": ["sgd"]}},
    "required": ["lr", "o"],
}
real = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or not present("smollm2-135m"),
    reason="needs xllamacpp and `luthier models pull smollm2-135m`",
)


@pytest.fixture(scope="module")
def model() -> Any:
    return open_model(SMALLEST)


@real
@pytest.mark.model
def test_json_follows_the_schema_and_repeats(model: Any) -> None:
    caller = Caller(model, name=SMALLEST)
    prompt = Prompt("planner", "You tune.", "", "Propose a configuration.")
    first, second = (caller.ask(prompt, SCHEMA, Decoding(max_tokens=48)).value for _ in range(2))
    assert first == second
    assert first["o"] == "sgd"


@real
@pytest.mark.model
def test_rotations_are_served_from_the_cache(model: Any) -> None:
    caller = Caller(model, name=SMALLEST)
    prompt = Prompt("planner", "You tune.", "", "Trial 3 overfits since step 5. " * 20)
    found = caller.choose(prompt, ["raise dropout", "lower dropout", "use more units", "train for longer"])
    assert sum(found.probabilities) == pytest.approx(1)
    assert not found.voted
    assert found.cached > 0.5 * found.tokens_in


@real
@pytest.mark.model
def test_a_prompt_beyond_the_context_is_refused(model: Any) -> None:
    with pytest.raises(PromptTooLong):
        Caller(model, name=SMALLEST).ask(Prompt("planner", "", "", "word " * 20_000), SCHEMA)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("olama:x", "ollama"),
        ("openai:m@http://[::1/v1", "openai:NAME@URL"),
        ("openai:m@http://127.0.0.1:99999/v1", "openai:NAME@URL"),
        ("openai:m@http://127.0.0.1:port/v1", "openai:NAME@URL"),
        ("openai:m@http://:8000/v1", "openai:NAME@URL"),
        ("ollama:", "ollama"),
        ("openai:name", "URL"),
        ("embedded:/no/such/file.gguf", "file"),
        ("replay:/no/such/folder", "replay"),
        ("", "model"),
    ],
)
def test_a_wrong_model_string_is_the_user_s_to_mend(text: str, words: str) -> None:
    with pytest.raises(ModelSpecError) as caught:
        open_model(text)
    assert words.lower() in str(caught.value).lower()


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"no model")
    with pytest.raises(ModelSpecError):
        open_model(f"embedded:{tmp_path / 'x.gguf'}")


def test_none_is_none_and_any_langchain_model_is_taken() -> None:
    assert open_model("none") is None
    own = RandomChat()
    assert open_model(own) is own
