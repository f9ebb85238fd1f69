"""One contract for every chat model: each is asked through the same seam and must answer in the same shape."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import HumanMessage
from ollama_server import NAME, OllamaServer, serving

from luthier.models.call_log import CallLog
from luthier.models.caller import Caller, Prompt
from luthier.models.choosing import YES_OR_NO, letter_line, list_options
from luthier.models.decoding import Decoding
from luthier.models.errors import ModelError, PromptTooLong
from luthier.models.fake import RandomChat
from luthier.models.files import present
from luthier.models.open import open_model
from luthier.models.schemas import violation

SMALLEST = "embedded:smollm2-135m"
PROMPT = Prompt("planner", "You tune.", "Rules: keep to the ranges.", "Trial 3 overfits since step 5.")
TWO = Prompt("x", "", "", "")
OPTIONS = ["raise the dropout", "lower the dropout", "train for longer"]
QUESTIONS = [f"Proposed step: {option}. {YES_OR_NO}" for option in OPTIONS]
SCHEMA = {
    "type": "object",
    "properties": {"lr": {"enum": [0.1, 0.01]}, "optimizer": {"enum": ["sgd", "adam"]}},
    "required": ["lr", "optimizer"],
    "additionalProperties": False,
}
needs_file = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or not present("smollm2-135m"),
    reason="needs xllamacpp and `luthier models pull smollm2-135m`",
)
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class ChatModelContract:
    """What every chat model owes its caller. A subclass gives the `model` and says what it can."""

    counts_tokens = True
    scores = True  # gives log-probabilities

    @pytest.fixture
    def model(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def caller(self, model: BaseChatModel) -> Caller:
        return Caller(model, name="contract", timeout=60.0)

    def test_json_matches_the_schema(self, caller: Caller) -> None:
        reply = caller.ask(PROMPT, SCHEMA, Decoding(max_tokens=48))
        assert violation(reply.value, SCHEMA) is None
        assert reply.seconds > 0

    def test_a_choice_is_a_distribution_and_its_mode(self, caller: Caller) -> None:
        found = caller.choose(PROMPT, OPTIONS)
        assert sum(found.probabilities) == pytest.approx(1)
        assert found.probabilities[found.index] == max(found.probabilities)
        assert found.voted is not self.scores

    def test_a_rating_is_a_distribution_and_its_mode(self, caller: Caller) -> None:
        found = caller.rate(PROMPT, QUESTIONS)
        assert sum(found.probabilities) == pytest.approx(1)
        assert found.probabilities[found.index] == max(found.probabilities)
        assert found.voted is not self.scores

    def test_what_was_spent_is_counted(self, caller: Caller) -> None:
        caller.ask(PROMPT, SCHEMA, Decoding(max_tokens=48))
        assert caller.seconds > 0
        assert (caller.tokens > 0) is self.counts_tokens

    def test_log_probabilities_come_in_openai_s_shape(self, model: BaseChatModel) -> None:
        if not self.scores:
            pytest.skip("gives none")
        messages = replace(TWO, dynamic=list_options(["a", "b"])).messages(letter_line(2, 0))
        answer = model.invoke(messages, logprobs=True, top_logprobs=5, max_tokens=1, temperature=0.0)
        first = answer.response_metadata["logprobs"]["content"][0]
        assert all(entry["logprob"] <= 0 for entry in first["top_logprobs"])
        assert first["token"] in {entry["token"] for entry in first["top_logprobs"]}

    def test_threads_may_share_it(self, caller: Caller) -> None:
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(caller.choose, PROMPT, OPTIONS) for _ in range(2)]
            assert all(len(one.result().probabilities) == len(OPTIONS) for one in asked)


class TestRandom(ChatModelContract):
    @pytest.fixture
    def model(self) -> Any:
        return RandomChat(seed=3)


class TestAnyLangChainModel(ChatModelContract):
    """A model that knows no schema, no log-probabilities and no counts gets the schema in words, and votes."""

    counts_tokens = False
    scores = False

    @pytest.fixture
    def model(self) -> Any:
        return Wordy(responses=["unused"])


class Wordy(FakeListChatModel):
    """Answers the schema that it finds in the prompt's words, with a thought before and a fence around."""

    def _call(self, messages: list[Any], *args: Any, **kwargs: Any) -> str:
        asked = str(messages[-1].text)
        assert "JSON schema" in asked or "Letters:" in asked or YES_OR_NO in asked
        if '"answer"' not in asked:
            return '```json\n{"lr": 0.1, "optimizer": "sgd"}\n```'
        word = "yes" if '"yes"' in asked else "B"
        return f'<think>hm</think>{{"answer": "{word}"}}'


class TestOllama(ChatModelContract):
    @pytest.fixture
    def model(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        with serving(OllamaServer(RandomChat(seed=1))) as server:
            monkeypatch.setenv("OLLAMA_HOST", server.url)
            yield open_model(f"ollama:{NAME}")


class TestReplay(ChatModelContract):
    """A log of what the contract asks, replayed by a model that was never called."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Any:
        live = Caller(RandomChat(seed=2), name="live", log=CallLog(tmp_path / "calls.jsonl"))
        live.ask(PROMPT, SCHEMA, Decoding(max_tokens=48))
        live.choose(PROMPT, OPTIONS)
        live.choose(TWO, ["a", "b"])
        live.rate(PROMPT, QUESTIONS)
        return open_model(f"replay:{tmp_path}")


@needs_file
@pytest.mark.model
class TestEmbedded(ChatModelContract):
    @pytest.fixture
    def model(self) -> Any:
        return open_model(SMALLEST)

    def test_a_prompt_that_does_not_fit_is_refused(self, caller: Caller) -> None:
        with pytest.raises(PromptTooLong):
            caller.ask(Prompt("planner", "", "", "word " * 20_000), SCHEMA)

    def test_langchain_s_structured_output(self, model: BaseChatModel) -> None:
        found = model.with_structured_output(SCHEMA).invoke([HumanMessage("Propose a configuration.")])
        assert violation(found, SCHEMA) is None


@needs_file
@pytest.mark.model
@pytest.mark.skipif(importlib.util.find_spec("langchain_openai") is None, reason="needs the extra `openai`")
class TestOpenAI(ChatModelContract):
    """langchain-openai's real client against a real OpenAI-compatible server: the embedded runtime's port."""

    @pytest.fixture
    def model(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        from luthier.models.embedded import EmbeddedChat

        runtime = EmbeddedChat.open("smollm2-135m").runtime
        monkeypatch.setenv("OPENAI_API_KEY", runtime.key)
        return open_model(f"openai:smollm2@{runtime.url}")

    def test_a_prompt_that_does_not_fit_is_refused(self, caller: Caller) -> None:
        with pytest.raises(PromptTooLong):
            caller.ask(Prompt("planner", "", "", "word " * 20_000), SCHEMA)

    def test_the_port_is_not_for_everybody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from luthier.models.embedded import EmbeddedChat

        monkeypatch.setenv("OPENAI_API_KEY", "a guess")
        model = open_model(f"openai:smollm2@{EmbeddedChat.open('smollm2-135m').runtime.url}")
        assert model is not None
        with pytest.raises(ModelError):
            Caller(model, name="stranger", retries=0).ask(PROMPT, SCHEMA)
