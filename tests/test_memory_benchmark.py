"""The benchmark of the memory: its questions have answers, and its figures an interval."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import memory_questions  # noqa: E402
import memory_tasks  # noqa: E402
import stats  # noqa: E402

import memory as benchmark  # noqa: E402
from luthier.memory.note import Kind  # noqa: E402
from luthier.memory.recording import learn, record  # noqa: E402
from luthier.memory.sqlite_store import SQLiteStore  # noqa: E402
from luthier.memory.task import Task  # noqa: E402
from luthier.trials.records import Direction, State, Trial  # noqa: E402
from luthier.trials.space import Float, Space  # noqa: E402

DATA = Path(os.environ.get("LUTHIER_DATA", BENCHMARKS.parent.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"the measured data is not there: no folder {DATA}")


def past(name: str, slope: float) -> memory_tasks.Past:
    """A task in which the learning rate has a sure effect, and one trial failed."""
    space = Space({"learning_rate": Float(1e-4, 1e-1, log=True), "max_dropout": Float(0.0, 1.0)})
    task = Task(script=f"python {name}.py", metric="loss", direction=Direction.MINIMIZE, space=space,
                features={"rows": 10.0, "columns": 3.0, "classes": 2.0})  # fmt: skip
    configs = [{"learning_rate": 10 ** -(1 + number / 3), "max_dropout": number % 2 / 2} for number in range(10)]
    done = [Trial(n, config, State.COMPLETE, slope * n, seconds=1.0) for n, config in enumerate(configs[:9])]
    failed = Trial(9, configs[9], State.FAILED, failure=memory_tasks.NO_MEMORY)
    return memory_tasks.Past("made up", name, task, {f"{name}-1": [*done, failed]})


def test_every_question_names_its_task_and_has_an_answer_there(tmp_path: Path) -> None:
    tasks = [past("whales", 1.0), past("ferns", -1.0)]
    store = SQLiteStore(tmp_path / "memory.db")
    for one in tasks:
        for study, trials in one.studies.items():
            record(store, one.task, study, study, trials)
        learn(store, one.task)
    asked = list(memory_questions.questions(store, tasks))
    assert {question.way for question in asked} == {"named", "reworded", "facts", "failure", "best", "overview"}
    for question in asked:
        answers = [store.get(answer) for answer in question.answers]
        assert all(note.evidence is not None and question.task in (note.task, note.id) for note in answers)
        assert all(note.kind is not Kind.TRIAL for note in answers)
        assert ("whales" in question.text or "ferns" in question.text) == (question.way != "facts")
    assert asked == list(memory_questions.questions(store, tasks))
    assert asked != list(memory_questions.questions(store, tasks, seed=1))
    store.close()


def test_recall_counts_no_more_answers_than_fit() -> None:
    question = memory_questions.Question("overview", "?", frozenset("abcdefg"), "task-0")
    assert benchmark.recall(list("abcde"), question, 5) == 1.0
    assert benchmark.recall(list("abxyz"), question, 5) == 0.4
    assert benchmark.recall([], question, 10) == 0.0


def test_an_interval_draws_whole_clusters() -> None:
    values, clusters = [1.0] * 50 + [0.0] * 50, ["a"] * 50 + ["b"] * 50
    together = stats.clustered(values, clusters)
    apart = stats.clustered(values, [str(number) for number in range(100)])
    assert together.mean == apart.mean == 0.5
    assert (together.low, together.high) == (0.0, 1.0)
    assert apart.high - apart.low < 0.3
    with pytest.raises(ValueError, match="at least one"):
        stats.clustered([], [])


@needs_data
def test_a_run_on_a_few_tasks(tmp_path: Path) -> None:
    told = tmp_path / "recall.json"
    assert benchmark.main(["--data", str(DATA), "--tasks", "2", "--embedder", "hash", "--json", str(told)]) == 0
    rows = json.loads(told.read_text())
    assert {row["method"] for row in rows} == set(benchmark.METHODS)
    assert all(row["low"] <= row["value"] <= row["high"] and np.isfinite(row["value"]) for row in rows)
    of = {row["method"]: row["value"] for row in rows if row["metric"] == "recall@10, test"}
    assert of[benchmark.OURS] >= of["fused"] > 0.5


@needs_data
def test_several_wordings_of_some_searches(tmp_path: Path) -> None:
    told = tmp_path / "recall.json"
    some = ["full text", "hops: + nearest 0.5"]
    asked = ["--wordings", "3", "--methods", ",".join(some), "--embedder", "hash"]
    assert benchmark.main(["--data", str(DATA), "--tasks", "1", *asked, "--json", str(told)]) == 0
    assert {row["method"] for row in json.loads(told.read_text())} == {*some, benchmark.OURS}


def test_an_unknown_search_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--data", "nowhere", "--methods", "guess"]) == 2
    assert "but got guess" in capsys.readouterr().err


def test_missing_data_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
