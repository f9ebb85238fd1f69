"""The summarizer and its text: deterministic, honest about what it does not know, never over its budget."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from doubles import SPACE, complete, failed
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.agents.context import Context
from luthier.agents.effects import effects
from luthier.agents.render import approx_tokens, render
from luthier.agents.summarizer import summarize
from luthier.trials.records import Cause, Config, Direction, Trial
from luthier.trials.space import Choice, Float, Space


def bowl(config: Config) -> float:
    """Best at lr 0.01; nothing else matters."""
    return (math.log10(float(config["lr"])) + 2) ** 2


def trials(n: int, seed: int = 0) -> list[Trial]:
    rng = np.random.default_rng(seed)
    configs = [SPACE.default(), *(SPACE.sample(rng) for _ in range(n - 1))][:n]
    return [
        failed(i, c, detail="Traceback\nMemoryError: 8 GiB")
        if i % 5 == 4
        else complete(
            i, c, (math.log10(float(c["lr"])) + 2) ** 2, [9.0, 5.0, 4.0, (math.log10(float(c["lr"])) + 2) ** 2]
        )
        for i, c in enumerate(configs)
    ]


def context(done: list[Trial], noise: tuple[float, ...] = (), direction: Direction = Direction.MINIMIZE) -> Context:
    return summarize(
        name="s", space=SPACE, trials=done, direction=direction, metric="loss", noise=noise, budget={"trials": 3}
    )


@pytest.mark.parametrize("n", [0, 1, 2, 10, 60])
@pytest.mark.parametrize("tokens", [300, 600, 1200])
def test_the_text_stays_within_its_budget(n: int, tokens: int) -> None:
    text = render(context(trials(n)), tokens)
    assert approx_tokens(text) <= tokens
    assert text.startswith("Goal: loss, lower is better")


@given(st.integers(0, 400), st.integers(0, 30))
@settings(max_examples=30)
def test_any_budget_is_kept_by_any_count(tokens: int, n: int) -> None:
    def words(text: str) -> int:
        return len(text.split())

    assert words(render(context(trials(n)), tokens, words)) <= tokens


def test_the_best_is_the_last_to_go() -> None:
    found = context(trials(12))
    assert found.best is not None
    for tokens in range(100, 1200, 50):
        assert f"trial {found.best.number}" in render(found, tokens)


def test_the_order_of_trials_does_not_matter() -> None:
    done = trials(15)
    mixed = done.copy()
    random.Random(1).shuffle(mixed)
    assert context(done) == context(mixed)


def test_test_metrics_never_enter() -> None:
    import dataclasses

    done = [dataclasses.replace(t, metrics={**t.metrics, "test_loss": 0.123456}) for t in trials(6)]
    assert "0.123" not in render(context(done), 5000)
    assert "test_loss" not in context(done).model_dump_json()


def test_a_log_line_stays_one_line_and_is_cut() -> None:
    log = "x\n\x1b[31m" + "y" * 999
    done = [complete(0, SPACE.default(), 1.0), failed(1, {**SPACE.default(), "lr": 0.5}, Cause.CRASH, log)]
    text = render(context(done), 5000)
    assert "\x1b" not in text
    assert "y" * 200 not in text
    firsts = {line.split()[0] for line in text.splitlines()}
    assert firsts == {"Goal:", "Best", "Latest", "Against", "Effect", "Avoid:", "Noise:", "Unexplored:"}


def test_noise_is_unknown_then_rough_then_known() -> None:
    done = [complete(0, SPACE.default(), 1.0)]
    assert context(done).noise.deviation is None
    assert "roughly" in context(done, (1.1, 0.9)).noise.text
    assert "roughly" not in context(done, (1.1, 0.9, 1.0)).noise.text
    assert context(done, (1.0,)).noise.deviation == 0


def test_a_gain_within_the_noise_is_called_so() -> None:
    done = [complete(0, SPACE.default(), 1.0), complete(1, {**SPACE.default(), "lr": 0.01}, 0.99)]
    compared = context(done, (1.1, 0.9)).against_best
    assert compared is not None
    assert "within the noise" in compared.text
    assert compared.gain == pytest.approx(0.01)
    assert compared.changes == ["lr 0.001 to 0.01"]


def test_what_differs_by_a_rounding_is_as_good() -> None:
    done = [complete(0, SPACE.default(), 0.3), complete(1, {**SPACE.default(), "lr": 0.01}, 0.1 + 0.2)]
    compared = context(done).against_best
    assert compared is not None
    assert (compared.gain, compared.text) == (0.0, "trial 1 is as good as trial 0")


def test_effects_find_what_matters_and_call_the_rest_unknown() -> None:
    found = {e.name: e for e in effects(SPACE, trials(40), Direction.MINIMIZE)}
    assert found["lr"].certain
    assert found["lr"].strength > 0.3  # higher is better towards 0.01
    assert not any(found[name].certain for name in ("units", "optimizer") if found[name].p_value > 0.1)
    assert not any(e.certain for e in effects(SPACE, trials(4), Direction.MINIMIZE))


def test_effects_mirror_with_the_direction() -> None:
    import dataclasses

    done = trials(20)
    mirrored = [dataclasses.replace(t, value=None if t.value is None else -t.value) for t in done]
    assert effects(SPACE, done, Direction.MINIMIZE) == effects(SPACE, mirrored, Direction.MAXIMIZE)


def test_idle_hyperparameters_look_certain_as_rarely_as_the_level_says() -> None:
    space = Space({"a": Float(0.0, 1.0, default=0.5), "b": Choice(("x", "y", "z"), default="x")})
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        done = [complete(i, space.sample(rng), float(rng.normal())) for i in range(10)]
        hits += sum(e.certain for e in effects(space, done, Direction.MINIMIZE))
    assert hits <= 40  # of 200 at level 0.1; 20 are expected


def test_failures_and_gaps_are_named() -> None:
    found = context(trials(10))
    assert all("out of memory" in text for text in found.avoid)
    space = Space({"x": Float(0.0, 1.0, default=0.0), "o": Choice(("p", "q"), default="p")})
    done = [complete(i, {"x": x, "o": "p"}, x) for i, x in enumerate((0.0, 0.1, 0.2))]
    gaps = summarize(name="s", space=space, trials=done, direction=Direction.MINIMIZE, metric="loss").unexplored
    assert gaps == ["x from 0.2 to 1", "o in q"]


GOLDEN = """\
Goal: loss, lower is better. 3 trials done. Left: 3 trials.
Best is trial 1: 0.25 (lr=0.01 units=64 optimizer=adam); not judged: 1 point, too few for a shape
Default is trial 0: 1 (lr=0.001 units=64 optimizer=adam); not judged: 1 point, too few for a shape
Latest is trial 2: no value (lr=0.5 units=64 optimizer=adam); crashed: out of memory: boom
Against the best before it: trial 2 failed; changed lr 0.01 to 0.5.
Effect unknown: lr, momentum, optimizer, units.
Avoid: out of memory: lr=0.5 units=64 optimizer=adam
Noise: noise roughly 0.1 (3 runs).
Unexplored: momentum from 0 to 0.99; units from 64 to 512; optimizer in sgd; lr from 1e-05 to 0.001."""


def test_the_text_is_this() -> None:
    base = SPACE.default()
    done = [complete(0, base, 1.0), complete(1, {**base, "lr": 0.01}, 0.25), failed(2, {**base, "lr": 0.5})]
    assert render(context(done, (1.1, 0.9)), 600) == GOLDEN
