"""No process outlives its trial or Luthier, whatever kills either. Real processes, real kills."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from luthier.trials.command import CommandRunner
from luthier.trials.errors import InputError
from luthier.trials.processes import (
    MARK,
    RECORD,
    RunRecord,
    alive,
    descendants,
    end_recorded,
    resident_bytes,
    start_time,
)
from luthier.trials.records import State
from luthier.trials.sandbox import Bubblewrap, Sandbox, Watchdog, best_sandbox, strict_sandbox, works

NEEDS_BWRAP = pytest.mark.skipif(not works(strict=False), reason="bubblewrap is absent, or may not work here")
NEEDS_STRICT = pytest.mark.skipif(not works(strict=True), reason="bubblewrap is absent, or may not work here")
LEVELS = [pytest.param("Bubblewrap", marks=NEEDS_BWRAP), "Watchdog"]

# A trial that starts a daemon: two forks with `setsid` between them, so that nothing ties it to the trial.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1] + "/daemon", "w").close()
        time.sleep(300)
    os._exit(0)
time.sleep(300)
"""
LUTHIER = """
import subprocess, sys
from pathlib import Path
from luthier.trials import sandbox
from luthier.trials.command import CommandRunner
from luthier.trials.worker import CallableRunner

def objective(trial):
    return float(subprocess.run([sys.executable, "-S", "daemon.py", sys.argv[3]]).returncode)

level = getattr(sandbox, sys.argv[2])()
if sys.argv[1] == "command":
    runner = CommandRunner("python -S daemon.py {trial}", cwd=Path.cwd(), metric="m", sandbox=level)
else:
    runner = CallableRunner(objective, sandbox=level)
runner.run({}, Path(sys.argv[3]))
"""


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


def wait_for(condition: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(condition())


@pytest.fixture
def luthier(tmp_path: Path) -> Iterator[Callable[[str, str], subprocess.Popen[bytes]]]:
    """Starts another Luthier, which runs a trial in `tmp_path / "0"`; ends what a failed test leaves."""
    (tmp_path / "daemon.py").write_text(DAEMON)
    (tmp_path / "main.py").write_text(LUTHIER)
    (tmp_path / "0").mkdir()
    started: list[subprocess.Popen[bytes]] = []

    def start(kind: str, level: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "main.py", kind, level, str(tmp_path / "0")]
        started.append(subprocess.Popen(words, cwd=tmp_path, start_new_session=True))
        return started[-1]

    yield start
    for popen in started:
        popen.kill()
        popen.wait()
    end_recorded(tmp_path / "0")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["command", "callable"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_luthier(
    luthier: Callable[[str, str], subprocess.Popen[bytes]], tmp_path: Path, kind: str, level: str, number: int
) -> None:
    folder = tmp_path / "0"
    process = luthier(kind, level)
    assert wait_for((folder / "daemon").exists, 10)
    before = descendants(process.pid)
    assert len(before) >= 2
    process.send_signal(number)
    process.wait()
    # The design's limit: no process outlives the kill by a second.
    assert wait_for(lambda: not any(alive(pid) for pid in before) and not mentioning(str(folder)), 1.0)


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_outlives_a_kill_at_any_moment(
    luthier: Callable[[str, str], subprocess.Popen[bytes]], tmp_path: Path, level: str
) -> None:
    # From before the sandbox stands until after the trial has started.
    rng = random.Random(0)
    folder = tmp_path / "0"
    for _ in range(8):
        (folder / RECORD).unlink(missing_ok=True)
        process = luthier("command", level)
        assert wait_for((folder / RECORD).exists, 10)
        time.sleep(rng.uniform(0, 0.06))
        process.kill()
        process.wait()
        assert wait_for(lambda: not mentioning(str(folder)), 1.0)


@NEEDS_BWRAP
def test_bubblewrap_ends_all_even_when_the_watchdog_is_killed_too(
    luthier: Callable[[str, str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    folder = tmp_path / "0"
    process = luthier("command", "Bubblewrap")
    assert wait_for((folder / "daemon").exists, 10)
    record = RunRecord.read(folder)
    assert record is not None
    assert record.pid is not None
    process.kill()
    os.kill(record.pid, signal.SIGKILL)
    assert wait_for(lambda: not mentioning(str(folder)), 1.0)


def test_the_next_run_ends_what_both_kills_left(
    luthier: Callable[[str, str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    folder = tmp_path / "0"
    process = luthier("command", "Watchdog")
    assert wait_for((folder / "daemon").exists, 10)
    record = RunRecord.read(folder)
    assert record is not None
    assert record.pid is not None
    os.kill(process.pid, signal.SIGSTOP)  # so that it cannot see its watchdog go
    os.kill(record.pid, signal.SIGKILL)
    process.kill()
    process.wait()

    def settled() -> bool:
        before = mentioning(str(folder))
        time.sleep(0.1)
        return before == mentioning(str(folder))

    assert wait_for(settled, 5.0)  # the watchdog and what hangs on it take a moment to die
    left = mentioning(str(folder))
    assert left  # the daemon has outlived both, which the watchdog alone cannot prevent
    assert set(left) <= set(end_recorded(folder))
    assert mentioning(str(folder)) == []
    assert end_recorded(folder) == []


def test_a_watchdog_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "daemon.py").write_text(DAEMON)
    folder = tmp_path / "0"
    folder.mkdir()
    child = Watchdog().start(
        [sys.executable, "-S", "daemon.py", str(folder)],
        cwd=tmp_path,
        env={**os.environ, MARK: "killed"},
        folder=folder,
    )
    assert wait_for((folder / "daemon").exists, 10)
    os.kill(child.pid, signal.SIGKILL)
    child.close()
    assert child.poll() == 128 + signal.SIGKILL
    assert mentioning(str(folder)) == []


def test_a_reused_process_id_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        started = start_time(stranger.pid)
        assert started is not None
        RunRecord("no such mark", stranger.pid, started - 1).write(tmp_path)
        assert end_recorded(tmp_path) == []
        assert alive(stranger.pid)
        RunRecord("no such mark", stranger.pid, started).write(tmp_path)
        assert end_recorded(tmp_path) == [stranger.pid]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"mark": "x", "pid": "y"}'])
def test_a_broken_record_harms_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    assert end_recorded(tmp_path) == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("code", "expected"), [("import sys; sys.exit(5)", 5), ("import os; os.kill(os.getpid(), 11)", 139)]
)
def test_exit_codes_come_through(tmp_path: Path, level: str, code: str, expected: int) -> None:
    sandbox: Sandbox = {"Bubblewrap": Bubblewrap, "Watchdog": Watchdog}[level]()
    child = sandbox.start(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, env={**os.environ, MARK: "x"}, folder=tmp_path
    )
    assert child.wait(10) == expected
    child.close()


def test_the_best_sandbox_is_one_that_works() -> None:
    assert best_sandbox().level == ("bubblewrap" if works(strict=False) else "watchdog")


def test_memory_of_a_tree_counts_shared_pages_once() -> None:
    code = (
        "import os, time; block = bytearray(b'x') * 100_000_000; [os.fork() for _ in range(2)]; "
        "print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE) as popen:
        assert popen.stdout is not None
        for _ in range(4):
            popen.stdout.readline()
        quick, exact = resident_bytes(popen.pid, limit=10**12), resident_bytes(popen.pid, limit=0)
        for pid in [*descendants(popen.pid), popen.pid]:
            os.kill(pid, signal.SIGKILL)
    assert quick > 400e6
    assert 100e6 < exact < 200e6


STRICT = """
import os, socket, sys
from pathlib import Path
def refused(what):
    try:
        what()
    except OSError:
        return True
    return False
trial = Path(os.environ["LUTHIER_TRIAL"])
(trial / "mine").write_text("x")
Path("/tmp/scratch").write_text("x")
held = {
    "outside": refused(lambda: Path("outside").write_text("x")),
    "root": refused(lambda: Path("/usr/owned").write_text("x")),
    "network": refused(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)),
    "secret": "SECRET" not in os.environ,
    "run": not list(Path("/run").iterdir()),
    "processes": len([p for p in os.listdir("/proc") if p.isdigit()]) < 10,
}
print(held)
print('{"luthier": 1, "m": %d}' % all(held.values()))
"""


@NEEDS_STRICT
def test_the_strict_sandbox_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setenv("SECRET", "token")
    (tmp_path / "probe.py").write_text(STRICT)
    with socket.create_server(("127.0.0.1", 0)) as server:
        run = f"python probe.py {server.getsockname()[1]}"
        loose = CommandRunner(run, cwd=tmp_path, metric="m", sandbox=Bubblewrap())
        strict = CommandRunner(run, cwd=tmp_path, metric="m", sandbox=strict_sandbox())
        outcome = strict.run({}, tmp_path / "0")
        assert outcome.state is State.COMPLETE, outcome.failure
        assert outcome.value == 1.0, (tmp_path / "0" / "log.txt").read_text()
        # Here the script is the user's own, and nothing is refused.
        assert "'outside': False" in textwrap.dedent(_log_of(loose, tmp_path / "1"))
    assert (tmp_path / "0" / "mine").exists()
    assert not Path("/tmp/scratch").exists()


def _log_of(runner: CommandRunner, folder: Path) -> str:
    runner.run({}, folder)
    Path("/tmp/scratch").unlink(missing_ok=True)
    Path("/usr/owned").unlink(missing_ok=True)
    return (folder / "log.txt").read_text()


def test_without_bubblewrap_edited_code_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    works.cache_clear()
    try:
        assert best_sandbox().level == "watchdog"
        with pytest.raises(InputError, match="install it"):
            strict_sandbox()
    finally:
        works.cache_clear()
