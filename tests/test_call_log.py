"""The call log: whatever a kill leaves of it, the whole lines before stay readable and the next call fits on."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.models.call_log import Call, CallLog, call_key
from luthier.models.errors import ModelDown, ModelMissing, ModelSpecError
from luthier.models.replay import ReplayChat


def call(text: str = "hello", **given: object) -> Call:
    return Call(time="2026-01-01T00:00:00", role="planner", model="m", messages=(("human", text),), **given)  # type: ignore[arg-type]


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "deep" / "calls.jsonl")
    written = [
        call("größer\nthan \u2028 ever", content="ja", tokens_in=3, trial=4, schema={"type": "object"}),
        call(error="ModelDown", message="down", logprobs=[{"token": "A", "logprob": -0.1}], scored=True),
    ]
    for one in written:
        log.append(one)
    assert list(CallLog(log.path)) == written


def test_a_kill_after_any_byte_loses_only_the_last_call(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.jsonl")
    for i in range(3):
        log.append(call(f"é {i}"))
    whole = log.path.read_bytes()
    ends = [i for i, byte in enumerate(whole, start=1) if byte == 0x0A]
    for cut in range(0, len(whole) + 1, 7):
        log.path.write_bytes(whole[:cut])
        CallLog(log.path).append(call("after"))
        # A line that lacks nothing but its end is whole.
        kept = sum(end - 1 <= cut for end in ends)
        assert [c.messages[0][1] for c in CallLog(log.path)] == [*(f"é {i}" for i in range(kept)), "after"]


@given(st.lists(st.text(), max_size=5))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("log") / "calls.jsonl"
    log = CallLog(path)
    for text in texts:
        log.append(call(text))
    assert [c.messages[0][1] for c in log] == texts


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.jsonl")
    threads = [threading.Thread(target=lambda: [log.append(call("x" * 5000)) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(log)) == len(log.path.read_text().splitlines()) == 80


def test_a_later_version_s_keys_are_passed_over_and_damage_is_too(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    CallLog(path).append(call())
    line = json.loads(path.read_text())
    path.write_text(f"{json.dumps({**line, 'new': 1})}\n[]\nnull\n{{}}\nrubbish\n")
    assert list(CallLog(path)) == [call()]


def test_a_replay_repeats_answers_in_order_then_the_last_and_failures_as_they_were(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.jsonl")
    for answer in (call(content="one"), call(error="ModelDown", message="gone"), call(content="three")):
        log.append(answer)
    replay = ReplayChat.open(tmp_path)
    assert replay.invoke("hello").content == "one"
    with pytest.raises(ModelDown, match="gone"):
        replay.invoke("hello")
    assert [replay.invoke("hello").content for _ in range(2)] == ["three", "three"]
    with pytest.raises(ModelMissing, match="same study, seed and prompts"):
        replay.invoke("never asked")


def test_a_log_without_calls_is_the_user_s_to_mend(tmp_path: Path) -> None:
    (tmp_path / "calls.jsonl").write_text("{half a li")
    with pytest.raises(ModelSpecError, match="no model call"):
        ReplayChat.open(tmp_path)


def test_what_is_asked_makes_the_key() -> None:
    messages = (("human", "x"),)
    keys = {
        call_key(messages, None, False),
        call_key(messages, None, True),
        call_key(messages, {"type": "object"}, False),
        call_key((("system", "x"),), None, False),
    }
    assert len(keys) == 4
    assert call(tokens_in=5, trial=2).key == call().key


def test_what_no_utf_8_holds_and_what_no_reader_can_parse(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.jsonl")
    log.append(call("half \ud800", content="\udfff"))
    log.path.write_bytes(log.path.read_bytes() + b"[" * 100_000 + b"\n")
    log.append(call())
    assert list(CallLog(log.path)) == [call("half \ud800", content="\udfff"), call()]
