"""The splits: what must stay together does, whatever stands around it; and the benchmark's fold file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from luthier.predictor.evaluation import why_not
from luthier.predictor.logs import Logs
from luthier.predictor.splits import SPLITS, families, folds, split_rows
from luthier.predictor.testing import generated, shuffled


@pytest.fixture
def logs() -> Logs:
    return generated(tasks=20, workflows=12)


@pytest.mark.parametrize("split", SPLITS)
def test_every_pair_is_tested_once_and_never_trained_on_then(logs: Logs, split: str) -> None:
    fold = folds(logs, split)
    tested = 0
    for held in np.unique(fold):
        train, test = split_rows(logs, fold, int(held))
        assert len(train) > 0
        assert len(train) + len(test) == len(logs)
        tested += len(test)
        apart = {
            "pair": (list(zip(train.graph, train.task, strict=True)), list(zip(test.graph, test.task, strict=True))),
            "task": (train.task, test.task),
            "workflow": (train.graph, test.graph),
            "suite": (train.suite, test.suite),
        }[split]
        assert not {*apart[0]} & {*apart[1]}
    assert tested == len(logs)


@pytest.mark.parametrize("split", SPLITS)
def test_content_decides_and_not_the_place(logs: Logs, split: str) -> None:
    moved, order = shuffled(logs, seed=3)
    assert (folds(moved, split) == folds(logs, split)[order]).all()


def test_the_seed_decides(logs: Logs) -> None:
    assert (folds(logs, "pair", seed=1) == folds(logs, "pair", seed=1)).all()
    assert (folds(logs, "pair", seed=1) != folds(logs, "pair", seed=2)).any()


def test_pairs_are_spread_over_folds_in_each_suite(logs: Logs) -> None:
    fold = folds(logs, "pair")
    for suite in np.unique(logs.suite):
        counts = np.bincount(fold[logs.suite == suite], minlength=5)
        assert counts.max() - counts.min() <= 2


def test_tasks_and_graphs_are_spread_evenly(logs: Logs) -> None:
    for split, unit in (("task", logs.task), ("workflow", logs.graph)):
        fold = folds(logs, split)
        counts = [len(np.unique(unit[fold == k])) for k in range(5)]
        assert max(counts) - min(counts) <= 1


def test_equal_graphs_under_other_ids_stay_together(logs: Logs) -> None:
    twin = replace(logs.workflows[0], id="twin", parent="another")
    place = np.where(np.arange(len(logs)) % 2, logs.workflow, len(logs.workflows))
    both = replace(logs, workflows=(*logs.workflows, twin), workflow=np.where(logs.workflow == 0, place, logs.workflow))
    fold = folds(both, "workflow")
    assert len(np.unique(fold[both.graph == both.graph[np.argmax(logs.workflow == 0)]])) == 1


def test_equal_tasks_under_other_ids_stay_together(logs: Logs) -> None:
    twin = replace(logs.tasks[0], id="twin", suite="another")
    place = logs.task.copy()
    place[np.flatnonzero(place == 0)[::2]] = len(logs.tasks)
    both = replace(logs, tasks=(*logs.tasks, twin), task=place)
    for split in SPLITS:
        assert (folds(both, split) == folds(logs, split)).all()


def test_tasks_without_words_are_told_apart_by_their_ids(logs: Logs) -> None:
    bare = replace(logs, tasks=tuple(replace(task, text="", context="") for task in logs.tasks))
    assert (folds(bare, "task") == folds(logs, "task")).all()


def test_one_task_under_many_ids_is_too_few_for_a_split(logs: Logs) -> None:
    same = replace(logs, tasks=tuple(replace(task, text="Solve it.", context="") for task in logs.tasks))
    assert why_not(same, "task") == "it takes more than one task with words of its own, and the logs have 1"
    assert why_not(same, "pair") == ""


def test_suites_that_share_tasks_are_one_family(logs: Logs) -> None:
    ablation = tuple(replace(w, suite="sums-abl") if i % 4 == 0 else w for i, w in enumerate(logs.workflows))
    shared = replace(logs, workflows=ablation)
    assert set(shared.suite) == {"sums", "sums-abl", "words"}
    assert set(families(shared)) == {"sums", "words"}
    fold = folds(shared, "suite")
    assert len(set(fold[np.isin(shared.suite, ["sums", "sums-abl"])])) == 1
    assert len(set(fold)) == 2


def test_a_wrong_request_says_what_is_right(logs: Logs) -> None:
    with pytest.raises(ValueError, match="pair, task, workflow, suite"):
        folds(logs, "pears")
    with pytest.raises(ValueError, match="at least 2 folds, but got 1"):
        folds(logs, "pair", 1)
