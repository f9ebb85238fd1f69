"""Evaluation: held out means held out, finished folds are not repeated, and intervals hold the value."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from luthier.predictor import metrics
from luthier.predictor.ability import Ability, Rasch
from luthier.predictor.baselines import Majority, SuiteMean
from luthier.predictor.encoding import Encoder
from luthier.predictor.evaluation import METRICS, HeldOut, figures, hold_out, why_not
from luthier.predictor.splits import folds
from luthier.predictor.testing import generated

MODELS = {"majority": Majority, "Rasch": Rasch, "luthier": partial(Ability, Encoder(None))}


class Memory:
    """Keeps estimates in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, np.ndarray] = {}

    def get(self, name: str) -> np.ndarray | None:
        return self.kept.get(name)

    def put(self, name: str, probability: np.ndarray) -> None:
        assert name not in self.kept
        self.kept[name] = probability


def test_each_row_is_said_by_a_model_that_has_not_seen_its_fold() -> None:
    logs = generated(20, 8)
    held = hold_out(logs, "task", MODELS, count=4)
    fold = folds(logs, "task", 4)
    for one in np.unique(fold):
        rows = fold == one
        said = Rasch().fit(logs.take(~rows)).predict(logs.take(rows)).probability
        assert np.array_equal(held.probability["Rasch"][rows], said)


def test_finished_folds_are_taken_and_what_does_not_fit_is_done_again() -> None:
    logs, memory = generated(20, 8), Memory()
    first = hold_out(logs, "pair", MODELS, count=3, kept=memory)
    assert len(memory.kept) == 9
    again = hold_out(logs, "pair", MODELS, count=3, kept=memory)
    assert all(np.array_equal(first.probability[name], again.probability[name]) for name in MODELS)
    memory.kept["pair-0-Rasch"] = np.zeros(1)
    with pytest.raises(AssertionError):
        hold_out(logs, "pair", MODELS, count=3, kept=memory)


def test_progress_goes_from_0_to_1() -> None:
    seen: list[float] = []
    hold_out(generated(), "pair", {"mean": SuiteMean}, count=3, progress=lambda what, share: seen.append(share))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)


@pytest.mark.parametrize("split", ["pair", "task", "workflow", "suite"])
def test_figures_are_those_of_the_metrics(split: str) -> None:
    logs = generated(30, 10)
    held = hold_out(logs, split, MODELS, count=3)
    found = {(f.model, f.metric): f for f in figures(held)}
    for name, p in held.probability.items():
        assert found[name, "AUC"].value == pytest.approx(metrics.auc(p, logs.label))
        assert found[name, "Brier"].value == pytest.approx(metrics.brier(p, logs.frequency))
        assert found[name, "accuracy"].value == pytest.approx(metrics.accuracy(p, logs.label))
        assert found[name, "calibration error"].value == pytest.approx(metrics.calibration_error(p, logs.frequency))
    gaps = [f for f in found.values() if " - " in f.model]
    assert [f.metric for f in gaps] == [*METRICS]
    best = gaps[0].model.removeprefix("luthier - ")
    ours, theirs = found["luthier", "AUC"].value, found[best, "AUC"].value
    assert gaps[0].value == pytest.approx((ours or 0) - (theirs or 0))
    assert all(f.low is not None and f.high is not None and f.low <= f.high for f in found.values())


def test_within_suites_knowing_the_suite_is_worth_nothing() -> None:
    logs = generated(30, 10)
    suite = np.where(logs.suite == "sums", 0.9, 0.2)
    found = {f.metric: f.value for f in figures(HeldOut("pair", logs, {"luthier": suite}))}
    assert found["AUC within suites"] == pytest.approx(0.5)
    assert found["AUC"] != pytest.approx(0.5)


def test_one_class_only_has_no_auc_but_an_accuracy() -> None:
    logs = generated()
    sure = logs.take(logs.label == 1)
    found = {f.metric: f for f in figures(HeldOut("pair", sure, {"luthier": np.full(len(sure), 0.9)}))}
    assert found["AUC"].value is None
    assert found["accuracy"].value == 1


def test_what_cannot_be_split_is_said() -> None:
    logs = generated(6, 4)
    one = logs.take((logs.workflow == 0) & (logs.task == 0))
    for split in ("pair", "task", "workflow", "suite"):
        assert why_not(logs, split) == ""
        assert "more than one" in why_not(one, split)
        with pytest.raises(ValueError, match="more than one"):
            hold_out(one, split, MODELS, count=2)
