"""Kill -9 at random moments, then the same command: nothing finished is lost or run twice, and nothing is left over."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from luthier.trials.errors import StudyError
from luthier.trials.records import State, Trial
from luthier.trials.study import Study

KILLS = 50
TRIALS = 6  # a study; when one is complete, the next begins, so that every phase is hit often
LONGEST = 1.2  # seconds until a kill: on a busy machine a few trials, on an idle one the whole study
ORPHAN_SECONDS = 10.0  # one on an idle machine
TARGET = Path(__file__).with_name("kill_target.py")


class Target:
    """The forking process: starts tuning processes and says how they ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(TARGET)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, folder: Path, model: bool) -> int:
        """Begin to tune; the process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"folder": str(folder), "trials": TRIALS, "model": model}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def ended(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        return self._read()

    def close(self) -> None:
        """End the forking process."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@dataclass
class Watched:
    """One study, and what must not change any more."""

    folder: Path
    model: bool
    finished: dict[int, Trial] = field(default_factory=dict)
    carried_out: Counter[int] = field(default_factory=Counter)  # of the finished trials, when they were seen finished

    def ledger(self) -> Counter[int]:
        """How often each trial was really carried out; extra runs of trial 0 do not count."""
        path = self.folder / "ledger"
        lines = [Path(line) for line in path.read_text().splitlines()] if path.exists() else []
        return Counter(int(line.name) for line in lines if line.parent.name == "trials")

    def check(self) -> bool:
        """That nothing finished was lost, changed or run again; whether the study is complete."""
        if not (self.folder / "study" / "study.db").exists():
            return False
        ran = self.ledger()
        study = _open(self.folder / "study")
        if study is None:
            return False
        trials = {trial.number: trial for trial in study.trials}
        study.close()
        assert sorted(trials) == list(range(len(trials)))
        for number, before in self.finished.items():
            assert trials[number] == before
            assert ran[number] == self.carried_out[number], f"trial {number} was finished, and ran again"
        for number, trial in trials.items():
            # Each attempt ends by a kill, after or before its work, but for the last one.
            assert ran[number] <= trial.attempt + 1 or number == 0
            if trial.finished and number not in self.finished:
                assert trial.state is State.COMPLETE
                assert ran[number] >= 1
                self.finished[number], self.carried_out[number] = trial, ran[number]
        return len(self.finished) == TRIALS


def _open(folder: Path) -> Study | None:
    try:
        return Study.open(folder)
    except StudyError:  # killed while it was being created
        return None


def left_over(folder: Path) -> list[int]:
    """Processes of this study's trials."""
    needle = f"LUTHIER_TRIAL={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if needle in environment:
                found.append(int(entry.name))
    return found


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.close()


@pytest.mark.slow
def test_kills_lose_nothing_and_repeat_nothing(target: Target, tmp_path: Path) -> None:
    def begin(count: int) -> Watched:
        (tmp_path / str(count)).mkdir()
        return Watched(tmp_path / str(count), model=count % 2 == 1)

    # How long a study takes undisturbed says where kills may fall, on any machine.
    first, start = begin(0), time.monotonic()
    target.start(first.folder, first.model)
    assert target.ended() == 0
    assert first.check()
    longest = min((time.monotonic() - start) / 2, LONGEST)

    rng, kills, studies, halves = random.Random(7), 0, 1, 0
    watched = begin(studies)
    while kills < KILLS or not watched.finished or len(watched.finished) < TRIALS:
        pid = target.start(watched.folder, watched.model)
        if kills < KILLS:
            time.sleep(rng.uniform(0.0, longest))
            with contextlib.suppress(ProcessLookupError):  # it came to its end before
                os.kill(pid, signal.SIGKILL)
        code = target.ended()
        assert code in (0, -signal.SIGKILL)
        kills += code != 0
        deadline = time.monotonic() + ORPHAN_SECONDS
        while orphans := left_over(watched.folder):
            assert time.monotonic() < deadline, f"outlived the kill: {orphans}"
            time.sleep(0.01)
        complete = watched.check()
        halves += not complete and bool(watched.finished)
        if complete and kills < KILLS:
            studies += 1
            watched = begin(studies)
    assert len(watched.finished) == TRIALS
    assert halves > KILLS / 5  # kills fell into the midst of studies
