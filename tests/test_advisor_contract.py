"""The contract of every advisor: new, valid, deterministic candidates, whatever the history."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from doubles import SPACE, complete, failed

from luthier.memory.transfer import PastStudy, TransferAdvisor
from luthier.trials.advisor import Advisor, seed_for
from luthier.trials.advisors import (
    GP_LIMIT,
    DefaultAdvisor,
    GPAdvisor,
    LocalAdvisor,
    RandomAdvisor,
    TPEAdvisor,
    best_candidate,
    default_advisors,
)
from luthier.trials.bayes import LIMIT, STREAK, BayesAdvisor
from luthier.trials.records import Candidate, Direction, State, Trajectory, Trial
from luthier.trials.space import Choice, Float, Int, Space

SMALL = Space({"a": Choice(("x", "y"), default="x"), "b": Int(1, 2, default=1)})


def past(space: Space, n: int = 12, seed: int = 5) -> PastStudy:
    """A study of another task in the same space; some of its trials failed."""
    rng = np.random.default_rng(seed)
    configs = tuple(space.sample(rng) for _ in range(n))
    values = tuple(None if i % 5 == 4 else float(space.to_unit(c).sum()) + 0.1 * i for i, c in enumerate(configs))
    return PastStudy(f"task-{seed}", Direction.MINIMIZE, configs, values)


TRANSFER = TransferAdvisor([past(SPACE), past(SPACE, seed=6), past(SMALL)])
BAYES = [BayesAdvisor(), BayesAdvisor("loss")]
ADVISORS = [DefaultAdvisor(), TRANSFER, *BAYES, GPAdvisor(), TPEAdvisor(), LocalAdvisor(), RandomAdvisor()]


def history(n: int, seed: int = 0, failures: bool = True) -> list[Trial]:
    """The default, then random trials; every fourth failed."""
    rng = np.random.default_rng(seed)
    configs = [SPACE.default(), *(SPACE.sample(rng) for _ in range(n - 1))][:n]
    return [
        failed(i, c)
        if failures and i % 4 == 3
        else complete(i, c, (math.log10(float(c["lr"])) + 2) ** 2 + float(c["units"]) / 1000)
        for i, c in enumerate(configs)
    ]


HISTORIES = {
    "nothing": [],
    "the default": history(1),
    "few": history(3),
    "some": history(8),
    "all failed": [failed(i, t.config) for i, t in enumerate(history(6))],
    "equal values": [replace(t, value=1.0) for t in history(6, failures=False)],
    "one pruned": [*history(5), replace(complete(5, SPACE.sample(np.random.default_rng(9)), 3.0), state=State.PRUNED)],
}


def ask(
    advisor: Advisor, trials: list[Trial], direction: Direction = Direction.MINIMIZE, **how: Any
) -> list[Candidate]:
    return advisor.advise(how.pop("space", SPACE), trials, direction, seed=how.pop("seed", 1), **how)


@pytest.mark.parametrize("advisor", ADVISORS, ids=lambda a: a.name)
@pytest.mark.parametrize("name", HISTORIES)
def test_candidates_are_new_valid_and_deterministic(advisor: Advisor, name: str) -> None:
    trials = HISTORIES[name]
    found = ask(advisor, trials, n=2)
    assert len(found) <= 2
    keys = [SPACE.key(c.config) for c in found]
    assert len(set(keys)) == len(keys)
    assert not set(keys) & {SPACE.key(t.config) for t in trials}
    for candidate in found:
        SPACE.validate(candidate.config)
        assert candidate.source == advisor.name
        assert candidate.reason
    assert ask(advisor, trials, n=2) == found


@pytest.mark.parametrize("advisor", ADVISORS, ids=lambda a: a.name)
def test_mirrored_values_and_direction_give_the_same_candidates(advisor: Advisor) -> None:
    trials = history(7)
    mirrored = [replace(t, value=None if t.value is None else -t.value) for t in trials]
    assert ask(advisor, trials) == ask(advisor, mirrored, Direction.MAXIMIZE)


@pytest.mark.parametrize("advisor", ADVISORS, ids=lambda a: a.name)
def test_a_small_space_that_is_used_up_ends_without_repetition(advisor: Advisor) -> None:
    configs = [{"a": a, "b": b} for a in ("x", "y") for b in (1, 2)]
    trials = [complete(i, c, float(i)) for i, c in enumerate(configs)]
    assert ask(advisor, trials, space=SMALL) == []


@pytest.mark.parametrize(
    ("advisor", "n"),
    [(BayesAdvisor(), 6), (GPAdvisor(), 6), (GPAdvisor(), 40), (TPEAdvisor(), 6), (TPEAdvisor(), 40)],
    ids=lambda case: str(getattr(case, "name", case)),
)
def test_a_constraint_that_few_points_satisfy_leaves_no_advisor_without_a_word(advisor: Advisor, n: int) -> None:
    """The better values lie beyond the constraint, where the samplers' wishes go."""
    space = Space({name: Float(0.0, 1.0, default=0.1) for name in "xyz"}, constraints=("x + y + z <= 0.5",))
    rng = np.random.default_rng(0)
    configs = [space.sample(rng, tries=10_000) for _ in range(n)]
    trials = [complete(i, c, -float(sum(c.values()))) for i, c in enumerate(configs)]
    (candidate,) = ask(advisor, trials, space=space)
    space.validate(candidate.config)


@pytest.mark.parametrize("advisor", [BayesAdvisor(), TPEAdvisor()], ids=lambda a: a.name)
def test_seeds_differ(advisor: Advisor) -> None:
    trials = history(2)
    assert ask(advisor, trials, seed=1) != ask(advisor, trials, seed=2)


def test_trial_zero_is_the_default_and_says_when_it_is_a_midpoint() -> None:
    (stated,) = ask(DefaultAdvisor(), [])
    assert stated.config == SPACE.default()
    (middle,) = ask(DefaultAdvisor(), [], space=Space({"x": Float(0.0, 4.0)}))
    assert middle.config == {"x": 2.0}
    assert "midpoint" in middle.reason
    assert best_candidate([c for a in default_advisors() for c in ask(a, [])]) == stated


@pytest.mark.parametrize("advisor", [BayesAdvisor(), GPAdvisor()], ids=lambda a: a.name)
def test_a_failed_place_is_not_proposed_again_and_again(advisor: Advisor) -> None:
    """A sampler that ignores failures proposes the failing point for ever."""
    trials = history(5, failures=False)
    for number in range(5, 10):
        (candidate,) = ask(advisor, trials, seed=seed_for(0, number, advisor.name))
        trials.append(failed(number, candidate.config))
    points = np.array([SPACE.to_unit(t.config) for t in trials[5:]])
    spread = np.abs(points[:, None] - points[None]).max(axis=-1)[np.triu_indices(5, 1)]
    assert spread.max() > 0.1


@pytest.mark.parametrize(("n", "source"), [(3, "bayes"), (LIMIT - 1, "bayes"), (max(LIMIT, GP_LIMIT), "tpe")])
def test_whose_candidate_runs_depends_on_how_much_is_known(n: int, source: str) -> None:
    trials = history(n)
    assert best_candidate([c for a in default_advisors() for c in ask(a, trials)]).source == source


@pytest.mark.parametrize("advisor", [BayesAdvisor(), GPAdvisor()], ids=lambda a: a.name)
def test_a_process_finds_the_valley(advisor: Advisor) -> None:
    trials = history(4, failures=False)
    for number in range(4, 14):
        (candidate,) = ask(advisor, trials, seed=seed_for(0, number, advisor.name))
        c = candidate.config
        value = (math.log10(float(c["lr"])) + 2) ** 2 + float(c["units"]) / 1000
        trials.append(complete(number, c, value))
    assert min(t.value for t in trials if t.value is not None) < 0.3


@pytest.mark.parametrize(
    ("stopped", "elsewhere"), [(STREAK - 1, False), (STREAK, True), (STREAK + 1, False), (2 * LIMIT + STREAK, True)]
)
def test_trainings_that_are_stopped_in_a_row_are_answered_by_looks_elsewhere(stopped: int, elsewhere: bool) -> None:
    """Near the best, where a process goes on looking, all may be flat; a failed trial tells nothing of that."""
    trials = history(6, failures=False)
    rng = np.random.default_rng(0)
    for number in range(6, 6 + stopped):
        config, curve = SPACE.sample(rng), Trajectory((1, 2), {"loss": (9.0, 9.0)})
        trials.append(Trial(number, config, State.PRUNED, 9.0, trajectory=curve, extra={"expected": 9.0}))
    trials.append(failed(len(trials), SPACE.sample(rng)))
    reasons = [c.reason for c in ask(BayesAdvisor(), trials)]
    assert any("hopeless" in reason for reason in reasons) is elsewhere
    trials.append(complete(len(trials), SPACE.sample(rng), 1.0))
    assert not any("hopeless" in c.reason for c in ask(BayesAdvisor(), trials))


@pytest.mark.parametrize(("better", "near"), [(False, True), (True, False)])
def test_start_points_stay_near_a_default_that_nothing_has_beaten(better: bool, near: bool) -> None:
    space = Space({f"x{i}": Float(0.0, 1.0, default=0.5) for i in range(20)})
    other = dict.fromkeys(space, 0.0)
    trials = [complete(0, space.default(), 1.0), complete(1, other, 0.5 if better else 2.0)]
    (candidate,) = ask(BayesAdvisor(), trials, space=space)
    assert (float(np.std(space.to_unit(candidate.config))) < 0.26) is near
    assert ("around the default" in candidate.reason) is near


@pytest.mark.parametrize(
    ("curve", "name", "way"),
    [
        ([1.0, 0.5, 0.4, 0.45, 0.6, 0.7, 0.8, 0.9], "dropout", 1),
        ([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3], "lr", 1),
    ],
)
def test_the_local_move_follows_the_diagnosis(curve: list[float], name: str, way: int) -> None:
    space = Space({"lr": Float(1e-4, 1.0, log=True, default=1e-2), "dropout": Float(0.0, 0.9, default=0.3)})
    best = complete(0, space.default(), curve[-1], curve)
    (candidate,) = ask(LocalAdvisor(), [best], space=space)
    moved = space[name].to_unit(candidate.config[name]) - space[name].to_unit(space.default()[name])
    assert math.copysign(1, moved) == way
    assert [n for n in space if candidate.config[n] != space.default()[n]] == [name]


def test_seeds_are_of_their_own() -> None:
    seeds = {seed_for(s, n, a) for s in range(3) for n in range(20) for a in ("gp", "tpe")}
    assert len(seeds) == 3 * 20 * 2
