"""What a user asks a predictor about is the workflow and the task that the logs have, whichever way it is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from logged import line
from test_predictor_sources import tuned

from luthier.predictor.ability import Ability
from luthier.predictor.encoding import Encoder
from luthier.predictor.flora import read_flora
from luthier.predictor.log_line import joined, our_line
from luthier.predictor.logs import Logs, Task
from luthier.predictor.study_logs import read_studies
from luthier.predictor.testing import generated
from luthier.predictor_ask import pairs_in, task_asked
from luthier.predictor_probes import tasks_to_probe


def ablated() -> Logs:
    """The workflows of "words" ran on the tasks of "sums" too, as AFlow's `GSM8K-abl` on those of GSM8K."""
    logs = generated(12, 8)
    sums = np.array([task.suite == "sums" for task in logs.tasks])
    rows = (logs.suite == "sums") & sums[logs.task]
    return replace(
        logs.take(rows),
        workflows=tuple(replace(w, suite="sums-abl") if i % 4 == 0 else w for i, w in enumerate(logs.workflows)),
    )


@pytest.mark.parametrize("named", ["id", "words"])
def test_a_task_of_another_suite_than_the_workflow_s_is_found_in_the_logs(named: str) -> None:
    logs = ablated()
    known = logs.tasks[4]
    assert task_asked(known.id if named == "id" else known.text, "sums-abl", logs) == known


def test_of_equal_ids_the_one_in_the_workflow_s_suite_is_meant_and_an_id_before_words() -> None:
    one, two, other = Task("1", "a", "one"), Task("1", "b", "two"), Task("x", "a", "1")
    pair = generated(2, 2).take(np.zeros(0, int))
    logs = replace(pair, tasks=(other, one, two))
    assert [task_asked("1", suite, logs) for suite in ("a", "b")] == [one, two]


def test_a_suite_that_is_named_takes_the_words_of_a_logged_task_along() -> None:
    known = replace(generated().tasks[2], context="read this")
    logs = replace(generated(), tasks=(known, *generated().tasks[1:]))
    assert task_asked(known.id, "words", logs, moved=True) == Task("", "words", known.text, "read this")


def test_blanks_around_a_task_s_words_do_not_make_it_another(tmp_path: Path) -> None:
    known = Task("7", "sums", "What is it? \n")
    logs = replace(generated(), tasks=(known, *generated().tasks[1:]))
    (tmp_path / "task.txt").write_text(known.text)
    for asked in (known.text, known.text.strip(), f"@{tmp_path / 'task.txt'}"):
        assert task_asked(asked, "sums", logs) == known


def test_context_and_question_in_one_text_are_taken_apart_as_in_logs() -> None:
    known = Task("7", "sums", "Who was it?", "A long story.")
    logs = replace(generated(), tasks=(known, *generated().tasks[1:]))
    assert task_asked(joined(known), "sums", logs) == known
    assert task_asked(joined(known), "sums", None) == replace(known, id="")
    assert task_asked(joined(replace(known, context="Another.")), "sums", logs).id == ""


def test_tasks_to_probe_are_those_that_workflows_of_the_suite_ran_on() -> None:
    logs = ablated()
    ability = Ability(Encoder(None)).fit(logs)
    found = tasks_to_probe(ability, replace(logs.workflows[0], nodes=("new",) * len(logs.workflows[0].nodes)), logs, 99)
    assert {one.task for one in found} == {task.id for task in logs.tasks if task.suite == "sums"}


def test_pairs_in_floras_files_have_the_names_that_training_gave_them(tmp_path: Path) -> None:
    folder = tmp_path / "Math-AF"
    folder.mkdir()
    (folder / "test.jsonl").write_text(json.dumps(line()) + "\n")
    logs = read_flora(folder)
    assert pairs_in(folder / "test.jsonl", "") == [(logs.workflows[0], logs.tasks[0])]


def test_pairs_in_a_study_s_log_are_what_was_planned_and_known_before_each_trial(tmp_path: Path) -> None:
    file = tuned(tmp_path / "digits", trials=5) / "workflows.jsonl"
    logs, asked = read_studies(file), pairs_in(file, "")
    learnt = [(logs.workflows[w], logs.tasks[t]) for w, t in zip(logs.workflow, logs.task, strict=True)]
    assert len(asked) == 5
    assert asked[-len(learnt) :] == learnt


def test_pairs_of_our_own_lines_come_as_they_are(tmp_path: Path) -> None:
    logs = generated()
    (tmp_path / "a.jsonl").write_text(json.dumps(our_line((logs.workflows[3], logs.tasks[1], 5, 2))) + "\n")
    assert pairs_in(tmp_path / "a.jsonl", "") == [(logs.workflows[3], logs.tasks[1])]
