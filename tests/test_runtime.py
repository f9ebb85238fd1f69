"""llama.cpp in this process: limits that hold, settings that stay here, counts that are bounds."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from luthier.models.catalogue import path_of, present
from luthier.models.errors import ModelSpecError, ModelTimeout
from luthier.models.runtime import Runtime, runtime_for, threads
from luthier.models.tokens import approx_tokens, fewest_tokens

real = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or not present("smollm2-135m"),
    reason="needs xllamacpp and `luthier models pull smollm2-135m`",
)
TEXTS = {
    "prose": "The loss became flat after the fifth epoch, so the learning rate should decay. " * 5,
    "numbers": "lr=0.00031 loss=0.123456 units=128\n" * 30,
    "json": '{"lr": 0.01, "units": 128, "optimizer": "adam"}\n' * 10,
    "code": Path(__file__).read_text(encoding="utf-8"),
    "names": "val_accuracy maxDepth LR_MIN ~/.cache/x -> ok; " * 10,
}


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return runtime_for(path_of("smollm2-135m"), 1024)


def ask(runtime: Runtime, seconds: float, **given: object) -> dict[str, object]:
    return runtime.chat({"messages": [{"role": "user", "content": "Write a very long story."}], **given}, seconds)


@real
@pytest.mark.model
def test_a_time_limit_ends_the_generation_itself(runtime: Runtime) -> None:
    began = time.monotonic()
    with pytest.raises(ModelTimeout):
        ask(runtime, 0.3, max_tokens=900, ignore_eos=True)
    # The next call would wait for all 900 tokens, some 10 s, if the first were still being answered.
    ask(runtime, 60, max_tokens=1)
    assert time.monotonic() - began < 6


@real
@pytest.mark.model
@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.0, 1.5])
def test_ctrl_c_during_a_call_ends_the_process_in_order(seconds: float) -> None:
    """Often a segmentation fault, where the process was torn down as usual."""
    script = f"""
import signal, sys
from langchain_core.messages import HumanMessage
from luthier.models.calling import invoke
from luthier.models.open import open_model

model = open_model("embedded:smollm2-135m")
model.get_num_tokens("it is loaded")
signal.signal(signal.SIGALRM, signal.default_int_handler)  # what Python does at Ctrl-C
signal.setitimer(signal.ITIMER_REAL, {seconds})
try:
    invoke(model, [HumanMessage("Write a very long story. " * 100)], dict(max_tokens=900), 60)
except KeyboardInterrupt:
    print("kept")
    sys.exit(130)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (130, "kept\n")


@real
@pytest.mark.model
def test_one_runtime_a_file_until_more_context_is_asked_for(runtime: Runtime) -> None:
    path = path_of("smollm2-135m")
    assert runtime_for(path, 512) is runtime_for(path.parent / "." / path.name, 1024)
    larger = runtime_for(path, 8192)
    assert larger.n_ctx == 8192
    assert runtime_for(path, 1024) is larger


@real
@pytest.mark.model
def test_trials_do_not_inherit_the_runtime_s_setting(runtime: Runtime) -> None:
    assert "GOMP_SPINCOUNT" not in os.environ


@real
@pytest.mark.model
@pytest.mark.parametrize("kind", TEXTS)
def test_counts_without_a_tokenizer_are_on_their_sides(runtime: Runtime, kind: str) -> None:
    counted = runtime.count(TEXTS[kind])
    assert fewest_tokens(TEXTS[kind]) <= counted
    assert 0.95 * counted <= approx_tokens(TEXTS[kind]) <= 1.6 * counted


@pytest.mark.parametrize(("cores", "expected"), [(1, (1, 1)), (2, (1, 2)), (64, (8, 8))])
def test_a_core_stays_free_when_generating(
    monkeypatch: pytest.MonkeyPatch, cores: int, expected: tuple[int, int]
) -> None:
    monkeypatch.delenv("LUTHIER_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    assert threads() == expected


def test_the_user_s_number_of_threads_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_THREADS", "3")
    assert threads() == (3, 3)
    monkeypatch.setenv("LUTHIER_THREADS", "many")
    with pytest.raises(ModelSpecError, match="many"):
        threads()
