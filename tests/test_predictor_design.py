"""The columns of the mixed model: what features of tasks say within their suite, and across suites."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.models.embedder import Embedder
from luthier.models.fake_embedder import HashEmbedder
from luthier.predictor.ability import Ability
from luthier.predictor.design import DEFAULT, PARTS, TASK_PARTS, TEXTS, Design
from luthier.predictor.encoding import Encoder
from luthier.predictor.kinds import apart
from luthier.predictor.logs import LoggedWorkflow, Logs, Pairs, Task
from luthier.predictor.scaling import Scaling, within_suites
from luthier.predictor.testing import generated


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 5), st.integers(1, 4))
def test_a_suite_s_level_is_not_a_feature_of_its_tasks(seed: int, n: int, d: int, suites: int) -> None:
    rng = np.random.default_rng(seed)
    features, named = rng.normal(0, 1, (n, d)), [f"s{i}" for i in rng.integers(suites, size=n)]
    level = {name: rng.normal(0, 9, d) for name in named}
    moved = features + np.array([level[name] for name in named])
    one, two = (within_suites(Scaling.standard, x, named)(x, named) for x in (features, moved))
    np.testing.assert_allclose(one, two, atol=1e-9)
    for name in set(named):
        np.testing.assert_allclose(one[np.array(named) == name].mean(axis=0), 0, atol=1e-9)


def test_a_suite_that_is_new_stands_against_the_mean_of_the_others_and_an_empty_text_at_the_mean() -> None:
    features = np.array([[1.0, 0.0], [3.0, 0.0], [10.0, 0.0], [0.0, 0.0]])
    found = within_suites(Scaling.standard, features, ["a", "a", "b", "b"])
    assert found.means["a"].tolist() == [2, 0]
    assert found.means["b"].tolist() == [10, 0]  # the empty one is none of it
    assert found(np.array([[6.0, 0.0], [0.0, 0.0]]), ["c", "a"]).tolist() == [[0], [0]]


@pytest.mark.parametrize("suites", [{"sums", "words"}, {"sums"}])
def test_weights_of_task_features_are_the_same_for_all_suites(suites: set[str]) -> None:
    logs = generated(30, 8)
    design = Design(Encoder(HashEmbedder(16))).fit(logs.take(np.isin(logs.suite, [*suites])))
    of_tasks = [block.name for block in design.blocks() if block.name.split(":")[0] in TASK_PARTS]
    across = {f"{part}:*" for part in TASK_PARTS if part in TEXTS and len(suites) > 1}
    assert sorted(of_tasks) == sorted({*across, *(f"{part}:~" for part in TASK_PARTS)})


def test_only_texts_are_compared_across_suites_what_is_counted_means_another_thing_in_each() -> None:
    logs = generated(30, 8)
    design = Design(Encoder(HashEmbedder(16)), frozenset(PARTS)).fit(logs)
    assert {part for part, scope in design.scalings if scope == "*"} == set(TEXTS)
    assert {scope for part, scope in design.scalings if part == "structure"} == set(logs.suite.tolist())
    strange = [replace(workflow, suite="new") for workflow in logs.workflows[:1]]
    row = design.columns(Pairs.all_of(strange, logs.tasks[:1])).toarray()[0]
    spoken = {block.name for block in design.blocks() if row[block.columns].any()}
    assert "prompts:*" in spoken
    assert not {name for name in spoken if name.startswith("structure")}


def lengths(suite: str, level: int, count: int) -> tuple[Task, ...]:
    """Tasks of a suite, each longer than the one before."""
    return tuple(Task(f"{suite}{i}", suite, "x " * (level + 3 * i)) for i in range(count))


def test_a_suite_of_few_tasks_learns_from_the_others_which_are_hard() -> None:
    """Long ones are harder in both suites; that those of one are longer throughout does not matter."""
    known, few, fresh = lengths("many", 1, 40), lengths("few", 300, 4), lengths("few", 300, 40)[4:]
    flows = {suite: LoggedWorkflow(f"w {suite}", suite, ("Answer.",)) for suite in ("many", "few")}
    workflows, tasks = tuple(flows.values()), (*known, *few)
    won = [round(20 * (1 - i / 40)) for i in range(40)] + [18, 17, 17, 16]
    of = np.array([0] * 40 + [1] * 4)
    logs = Logs(workflows, tasks, of, np.arange(44), runs=np.full(44, 20), successes=np.array(won))
    found = Ability(Encoder(None)).fit(logs).predict(Pairs.all_of([flows["few"]], fresh)).probability
    assert (np.diff(found) < 0).all()


@pytest.mark.parametrize("part", TASK_PARTS)
def test_what_a_task_does_not_say_is_no_place_in_its_suite(part: str) -> None:
    design = Design(Encoder(HashEmbedder(16)), frozenset({part})).fit(generated(30, 8))
    place = next(block.columns for block in design.blocks() if block.name == f"{part}:~")
    logs = generated(30, 8)
    silent = replace(logs.tasks[0], text="", context="")
    row = design.columns(Pairs.all_of([logs.workflows[0]], [silent])).toarray()[0, place]
    assert not row.any()


@pytest.mark.parametrize("embedder", [HashEmbedder(64), None])
def test_how_near_a_task_is_to_its_context_is_the_cosine_and_0_where_there_is_none(embedder: Embedder | None) -> None:
    said = [("red fox", "red fox"), ("red fox", "blue whale"), ("red fox", ""), ("", "red fox"), ("", " ")]
    found = Encoder(embedder).nearness([Task("t", "s", *pair) for pair in said])
    assert found[:, 0].tolist() == pytest.approx([1.0 if embedder else 0, 0, 0, 0, 0], abs=1e-6)
    assert Encoder(embedder).nearness([]).shape == (0, 1)


def test_what_is_easy_where_the_context_is_near_is_learnt_by_nearness_alone() -> None:
    """Every task has words of its own, so no direction of a text or context says anything of another task."""
    tasks = tuple(
        Task(f"{i}", "s", f"one{i} two{i} red{i}", f"one{i} two{i} sky{i}" if i % 2 else f"far{i} off{i} sky{i}")
        for i in range(80)
    )
    flow = LoggedWorkflow("w", "s", ("Answer.",))
    won = np.where(np.arange(60) % 2, 18, 4)
    logs = Logs((flow,), tasks, np.zeros(60, int), np.arange(60), runs=np.full(60, 20), successes=won)
    told = {}
    for parts in (DEFAULT, DEFAULT - {"nearness"}):
        ability = Ability(Encoder(HashEmbedder(256)), parts).fit(logs)
        found = ability.predict(Pairs.all_of([flow], tasks[60:])).probability
        told["nearness" in parts] = float(found[1::2].mean() - found[::2].mean())
    assert told[True] > 0.5
    assert abs(told[False]) < 0.1


def of_kinds(*steps: tuple[str, str, str, int]) -> Logs:
    """A workflow each with its suite, its operator, its tasks' suite and their count; all succeed half the time."""
    flows = tuple(LoggedWorkflow(f"w{i}", one[0], ("Do it.",), operators=(one[1],)) for i, one in enumerate(steps))
    tasks = tuple(Task(f"{i}", one[2], f"task {i} " * (i + 1)) for one in steps for i in range(one[3]))
    of = np.repeat(np.arange(len(steps)), [one[3] for one in steps])
    count = len(tasks)
    return Logs(flows, tasks, of, np.arange(count), runs=np.full(count, 2), successes=np.ones(count, int))


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([("a", "ask", "a", 9), ("b", "ask", "b", 3)], ()),
        ([("a", "ask", "a", 9), ("tuning", "advise", "tuning", 3)], ("tuning",)),
        ([("a", "ask", "a", 3), ("tuning", "advise", "tuning", 9)], ("a",)),
        ([("a", "ask", "b", 3), ("c", "run", "b", 2), ("d", "run", "d", 1)], ()),  # by a suite's tasks, then by a step
        ([("a", "", "a", 3), ("b", "", "b", 9)], ()),
        ([], ()),
    ],
)
def test_suites_with_a_step_or_task_in_common_are_of_a_kind(
    steps: list[tuple[str, str, str, int]], found: tuple[str, ...]
) -> None:
    assert apart(of_kinds(*steps)) == found


def test_a_suite_of_another_kind_changes_no_feature_of_the_others_and_keeps_its_own() -> None:
    many, other = [("a", "ask", "a", 9), ("b", "ask", "b", 9)], ("tuning", "advise", "tuning", 5)
    parts = frozenset(TASK_PARTS)
    alone, beside = (Design(Encoder(HashEmbedder(16)), parts).fit(of_kinds(*x)) for x in (many, [*many, other]))
    for shared in (("surface", "~"), ("text", "~"), ("text", "*")):
        one, two = alone.scalings[shared], beside.scalings[shared]
        np.testing.assert_allclose(one.axes, two.axes)
        np.testing.assert_allclose(one.mean, two.mean)
    of = {block.name: block.columns for block in beside.blocks()}
    row = beside.columns(of_kinds(other)).toarray()
    assert row[:, of["text:tuning"]].any()
    assert not row[:, [*of["text:~"], *of["text:*"]]].any()
