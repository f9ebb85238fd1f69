"""What every `Estimator` keeps to, as tests to inherit: give a pytest fixture `make`, which makes an untrained one.

class TestMine(EstimatorContract):
    @pytest.fixture
    def make(self) -> Callable[[], Estimator]:
        return Mine
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .estimator import Estimates, Estimator
from .logs import LoggedWorkflow, Logs, Pairs, Task

Make = Callable[[], Estimator]
CLOSE = 1e-5  # sums in another order; networks count in single precision
PROMPTS = ("Solve it.", "Think step by step.", "Check the answer.", "Write the code.", "Choose the best answer.")
OPERATORS = ("Custom", "ScEnsemble", "Test")
MODELS = ("small", "large")


def generated(tasks: int = 12, workflows: int = 8, seed: int = 0, runs: int = 5) -> Logs:
    """Logs of two suites, "sums" and "words": every workflow with every task of its suite.

    Longer tasks are harder, and longer workflows are better, so there is something to learn.
    """
    rng = np.random.default_rng(seed)
    suites = ("sums", "words")
    known = tuple(_task(i, suites[i % 2], rng) for i in range(tasks))
    made = tuple(_workflow(i, suites[i % 2], rng) for i in range(workflows))
    pairs = [(w, t) for w in range(workflows) for t in range(tasks) if w % 2 == t % 2]
    w, t = np.array(pairs).T
    hard = np.array([len(task.text) for task in known]) / 60
    able = np.array([len(workflow.nodes) for workflow in made]) / 2
    chance = 1 / (1 + np.exp(hard[t] - able[w] - rng.normal(0, 1, tasks)[t]))
    return Logs(made, known, w, t, runs=np.full(len(w), runs), successes=rng.binomial(runs, chance))


def _task(number: int, suite: str, rng: np.random.Generator) -> Task:
    numbers = " + ".join(str(x) for x in rng.integers(1, 99, rng.integers(2, 30)))
    return Task(f"{number}", suite, f"What is {numbers}? Case {number}.", "a context" * (number % 3))


def _workflow(number: int, suite: str, rng: np.random.Generator) -> LoggedWorkflow:
    count = int(rng.integers(1, 6))
    return LoggedWorkflow(
        id=f"{suite}-{number}",
        suite=suite,
        nodes=(*(str(rng.choice(PROMPTS)) for _ in range(count)), f"Answer {number}."),
        edges=tuple((i, i + 1) for i in range(count)),
        operators=tuple(str(rng.choice(OPERATORS)) for _ in range(count + 1)),
        models=tuple(str(rng.choice(MODELS)) for _ in range(count + 1)),
        parent=f"{suite}-{number - 2}" if number > 1 else "",
        round=number // 2 + 1,
    )


def shuffled(logs: Logs, seed: int = 0) -> tuple[Logs, np.ndarray]:
    """The same pairs, with workflows, tasks and rows in other places; and the old row of each new one."""
    rng = np.random.default_rng(seed)
    w, t, rows = (rng.permutation(n) for n in (len(logs.workflows), len(logs.tasks), len(logs)))
    moved = Logs(
        tuple(logs.workflows[i] for i in w),
        tuple(logs.tasks[i] for i in t),
        np.argsort(w)[logs.workflow[rows]],
        np.argsort(t)[logs.task[rows]],
        runs=logs.runs[rows],
        successes=logs.successes[rows],
    )
    return moved, rows


def bare(logs: Logs, rows: np.ndarray | None = None) -> Pairs:
    """The pairs without their outcomes, all or some rows of them."""
    part = logs if rows is None else logs.take(rows)
    return Pairs(part.workflows, part.tasks, part.workflow, part.task)


def strange() -> Pairs:
    """Pairs of which training has seen nothing: suite, texts, operators, models, loops; also an empty prompt."""
    known = generated()
    alien = LoggedWorkflow(
        "alien", "letters", ("", "再試行"), ((0, 1), (1, 0)), ("Fly",) * 2, ("huge", ""), conditional=(True, False)
    )
    plain = LoggedWorkflow("plain", "", ("just this",))
    tasks = (Task("t", "letters", "écrire\n" * 300, "c" * 9000), Task("", "", ""), known.tasks[0])
    return Pairs.all_of((alien, plain, known.workflows[0]), tasks)


class EstimatorContract:
    """The contract of `Estimator`, sentence by sentence."""

    def test_estimates_are_probabilities_with_a_deviation_and_a_flag(self, make: Make) -> None:
        logs = generated()
        found = make().fit(logs).predict(bare(logs))
        sound(found, len(logs))

    def test_it_has_a_name(self, make: Make) -> None:
        assert make().name

    def test_fit_gives_itself_back(self, make: Make) -> None:
        estimator = make()
        assert estimator.fit(generated()) is estimator

    def test_the_same_logs_give_the_same_estimates(self, make: Make) -> None:
        logs, other = generated(), generated(seed=1)
        refitted = make().fit(other).fit(logs)
        for estimator in (make().fit(logs), refitted):
            same(estimator.predict(bare(other)), make().fit(logs).predict(bare(other)), exact=True)

    def test_predicting_changes_nothing(self, make: Make) -> None:
        logs = generated()
        estimator = make().fit(logs)
        first = estimator.predict(bare(logs))
        estimator.predict(strange())
        same(estimator.predict(bare(logs)), first, exact=True)

    def test_training_leaves_the_logs_as_they_are(self, make: Make) -> None:
        logs = generated()
        make().fit(logs)
        again = generated()
        assert (logs.workflows, logs.tasks) == (again.workflows, again.tasks)
        for name in ("workflow", "task", "runs", "successes"):
            assert (getattr(logs, name) == getattr(again, name)).all()

    def test_predict_never_reads_outcomes(self, make: Make) -> None:
        logs = generated()
        estimator = make().fit(logs)
        flipped = replace(logs, successes=logs.runs - logs.successes)
        same(estimator.predict(flipped), estimator.predict(bare(logs)), exact=True)

    def test_an_estimate_does_not_depend_on_company_or_order(self, make: Make) -> None:
        logs = generated()
        estimator = make().fit(logs.take(logs.task % 4 != 0))
        together = estimator.predict(bare(logs))
        rows = np.random.default_rng(0).permutation(len(logs))
        same(estimator.predict(bare(logs, rows)), part(together, rows))
        for row in rows[:5]:
            same(estimator.predict(bare(logs, np.array([row]))), part(together, np.array([row])))
        twice = np.concatenate([rows[:3], rows[:3]])
        same(estimator.predict(bare(logs, twice)), part(together, twice))

    def test_content_and_not_place_says_what_a_task_or_workflow_is(self, make: Make) -> None:
        logs = generated()
        estimator = make().fit(logs)
        moved, rows = shuffled(logs)
        same(estimator.predict(bare(moved)), part(estimator.predict(bare(logs)), rows))
        renamed = replace(logs, workflows=tuple(replace(w, id=f"{w.id}-again") for w in logs.workflows))
        same(estimator.predict(bare(renamed)), estimator.predict(bare(logs)))

    def test_unseen_tasks_and_workflows_are_fine(self, make: Make) -> None:
        logs = generated(tasks=16, workflows=12)
        for unseen in (logs.task < 4, logs.workflow < 4, (logs.task < 4) | (logs.workflow < 4)):
            estimator = make().fit(logs.take(~unseen))
            sound(estimator.predict(bare(logs)), len(logs))

    def test_unseen_operators_models_texts_and_suites_are_fine(self, make: Make) -> None:
        pairs = strange()
        sound(make().fit(generated()).predict(pairs), len(pairs))

    def test_logs_with_one_outcome_only_are_fine(self, make: Make) -> None:
        logs = generated()
        high = make().fit(replace(logs, successes=logs.runs)).predict(bare(logs))
        low = make().fit(replace(logs, successes=0 * logs.runs)).predict(bare(logs))
        for found in (high, low):
            sound(found, len(logs))
        assert high.probability.mean() > 0.5 > low.probability.mean()

    def test_one_pair_is_enough_to_learn_from(self, make: Make) -> None:
        logs = generated()
        estimator = make().fit(logs.take(np.array([3])))
        sound(estimator.predict(bare(logs)), len(logs))

    def test_nothing_is_predicted_of_no_pairs(self, make: Make) -> None:
        logs = generated()
        sound(make().fit(logs).predict(bare(logs, np.array([], int))), 0)

    def test_nothing_can_be_learned_from_no_pairs(self, make: Make) -> None:
        with refused("learn"):
            make().fit(generated().take(np.array([], int)))

    def test_predicting_comes_after_fitting(self, make: Make) -> None:
        with refused("fit"):
            make().predict(bare(generated()))

    def test_progress_ends_at_1(self, make: Make) -> None:
        seen: list[float] = []
        make().fit(generated(), lambda what, share: seen.append(share))
        assert seen == sorted(seen)
        assert not seen or (seen[-1] == 1 and seen[0] >= 0)


class refused:
    """A ValueError with these words in it, as `pytest.raises`: the product does not depend on pytest."""

    def __init__(self, *words: str) -> None:
        self._words = words

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        assert isinstance(error, ValueError), f"expected a ValueError, but got {error!r}"
        assert all(word in str(error) for word in self._words), error
        return True


def sound(found: Estimates, count: int) -> None:
    """Shapes and ranges of estimates."""
    assert found.probability.shape == found.deviation.shape == found.abstains.shape == (count,)
    assert found.abstains.dtype == bool
    assert ((found.probability > 0) & (found.probability < 1)).all()
    assert (found.deviation >= 0).all()  # false for NaN too


def part(found: Estimates, rows: np.ndarray) -> Estimates:
    """Some of the estimates."""
    return Estimates(found.probability[rows], found.deviation[rows], found.abstains[rows])


def same(one: Estimates, other: Estimates, exact: bool = False) -> None:
    """Equal estimates; but for rounding where not exact."""
    for name in ("probability", "deviation"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a == b).all() if exact else np.allclose(a, b, rtol=10 * CLOSE, atol=CLOSE), (name, a, b)
    assert (one.abstains == other.abstains).all()
