"""`ollama:` by its real client, against a server of ours and, where LUTHIER_OLLAMA_HOST is set, a real one."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles import SPACE, FunctionRunner, Listening
from langchain_ollama import ChatOllama
from ollama_server import NAME, OllamaServer, serving

from luthier.graphs.events import Warned
from luthier.graphs.loop import tune_study
from luthier.models.caller import Caller, Prompt
from luthier.models.errors import (
    EmptyAnswer,
    ModelDown,
    ModelError,
    ModelMissing,
    ModelTimeout,
    NotJSON,
    OutOfRange,
    PromptTooLong,
    Truncated,
)
from luthier.models.fake import RandomChat, ScriptedChat, favouring
from luthier.models.files import present
from luthier.models.ollama import OllamaChat
from luthier.models.open import open_model
from luthier.trials.records import Direction
from luthier.trials.spec import Budget
from luthier.trials.study import Study

PROMPT = Prompt("planner", "You tune.", "", "Which is best?")
SCHEMA = {"type": "object", "properties": {"lr": {"enum": [0.1, 0.01]}}, "required": ["lr"]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    with serving(OllamaServer(RandomChat(seed=1))) as running:
        monkeypatch.setenv("OLLAMA_HOST", running.url)
        yield running


def caller(name: str = NAME, **options: float) -> Caller:
    model = open_model(f"ollama:{name}")
    assert isinstance(model, OllamaChat)
    return Caller(model, name=f"ollama:{name}", retries=1, sleep=lambda seconds: None, **options)  # type: ignore[arg-type]


def test_json_under_a_schema_with_the_context_set(server: OllamaServer) -> None:
    assert caller().ask(PROMPT, SCHEMA).value["lr"] in (0.1, 0.01)
    assert server.asked[0]["options"]["num_ctx"] >= 4096
    assert server.asked[0]["format"]["properties"]["lr"]["enum"] == [0.1, 0.01]


def test_choices_by_log_probabilities(server: OllamaServer) -> None:
    server.model = ScriptedChat.of(favouring("lower"))
    found = caller().choose(PROMPT, ["raise lr", "lower lr", "stop"])
    assert (found.index, found.voted) == (1, False)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("500", ModelDown), ("slow", ModelTimeout), ("empty", EmptyAnswer), ("text", NotJSON), ("length", Truncated)],
)
def test_each_fault_is_named(server: OllamaServer, fault: str, error: type[ModelError]) -> None:
    server.fault = fault
    with pytest.raises(error):
        caller(timeout=1.0 if fault == "slow" else 30.0).ask(PROMPT, SCHEMA)


@pytest.mark.parametrize("fault", ["500", "empty", "text"])
def test_a_passing_fault_is_survived(server: OllamaServer, fault: str) -> None:
    server.fault, server.faults_left = fault, 1
    assert "lr" in caller().ask(PROMPT, SCHEMA).value


def test_out_of_range_is_named(server: OllamaServer) -> None:
    server.model = ScriptedChat.of(lambda messages: {"lr": 9})
    with pytest.raises(OutOfRange):
        caller().ask(PROMPT, SCHEMA)


def test_a_model_that_is_not_pulled_says_how_to_pull_it(server: OllamaServer) -> None:
    with pytest.raises(ModelMissing, match="ollama pull other"):
        caller("other").ask(PROMPT, SCHEMA)


def test_no_server_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    with pytest.raises(ModelDown):
        caller().ask(PROMPT, SCHEMA)


def test_a_prompt_that_the_server_would_cut_is_refused(server: OllamaServer) -> None:
    server.context = 512
    with pytest.raises(PromptTooLong):
        caller().ask(Prompt("planner", "", "", "word " * 9000), SCHEMA)


@pytest.mark.parametrize("cut", [2048, 64])
def test_a_prompt_that_was_cut_without_a_word_is_noticed(server: OllamaServer, cut: int) -> None:
    """With half the prompt gone the count is below ours; a little above the context it equals what the model holds."""
    server.context, server.cut = 2048, cut
    with pytest.raises(PromptTooLong, match="cut the prompt"):
        caller().ask(Prompt("planner", "", "", "loss=0.12 " * (380 if cut == 2048 else 100)), SCHEMA)


def test_the_context_grows_by_doubling_and_holds_prompt_and_answer(server: OllamaServer) -> None:
    server.context = 65536
    caller().ask(Prompt("planner", "", "", "loss=0.12 " * 1500), SCHEMA)
    assert server.asked[0]["options"]["num_ctx"] == 16384


def test_a_time_limit_ends_the_generation_on_the_server_too(server: OllamaServer) -> None:
    server.fault = "drip"
    with pytest.raises(ModelTimeout):
        caller(timeout=0.5).ask(PROMPT, SCHEMA)
    assert server.dripped.wait(timeout=5)


def test_a_plain_chat_ollama_learns_to_notice(server: OllamaServer) -> None:
    server.cut = 64
    adopted = open_model(ChatOllama(model=NAME, temperature=0.3))
    assert isinstance(adopted, OllamaChat)
    assert adopted.temperature == 0.3
    with pytest.raises(PromptTooLong):
        adopted.invoke("loss=0.12 " * 100)


def test_a_study_survives_a_server_that_dies(server: OllamaServer, tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", name="s", space=SPACE, metric="loss", direction=Direction.MINIMIZE)
    heard = Listening()
    server.fault = "500"
    tune_study(
        study,
        FunctionRunner(lambda config: float(config["lr"])),
        budget=Budget(trials=3),
        model=open_model(f"ollama:{NAME}"),
        model_name=f"ollama:{NAME}",
        workflow="planner-critic",
        listen=heard,
        noise=0,
    )
    assert len(study.finished) == 3
    assert len(heard.of(Warned)) == 1


@pytest.mark.model
@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or not present("smollm2-135m"),
    reason="needs xllamacpp and `luthier models pull smollm2-135m`",
)
def test_a_real_small_model_behind_the_server(server: OllamaServer) -> None:
    model = open_model("embedded:smollm2-135m")
    assert model is not None
    server.model = model
    asked = caller(timeout=120.0)
    assert asked.ask(PROMPT, SCHEMA).value["lr"] in (0.1, 0.01)
    found = asked.choose(PROMPT, ["raise the learning rate", "lower the learning rate"])
    assert sum(found.probabilities) == pytest.approx(1)
    assert not found.voted


@pytest.mark.model
@pytest.mark.skipif("LUTHIER_OLLAMA_HOST" not in os.environ, reason="set LUTHIER_OLLAMA_HOST and LUTHIER_OLLAMA_MODEL")
def test_a_real_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", os.environ["LUTHIER_OLLAMA_HOST"])
    asked = caller(os.environ.get("LUTHIER_OLLAMA_MODEL", "qwen2.5-coder:1.5b"), timeout=300.0)
    assert asked.ask(PROMPT, SCHEMA).value["lr"] in (0.1, 0.01)
