"""The hierarchical predictor: the contract, what it must recover, and what a few probes must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.models.fake_embedder import HashEmbedder
from luthier.predictor import mixed
from luthier.predictor.ability import Ability, Rasch
from luthier.predictor.crossed import Crossed
from luthier.predictor.encoding import Encoder
from luthier.predictor.estimator import Estimator
from luthier.predictor.graph_ability import GraphAbility
from luthier.predictor.logs import LoggedWorkflow, Logs, Pairs, Task
from luthier.predictor.mixed import Block, Rows
from luthier.predictor.probe import information, telling
from luthier.predictor.testing import EstimatorContract, generated


class TestAbility(EstimatorContract):
    @pytest.fixture
    def make(self) -> Callable[[], Estimator]:
        return lambda: Ability(Encoder(HashEmbedder(32)))


class TestAbilityWithoutTexts(EstimatorContract):
    @pytest.fixture
    def make(self) -> Callable[[], Estimator]:
        return lambda: Ability(Encoder(None))


class TestRasch(EstimatorContract):
    @pytest.fixture
    def make(self) -> Callable[[], Estimator]:
        return Rasch


class TestGraphAbility(EstimatorContract):
    @pytest.fixture
    def make(self) -> Callable[[], Estimator]:
        return lambda: GraphAbility(Encoder(HashEmbedder(32)))


def planted(abilities: np.ndarray, difficulty: np.ndarray, runs: int, seed: int) -> Logs:
    """Every workflow on every task of one suite, by the model's own formula."""
    rng = np.random.default_rng(seed)
    workflows = tuple(LoggedWorkflow(f"w{i}", "s", (f"prompt {i}",)) for i in range(len(abilities)))
    tasks = tuple(Task(f"t{i}", "s", f"task {i}") for i in range(len(difficulty)))
    pairs = Pairs.all_of(workflows, tasks)
    chance = 1 / (1 + np.exp(difficulty[pairs.task] - abilities[pairs.workflow]))
    counted = np.full(len(pairs), runs)
    return Logs(workflows, tasks, pairs.workflow, pairs.task, runs=counted, successes=rng.binomial(runs, chance))


def test_planted_abilities_and_difficulties_come_out_again() -> None:
    rng = np.random.default_rng(3)
    abilities, difficulty = rng.normal(0, 1, 15), rng.normal(0, 1.5, 80)
    logs = planted(abilities, difficulty, 10, 4)
    rasch = Rasch().fit(logs)
    posterior = rasch.posterior
    assert posterior is not None
    of_workflow = next(block.columns for block in rasch.blocks() if block.name == "workflow")
    found = [posterior.b[of_workflow], -posterior.u]
    for effect, true in zip(found, (_by_graph(logs, abilities), _by_key(difficulty)), strict=True):
        assert np.corrcoef(effect, true)[0, 1] > 0.95
    assert posterior.group_variance[0] == pytest.approx(1.5**2, rel=0.5)
    assert posterior.rho < 0.05  # the runs of a pair are independent here


def _by_graph(logs: Logs, abilities: np.ndarray) -> np.ndarray:
    return abilities[np.argsort([workflow.graph_key for workflow in logs.workflows])]


def _by_key(difficulty: np.ndarray) -> np.ndarray:
    return difficulty[np.argsort([f"t{i}" for i in range(len(difficulty))])]


def test_intervals_of_the_logit_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    inside = []
    for seed in range(6):
        abilities, difficulty = rng.normal(0, 1, 12), rng.normal(0, 1.5, 40)
        logs = planted(abilities, difficulty, 3, seed)
        mean, variance = Rasch().fit(logs).logit(logs)
        truth = abilities[logs.workflow] - difficulty[logs.task]
        inside.append(np.abs(truth - mean) < 1.96 * np.sqrt(variance))
    assert 0.9 < np.mean(inside) < 0.99


def test_a_broken_workflow_moves_the_others_less_when_tails_are_heavy() -> None:
    logs = planted(np.array([0.5, 0.6, 0.4, 0.55, 0.45, 0.5, -9.0]), np.random.default_rng(1).normal(0, 1, 60), 5, 2)
    fresh = Pairs((LoggedWorkflow("new", "s", ("another prompt",)),), logs.tasks, np.zeros(60, int), np.arange(60))
    heavy, normal = Ability(Encoder(None), frozenset()).fit(logs), Rasch().fit(logs)
    usual = logs.take(logs.workflow < 6).frequency.mean()
    error = [abs(estimator.predict(fresh).probability.mean() - usual) for estimator in (heavy, normal)]
    assert error[0] < error[1] / 2


def test_runs_that_repeat_each_other_count_less() -> None:
    logs = generated(runs=5)
    copied = replace(logs, successes=np.where(2 * logs.successes >= logs.runs, logs.runs, 0))
    assert Rasch().fit(copied).rho > Rasch().fit(logs).rho


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 4), st.integers(1, 6))
def test_any_counts_give_finite_effects_and_a_covariance(seed: int, n: int, d: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    runs = rng.integers(1, 9, n)
    X = sp.csr_matrix(rng.normal(0, 1, (n, d)) * rng.integers(0, 2, (n, d)))
    rows = Rows(X, rng.integers(k, size=n), rng.integers(2, size=k), rng.integers(0, runs + 1), runs)
    found = mixed.fit(rows, [Block("all", np.arange(d), heavy=bool(seed % 2))])
    mean, variance = found.logit(X, np.append(rows.task[:-1], -1), np.full(n, -1))
    assert np.isfinite(mean).all()
    assert (variance > 0).all()
    assert (np.linalg.eigvalsh(found.covariance) > 0).all()


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 5), st.integers(1, 4))
def test_sums_over_tasks_and_kinds_are_sums_over_rows(seed: int, n: int, k: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    task, kind = rng.integers(k, size=n), rng.integers(m, size=n)
    of_task, of_kind, own = (rng.normal(0, 1, (many, 2)) * rng.integers(0, 2, (many, 2)) for many in (k, m, n))
    X = np.hstack([of_task[task], of_kind[kind], own * (seed % 2)])[:, rng.permutation(6)]
    sums, b, weight = Crossed(sp.csr_matrix(X), task, k), rng.normal(0, 1, 6), rng.uniform(0, 1, n)
    member = np.eye(k)[task]
    gram, cross = sums.moments(weight)
    np.testing.assert_allclose(sums.times(b), X @ b, atol=1e-9)
    np.testing.assert_allclose(sums.summed(weight), X.T @ weight, atol=1e-9)
    np.testing.assert_allclose(sums.by_task(weight), member.T @ weight, atol=1e-9)
    np.testing.assert_allclose(gram, X.T @ (weight[:, None] * X), atol=1e-9)
    np.testing.assert_allclose(cross, member.T @ (weight[:, None] * X), atol=1e-9)


def test_a_task_of_a_suite_is_not_the_task_of_another_with_the_same_id() -> None:
    logs = generated()
    twin = replace(logs.tasks[0], suite="elsewhere")
    asked = Pairs(logs.workflows, (logs.tasks[0], twin), np.zeros(2, int), np.arange(2))
    estimates = Ability(Encoder(None)).fit(logs).predict(asked)
    assert estimates.deviation[1] > estimates.deviation[0]


NEW = LoggedWorkflow("new", "sums", ("Solve it.", "Answer.", "Check."), ((0, 1), (1, 2)), ("Custom", "Custom", "Test"))


def probes(logs: Logs, successes: list[int], model: str = "") -> Logs:
    """Runs of one new workflow on the first tasks of its suite."""
    tasks = np.flatnonzero([task.suite == "sums" for task in logs.tasks])[: len(successes)]
    workflow = replace(NEW, models=(model,) * 3)
    zero, one = np.zeros(len(tasks), int), np.ones(len(tasks), int)
    return Logs((workflow,), logs.tasks, zero, tasks, runs=one, successes=np.array(successes))


def test_probes_move_the_estimate_their_way() -> None:
    logs = generated(tasks=30)
    trained = Ability(Encoder(None)).fit(logs)
    good, bad = probes(logs, [1] * 10), probes(logs, [0] * 10)
    before = trained.predict(good)
    assert (trained.probed(good).predict(good).probability > before.probability).all()
    assert (trained.probed(bad).predict(good).probability < before.probability).all()


def test_probes_that_came_as_expected_narrow_the_estimate() -> None:
    logs = planted(np.random.default_rng(1).normal(0, 1, 12), np.zeros(60), 5, 2)
    trained = Rasch().fit(logs)
    fresh = Pairs((LoggedWorkflow("new", "s", ("another",)),), logs.tasks, np.zeros(60, int), np.arange(60))
    share = round(60 * trained.predict(fresh).probability.mean())
    seen = Logs(
        fresh.workflows,
        fresh.tasks,
        fresh.workflow,
        fresh.task,
        runs=np.ones(60, int),
        successes=(np.arange(60) < share).astype(int),
    )
    assert (trained.probed(seen).predict(fresh).deviation < trained.predict(fresh).deviation).all()


@pytest.mark.parametrize("count", [1, 3, 10, 40])
def test_a_workflow_that_fails_all_probes_against_expectation_is_found_to_be_bad(count: int) -> None:
    logs = planted(np.random.default_rng(1).normal(0, 2, 12), np.full(40, -5.0), 5, 2)
    trained = Rasch().fit(logs)
    fresh = Pairs((LoggedWorkflow("new", "s", ("another",)),), logs.tasks, np.zeros(40, int), np.arange(40))
    rows = np.arange(count)
    runs = Logs(fresh.workflows, fresh.tasks, fresh.workflow[rows], rows, runs=np.ones(count, int), successes=0 * rows)
    before, after = (one.predict(fresh).probability.mean() for one in (trained, trained.probed(runs)))
    assert before > 0.9
    assert after < before - 0.05
    if count >= 10:
        assert after < 0.3


def test_a_task_that_all_or_none_solve_is_not_worth_a_probe() -> None:
    logs = planted(np.random.default_rng(1).normal(0, 0.5, 12), np.linspace(-6, 6, 60), 5, 2)
    trained = Rasch().fit(logs)
    fresh = Pairs((LoggedWorkflow("new", "s", ("another",)),), logs.tasks, np.zeros(60, int), np.arange(60))
    told = information(trained, fresh)
    assert ((told > 0) & (told <= 0.25)).all()
    assert set(np.argsort(-told)[:10]) <= set(range(20, 40))
    assert told[[0, 59]].max() < told[25:35].min() / 3
    assert (trained.worth(fresh, logs) <= told).all()


def test_a_task_that_good_and_bad_workflows_solve_alike_is_not_worth_a_probe() -> None:
    logs = planted(np.linspace(-2, 2, 12), np.zeros(30), 5, 2)
    luck = np.random.default_rng(3).binomial(5, 0.5, len(logs))
    mixed_up = replace(logs, successes=np.where(logs.task < 15, luck, logs.successes))
    told = telling(mixed_up, mixed_up)
    assert ((told >= 0) & (told <= 1)).all()
    assert told[logs.task >= 15].min() > told[logs.task < 15].mean() + 0.2
    unseen = Pairs(logs.workflows, (Task("new", "s", "x"), Task("new", "t", "x")), np.zeros(2, int), np.arange(2))
    assert telling(logs, unseen)[0] == pytest.approx(telling(logs, logs)[:30].mean())
    assert telling(logs, replace(unseen, workflows=(replace(logs.workflows[0], suite=""),)))[1] == 1


def test_suites_that_share_tasks_tell_of_each_others() -> None:
    spreads = (np.linspace(-2, 2, 12), np.zeros(12))
    apart, alike = (planted(spread, np.zeros(20), 5, seed) for seed, spread in enumerate(spreads))
    other = tuple(replace(w, id=f"other {w.id}", suite="other") for w in alike.workflows)
    both = Logs(
        (*apart.workflows, *other),
        apart.tasks,
        np.concatenate([apart.workflow, alike.workflow + len(apart.workflows)]),
        np.concatenate([apart.task, alike.task]),
        runs=np.concatenate([apart.runs, alike.runs]),
        successes=np.concatenate([apart.successes, alike.successes]),
    )
    expected = (telling(apart, apart) + telling(both.take(both.suite == "other"), alike)) / 2
    np.testing.assert_allclose(telling(both, apart), expected)


def test_probes_on_worthy_tasks_tell_workflows_apart_better_than_on_random_ones() -> None:
    abilities = np.random.default_rng(1).normal(0, 1, 60)
    logs = planted(abilities, np.random.default_rng(2).normal(-3, 3, 80), 1, 3)
    known, fresh = logs.take(logs.workflow < 20), logs.take(logs.workflow >= 20)
    trained, rng = Rasch().fit(known), np.random.default_rng(4)
    worth, errors = trained.worth(fresh, known), []
    for score in (worth, rng.random(len(fresh))):
        rows = [np.flatnonzero(fresh.workflow == w) for w in range(20, 60)]
        best = np.concatenate([one[np.argsort(-score[one])[:8]] for one in rows])
        after = trained.probed(fresh.take(best)).predict(fresh).probability
        rates = np.array([[p[one].mean() for one in rows] for p in (after, fresh.frequency)])
        errors.append(np.abs(rates[0] - rates[1]).mean())
    assert errors[0] < errors[1]


def test_training_is_believed_less_of_a_new_workflow_than_of_a_known_one() -> None:
    logs = planted(np.random.default_rng(1).normal(0, 1, 12), np.zeros(40), 5, 2)
    trained = Rasch().fit(logs)
    new, known = LoggedWorkflow("new", "s", ("another",)), logs.workflows[0]
    for workflow, wider in ((new, True), (known, False)):
        one = Logs((workflow,), logs.tasks, np.zeros(1, int), np.zeros(1, int), runs=np.ones(1), successes=np.ones(1))
        own, before = trained.open_ability(one)[0], trained.logit(one)[1][0]
        left = trained.probed(one).logit(one)[1][0] - max(before - own, 0)
        assert (left > own) == wider


def test_probes_leave_other_workflows_as_they_were() -> None:
    logs = generated(tasks=30)
    trained = Ability(Encoder(None)).fit(logs)
    after = trained.probed(probes(logs, [1, 0, 1])).predict(logs)
    np.testing.assert_allclose(after.probability, trained.predict(logs).probability)


def test_probes_of_a_new_model_speak_for_other_workflows_under_it() -> None:
    logs = generated(tasks=30)
    trained = Ability(Encoder(None)).fit(logs)
    other = replace(NEW, id="other", nodes=("Write the code.", "Answer.", "Check."), models=("huge",) * 3)
    asked = Pairs((other,), logs.tasks, np.zeros(3, int), np.arange(3))
    after = trained.probed(probes(logs, [0] * 15, model="huge")).predict(asked)
    assert (after.probability < trained.predict(asked).probability).all()


def test_many_probes_come_close_to_training_again_with_them() -> None:
    rng = np.random.default_rng(8)
    abilities, difficulty = rng.normal(0, 1, 20), rng.normal(0, 1, 60)
    logs = planted(abilities, difficulty, 5, 9)
    known, fresh = logs.take(logs.workflow < 19), logs.take(logs.workflow == 19)
    after = Rasch().fit(known).probed(fresh).predict(fresh).probability
    again = Rasch().fit(logs).predict(fresh).probability
    assert np.abs(after - again).mean() < 0.05
