"""The simple estimators: the contract, and what each of them says."""

from __future__ import annotations

import numpy as np
import pytest

from luthier.predictor import metrics
from luthier.predictor.baselines import GradientBoosting, LogisticRegression, Majority, SuiteMean
from luthier.predictor.splits import folds
from luthier.predictor.testing import EstimatorContract, Make, bare, generated


class TestMajority(EstimatorContract):
    @pytest.fixture
    def make(self) -> Make:
        return Majority


class TestSuiteMean(EstimatorContract):
    @pytest.fixture
    def make(self) -> Make:
        return SuiteMean


class TestLogisticRegression(EstimatorContract):
    @pytest.fixture
    def make(self) -> Make:
        return LogisticRegression


class TestGradientBoosting(EstimatorContract):
    @pytest.fixture
    def make(self) -> Make:
        return GradientBoosting


def test_majority_says_the_share_of_all_runs_and_the_suite_mean_that_of_the_suite() -> None:
    logs = generated()
    assert Majority().fit(logs).predict(bare(logs)).probability == pytest.approx(logs.frequency.mean(), abs=0.01)
    found = SuiteMean().fit(logs).predict(bare(logs)).probability
    for suite in ("sums", "words"):
        rows = logs.suite == suite
        assert found[rows] == pytest.approx(logs.frequency[rows].mean(), abs=0.01)


@pytest.mark.parametrize("make", [Majority, SuiteMean, LogisticRegression, GradientBoosting])
def test_they_abstain_where_the_suite_is_new(make: Make) -> None:
    logs = generated()
    found = make().fit(logs.take(logs.suite == "sums")).predict(bare(logs))
    assert (found.abstains == (logs.suite == "words")).all()
    assert np.isinf(found.deviation).all()


@pytest.mark.parametrize("make", [LogisticRegression, GradientBoosting])
@pytest.mark.parametrize("split", ["pair", "task", "workflow"])
def test_features_beat_the_suite_mean_where_there_is_something_to_learn(make: Make, split: str) -> None:
    logs = generated(tasks=60, workflows=30, seed=2)
    test = folds(logs, split) == 0
    auc = [
        metrics.auc(m.fit(logs.take(~test)).predict(bare(logs, test)).probability, logs.label[test])
        for m in (make(), SuiteMean())
    ]
    assert auc[0] > auc[1] + 0.05
