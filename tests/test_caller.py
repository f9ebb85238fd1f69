"""The seam before the model: retries that mend, limits that hold, choices without a favourite, a log that replays."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from luthier.models.call_log import CallLog
from luthier.models.caller import Caller, Prompt
from luthier.models.calling import read
from luthier.models.choosing import average, letter_line, letter_logprobs, letters_of, list_options, rotated, yes_odds
from luthier.models.decoding import Decoding
from luthier.models.errors import EmptyAnswer, ModelDown, ModelError, ModelTimeout, NotJSON, OutOfRange, Truncated
from luthier.models.fake import RandomChat, Scored, ScriptedChat, favouring
from luthier.models.replay import ReplayChat

PROMPT = Prompt("planner", "system", "static", "dynamic")
SCHEMA = {
    "type": "object",
    "properties": {"lr": {"enum": [0.1, 0.01]}},
    "required": ["lr"],
    "additionalProperties": False,
}
OPTIONS = ["raise lr", "lower lr", "add dropout", "stop"]


def caller(answers: Any, **options: Any) -> Caller:
    pauses: list[float] = []
    return Caller(ScriptedChat.of(answers), name="scripted", sleep=pauses.append, **options)


def test_a_good_answer_needs_one_call() -> None:
    reply = caller([{"lr": 0.1}]).ask(PROMPT, SCHEMA)
    assert (reply.value, reply.attempts) == ({"lr": 0.1}, 1)


@pytest.mark.parametrize("bad", ["", "not json", {"lr": 7}, {"lr": 0.1, "epochs": 9}, {}, "[1]", ModelDown("down")])
def test_what_can_be_mended_is_asked_again(bad: Any) -> None:
    asked = caller([bad, {"lr": 0.01}])
    reply = asked.ask(PROMPT, SCHEMA)
    assert (reply.value, reply.attempts) == ({"lr": 0.01}, 2)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("", EmptyAnswer),
        ("not json", NotJSON),
        ({"lr": 7}, OutOfRange),
        (ModelDown("down"), ModelDown),
        (ConnectionError("refused"), ModelDown),
        (KeyError("anything"), ModelError),
    ],
)
def test_retries_end_and_the_error_is_ours(bad: Any, error: type[ModelError]) -> None:
    with pytest.raises(error):
        caller([bad] * 9, retries=2).ask(PROMPT, SCHEMA)


def test_an_answer_that_was_cut_is_an_error() -> None:
    model = ScriptedChat(answers=[{"lr": 0.1}] * 5, finish="length")
    with pytest.raises(Truncated):
        Caller(model, name="scripted", retries=1).ask(PROMPT, SCHEMA)


def test_a_slow_model_is_given_up_in_time() -> None:
    def slow(messages: list[Any]) -> Any:
        time.sleep(5)
        return {"lr": 0.1}

    began = time.monotonic()
    with pytest.raises(ModelTimeout):
        caller(slow, timeout=0.3).ask(PROMPT, SCHEMA)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("word", ["raise", "lower", "dropout", "stop"])
def test_the_liked_option_wins_under_any_letter(word: str) -> None:
    found = caller(favouring(word)).choose(PROMPT, OPTIONS)
    assert word in OPTIONS[found.index]
    assert sum(found.probabilities) == pytest.approx(1)
    assert not found.voted


@pytest.mark.parametrize("letter", "ABCD")
def test_a_favourite_letter_cancels_out(letter: str) -> None:
    found = caller(lambda m: Scored({x: 0.7 if x == letter else 0.1 for x in "ABCD"})).choose(PROMPT, OPTIONS)
    assert found.probabilities == pytest.approx([0.25] * 4)
    single = caller(lambda m: Scored({x: 0.7 if x == letter else 0.1 for x in "ABCD"}))
    assert max(single.choose(PROMPT, OPTIONS, rotations=False).probabilities) > 0.5


def test_a_server_without_log_probabilities_votes() -> None:
    def votes(messages: list[Any]) -> Any:
        letters = letters_of(str(messages[-1].text))
        return {"answer": next(x for x, text in letters.items() if "dropout" in text)}

    found = caller(votes).choose(PROMPT, OPTIONS)
    assert (found.index, found.voted) == (2, True)


def test_only_the_last_line_rotates_so_that_a_cache_serves_the_rest() -> None:
    model = ScriptedChat.of(favouring("stop"))
    Caller(model, name="scripted").choose(PROMPT, OPTIONS)
    texts = [str(messages[-1].text).splitlines() for messages, _ in model.calls]
    assert len(texts) == 4
    assert len({tuple(lines[:-1]) for lines in texts}) == 1
    assert len({lines[-1] for lines in texts}) == 4


QUESTIONS = [f"Proposed step: {option}. Answer yes or no." for option in OPTIONS]


def test_the_surest_yes_wins_and_no_option_sees_another() -> None:
    def likes_dropout(messages: list[Any]) -> Scored:
        text = str(messages[-1].text)
        assert sum(option in text for option in OPTIONS) == 1
        return Scored({"Yes": 0.6, "no": 0.4} if "dropout" in text else {"yes": 0.3, "No": 0.7})

    found = caller(likes_dropout).rate(PROMPT, QUESTIONS)
    odds = (0.6 / 0.4) / (0.3 / 0.7)
    assert found.probabilities == pytest.approx([1 / (3 + odds)] * 2 + [odds / (3 + odds)] + [1 / (3 + odds)])
    assert (found.index, found.voted) == (2, False)


def test_without_log_probabilities_yes_is_a_word() -> None:
    found = caller(lambda m: {"answer": "yes" if "dropout" in str(m[-1].text) else "no"}).rate(PROMPT, QUESTIONS)
    assert (found.index, found.voted) == (2, True)


def test_an_answer_that_is_neither_yes_nor_no_says_nothing() -> None:
    assert yes_odds([{"token": "maybe", "logprob": -0.1}]) is None
    assert yes_odds([]) is None
    sure = [{"token": "yes", "logprob": -0.1, "top_logprobs": [{"token": " Yes", "logprob": -0.1}]}]
    assert yes_odds(sure) == pytest.approx(1.0)  # "no" counts as a nat below the last listed token


def test_one_option_costs_no_call() -> None:
    assert caller([]).choose(PROMPT, ["only"]).index == 0


def test_letters_read_back_and_average() -> None:
    text = f"{list_options(OPTIONS)}\n{letter_line(4, 1)}"
    assert letters_of(text) == {"A": "lower lr", "B": "add dropout", "C": "stop", "D": "raise lr"}
    assert rotated(3, 2) == {"A": 2, "B": 0, "C": 1}
    assert average([[0.0, -1.0], [-1.0, 0.0]]) == pytest.approx([0.731, 0.269], abs=1e-3)


def test_every_call_is_logged_and_a_replay_needs_no_model(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.jsonl")
    live = Caller(RandomChat(seed=4), name="random", log=log)
    live.trial = 3
    said, chosen = live.ask(PROMPT, SCHEMA), live.choose(PROMPT, OPTIONS)
    assert [call.trial for call in log] == [3] * 5
    assert all(call.role == "planner" and call.tokens_in > 0 for call in log)
    again = Caller(ReplayChat.open(tmp_path), name="replay")
    assert again.ask(PROMPT, SCHEMA).value == said.value
    assert again.choose(PROMPT, OPTIONS).probabilities == pytest.approx(chosen.probabilities)
    with pytest.raises(ModelError):
        again.ask(Prompt("planner", "", "never asked", ""), SCHEMA)


def test_half_a_line_at_the_end_of_the_log_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    Caller(ScriptedChat.of([{"lr": 0.1}]), name="s", log=CallLog(path)).ask(PROMPT, SCHEMA)
    with path.open("a") as file:
        file.write('{"time": "2026-01-01T00:00')
    Caller(ScriptedChat.of([{"lr": 0.01}]), name="s", log=CallLog(path)).ask(PROMPT, SCHEMA)
    assert [json.loads(call.content)["lr"] for call in CallLog(path)] == [0.1, 0.01]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Decoding(temperature=-1),
        lambda: Decoding(top_p=0),
        lambda: Decoding(max_tokens=0),
        lambda: Caller(RandomChat(), name="x", timeout=0),
    ],
)
def test_settings_without_meaning_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"must|>="):
        make()


ODD_ENTRIES: list[Any] = [
    None,
    "yes",
    {"a": 1},
    [None, 5],
    [{"top_logprobs": 3}],
    [{"token": None, "top_logprobs": [{"token": 1, "logprob": "x"}, None]}],
    [{"token": "yes", "top_logprobs": [{"token": "yes", "logprob": None}, {"token": "A", "logprob": math.nan}]}],
    [{"token": "yes", "top_logprobs": [{"token": "yes", "logprob": -9999.0}, {"token": "A", "logprob": -math.inf}]}],
]


@pytest.mark.parametrize("content", ODD_ENTRIES)
def test_log_probabilities_of_a_wrong_shape_are_none(content: Any) -> None:
    assert yes_odds(content) is None
    assert letter_logprobs(content, 2) is None


def test_a_log_probability_of_minus_9999_is_an_unlisted_token() -> None:
    def answered(*pairs: tuple[str, float]) -> list[dict[str, Any]]:
        return [{"token": "A", "top_logprobs": [{"token": token, "logprob": value} for token, value in pairs]}]

    assert letter_logprobs(answered(("A", -0.1), ("B", -9999.0)), 2) == letter_logprobs(answered(("A", -0.1)), 2)
    assert yes_odds(answered(("yes", -0.1), ("no", -9999.0))) == yes_odds(answered(("yes", -0.1)))
    assert yes_odds(answered(("yes", 1e308), ("no", -1.0))) == pytest.approx(1.0)  # no probability is above 1


@pytest.mark.parametrize(
    ("found", "counted"), [("12", 0), (None, 0), ([], 0), (-5, 0), (math.nan, 0), (3.0, 3), (7, 7)]
)
def test_a_count_of_a_wrong_kind_counts_as_none(found: Any, counted: int) -> None:
    usage = {
        "input_tokens": found,
        "output_tokens": found,
        "total_tokens": 0,
        "input_token_details": {"cache_read": found},
    }
    answer = read(AIMessage.model_construct(content="", usage_metadata=usage, response_metadata={}))
    assert (answer.tokens_in, answer.tokens_out, answer.cached) == (counted,) * 3


def test_half_a_character_in_an_answer_is_replaced() -> None:
    assert read(AIMessage("a\ud800b \U0001f600")).text == "a?b \U0001f600"
    half = caller([r'{"na\ud83dme": "a\ud800b \ud83d\ude00"}'])
    assert half.ask(PROMPT, {"type": "object"}).value == {"na?me": "a?b \U0001f600"}


def test_a_number_that_no_float_holds_is_out_of_range() -> None:
    with pytest.raises(OutOfRange):
        caller([f'{{"lr": {"9" * 400}}}'], retries=0).ask(PROMPT, {"properties": {"lr": {"type": "number"}}})
