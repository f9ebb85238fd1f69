"""What every runner keeps to, tested on each runner and each sandbox that works here. Real processes only."""

from __future__ import annotations

import errno
import gc
import json
import math
import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from luthier.trials.command import CommandRunner
from luthier.trials.errors import TrialError
from luthier.trials.processes import RECORD, alive
from luthier.trials.records import Cause, Outcome, State
from luthier.trials.runner import DiskFullError, Limits, Runner
from luthier.trials.sandbox import Bubblewrap, Sandbox, Watchdog, works
from luthier.trials.worker import CallableRunner

Make = Callable[..., Runner]
NEEDS_BWRAP = pytest.mark.skipif(not works(strict=False), reason="bubblewrap is absent, or may not work here")


def body_of(objective: Callable[..., Any]) -> str:
    """A script that does what the objective does, and reports what it returns."""
    import inspect

    source = textwrap.dedent(inspect.getsource(objective))
    return (
        f"import sys\nfrom luthier import report\n{source}\n"
        f"value = {objective.__name__}(float(sys.argv[1]))\nif value is not None:\n    report(value=value)\n"
    )


@pytest.fixture(
    params=[pytest.param(Bubblewrap(), marks=NEEDS_BWRAP, id="bubblewrap"), pytest.param(Watchdog(), id="watchdog")]
)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    level: Sandbox = request.param
    return level


@pytest.fixture(params=["command", "callable"])
def make(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Iterator[Make]:
    """Makes a runner of a function of one number, by either way."""
    made: list[Runner] = []

    def build(objective: Callable[[float], Any], limits: Limits = Limits()) -> Runner:  # noqa: B008 - frozen
        if request.param == "command":
            script = tmp_path / "script.py"
            script.write_text(body_of(objective))
            made.append(
                CommandRunner("python -P script.py {x}", cwd=tmp_path, metric="value", limits=limits, sandbox=sandbox)
            )
        else:
            made.append(
                CallableRunner(lambda trial: objective(trial.suggest_float("x", 0, 9)), limits=limits, sandbox=sandbox)
            )
        return made[-1]

    yield build
    for runner in made:
        runner.close()


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(condition())


def good(x: float) -> float:
    from luthier import report

    for step in range(3):
        report(step, value=x + step, train_loss=1.0 / (step + 1))
    return x + 2


def no_metric(x: float) -> None:
    print("nothing to say")


def not_a_number(x: float) -> float:
    return float("nan")


def crash(x: float) -> float:
    print("before the end")
    return 1 / (x - x)


def memory_error(x: float) -> float:
    raise MemoryError("no room")


def cuda(x: float) -> float:
    raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")


def hang(x: float) -> float:
    import time

    time.sleep(60)
    return x


def eat(x: float) -> float:
    import time

    blocks = []
    while True:
        blocks.append(bytearray(b"x") * 10_000_000)
        time.sleep(0.005)


def endless(x: float) -> float:
    import time

    from luthier import report

    for step in range(1_000):
        report(step, value=float(step))
        time.sleep(0.02)
    return x


def loud(x: float) -> float:
    for line in range(20_000):
        print(f"line {line} of a very talkative script")
    return x


def killed(x: float) -> float:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGTERM)
    return x


def leaves_children(x: float) -> float:
    import os
    import subprocess
    import sys
    import time
    from pathlib import Path

    # One in our session and one that leaves it.
    code = "import os, sys, time; sys.argv[1] == 'setsid' and os.setsid(); time.sleep(300)"
    for how in ("stay", "setsid"):
        subprocess.Popen([sys.executable, "-S", "-c", code, how, os.environ["LUTHIER_TRIAL"]])
    Path(os.environ["LUTHIER_TRIAL"], "started").touch()
    time.sleep(60)
    return x


def mentioning(text: str) -> list[int]:
    """Processes with this text among their arguments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if text.encode() in arguments and alive(int(folder.name)):
            found.append(int(folder.name))
    return found


def test_is_a_runner(make: Make) -> None:
    assert isinstance(make(good), Runner)


def test_a_good_trial(make: Make, sandbox: Sandbox, tmp_path: Path) -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    folder = tmp_path / "7"
    outcome = make(good).run(
        {"x": 0.1}, folder, on_report=lambda step, metrics: seen.append((step, dict(metrics))) or False
    )
    assert (outcome.state, outcome.failure) == (State.COMPLETE, None)
    assert outcome.value == outcome.metrics["value"] == 2.1
    assert outcome.isolation == sandbox.level
    assert 0 < outcome.seconds < 30
    assert outcome.trajectory.curve("train_loss") == ((0, 1.0), (1, 0.5), (2, 1 / 3))
    assert seen[:3] == [(s, {"value": 0.1 + s, "train_loss": 1 / (s + 1)}) for s in range(3)]
    assert json.loads((folder / "config.json").read_text()) == {"x": 0.1}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[1] == {"step": 1, "value": 1.1, "train_loss": 0.5}
    assert '"luthier": 1' in (folder / "log.txt").read_text()
    assert not (folder / RECORD).exists()


@pytest.mark.parametrize(
    ("objective", "cause", "evidence"),
    [
        (no_metric, Cause.NO_METRIC, "'value' was never reported"),
        (not_a_number, Cause.NAN, "nan"),
        (crash, Cause.CRASH, "ZeroDivisionError"),
        (memory_error, Cause.OUT_OF_MEMORY, "no room"),
        (cuda, Cause.OUT_OF_MEMORY, "20.00 GiB"),
        (killed, Cause.CRASH, "SIGTERM"),
    ],
)
def test_causes_are_told_apart(make: Make, tmp_path: Path, objective: Any, cause: Cause, evidence: str) -> None:
    outcome = make(objective).run({"x": 1.0}, tmp_path / "0")
    assert outcome.state is State.FAILED
    assert outcome.value is None
    assert outcome.failure is not None
    assert outcome.failure.cause is cause
    assert evidence in outcome.failure.detail


def test_timeout(make: Make, tmp_path: Path) -> None:
    start = time.monotonic()
    outcome = make(hang, Limits(seconds=0.5)).run({"x": 1.0}, tmp_path / "0")
    assert outcome.failure is not None
    assert outcome.failure.cause is Cause.TIMEOUT
    assert "0.5 s" in outcome.failure.detail
    assert time.monotonic() - start < 5


def test_memory_limit(make: Make, tmp_path: Path) -> None:
    outcome = make(eat, Limits(seconds=20, memory_gib=0.2)).run({"x": 1.0}, tmp_path / "0")
    assert outcome.failure is not None
    assert outcome.failure.cause is Cause.OUT_OF_MEMORY
    assert "0.2 GiB" in outcome.failure.detail


def test_a_listener_prunes(make: Make, tmp_path: Path) -> None:
    outcome = make(endless).run({"x": 1.0}, tmp_path / "0", on_report=lambda step, metrics: step >= 3)
    assert (outcome.state, outcome.failure) == (State.PRUNED, None)
    # Nothing after the step at which it was stopped counts, however long the stopping took.
    assert outcome.value == 3.0
    assert outcome.trajectory.steps == (0, 1, 2, 3)


def test_a_listener_that_fails_ends_the_trial(make: Make, tmp_path: Path) -> None:
    def broken(step: int, metrics: Any) -> bool:
        raise LookupError("the study is gone")

    with pytest.raises(LookupError, match="the study is gone"):
        make(endless).run({"x": 1.0}, tmp_path / "0", on_report=broken)
    assert not (tmp_path / "0" / RECORD).exists()


def test_the_log_is_capped_and_keeps_both_ends(make: Make, tmp_path: Path) -> None:
    outcome = make(loud, Limits(log_bytes=10_000)).run({"x": 1.0}, tmp_path / "0")
    log = (tmp_path / "0" / "log.txt").read_text()
    assert outcome.state is State.COMPLETE
    assert len(log) < 10_100
    assert "line 0 of" in log
    assert "line 19999 of" in log
    assert "bytes left out here" in log


@pytest.mark.parametrize("how", ["timeout", "close", "interrupt"])
def test_no_descendant_is_left(make: Make, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "0"
    runner = make(leaves_children, Limits(seconds=1.5 if how == "timeout" else 60))
    main = threading.get_ident()

    def end() -> None:
        if not wait_for((folder / "started").exists):
            return
        if how == "close":
            runner.close()
        elif how == "interrupt":
            signal.pthread_kill(main, signal.SIGINT)

    ender = threading.Thread(target=end)
    ender.start()
    causes = {"timeout": Cause.TIMEOUT, "close": Cause.INTERRUPTED}
    try:
        outcome = runner.run({"x": 1.0}, folder)
    except KeyboardInterrupt:
        assert how == "interrupt"
    else:
        assert outcome.failure is not None
        assert outcome.failure.cause is causes[how]
    finally:
        ender.join()
    assert (folder / "started").exists()
    assert mentioning(str(folder)) == []


def test_a_closed_runner_refuses(make: Make, tmp_path: Path) -> None:
    runner = make(good)
    runner.close()
    runner.close()
    with pytest.raises(TrialError, match="closed"):
        runner.run({"x": 1.0}, tmp_path / "0")


def test_a_full_disk_is_said(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "0"
    folder.mkdir()
    # The device that is always full: writing fails as on a full disk.
    (folder / "log.txt").symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match="free some space") as caught:
        make(loud).run({"x": 1.0}, folder)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert mentioning(str(folder)) == []


def test_trials_follow_each_other(make: Make, tmp_path: Path) -> None:
    runner = make(good)
    outcomes: list[Outcome] = [runner.run({"x": float(i)}, tmp_path / str(i)) for i in range(3)]
    assert [o.value for o in outcomes] == [2.0, 3.0, 4.0]
    assert all(math.isfinite(o.seconds) for o in outcomes)


def test_runs_in_a_thread_that_ends(make: Make, tmp_path: Path) -> None:
    # "Dies with its parent" means, to Linux, with the thread that started it; LangGraph's threads are short-lived.
    runner = make(good)
    values: list[float | None] = []
    for number in range(2):
        thread = threading.Thread(
            target=lambda n=number: values.append(runner.run({"x": 1.0}, tmp_path / str(n)).value)
        )
        thread.start()
        thread.join()
        time.sleep(0.05)
    assert values == [3.0, 3.0]


def test_open_files_do_not_pile_up(make: Make, tmp_path: Path) -> None:
    runner = make(not_a_number)
    runner.run({"x": 1.0}, tmp_path / "0")
    gc.collect()  # what an earlier test left open is let go before it is counted
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for number in range(1, 4):
        runner.run({"x": 1.0}, tmp_path / str(number))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_python_is_the_one_that_runs_luthier(tmp_path: Path) -> None:
    runner = CommandRunner("python x.py", cwd=tmp_path, metric="m")
    assert runner.command({}, tmp_path)[0] == sys.executable
