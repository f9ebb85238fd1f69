"""Explanations: the parts are the whole, and a step that is taken out leaves a sound workflow."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logged import workflows

from luthier.models.fake_embedder import HashEmbedder
from luthier.predictor.ability import Ability
from luthier.predictor.design import PARTS
from luthier.predictor.encoding import Encoder
from luthier.predictor.explain import OWN, parts_of, steps_of, without
from luthier.predictor.logs import LoggedWorkflow, Logs, Pairs, Task
from luthier.predictor.testing import generated, strange


@pytest.fixture(scope="module")
def ability() -> Ability:
    logs = generated(30, 10)
    return Ability(Encoder(HashEmbedder(16)), frozenset(PARTS)).fit(logs.take((logs.task > 3) & (logs.workflow > 3)))


def test_the_parts_sum_to_the_logit(ability: Ability) -> None:
    logs = generated(30, 10)
    for pairs in (logs.take(np.arange(0, len(logs), 9)), strange()):
        for w, t in zip(pairs.workflow, pairs.task, strict=True):
            one = Pairs.all_of([pairs.workflows[w]], [pairs.tasks[t]])
            parts = parts_of(ability, pairs.workflows[w], pairs.tasks[t])
            assert np.isclose(sum(part.value for part in parts), ability.logit(one)[0][0])
            assert all(part.deviation >= 0 and np.isfinite(part.deviation) for part in parts)


def test_a_task_of_a_suite_apart_is_explained_to_a_workflow_of_another() -> None:
    """Features of such a task have weights of its own suite, whatever suite the workflow is of."""
    logs = generated(30, 10)
    flow = LoggedWorkflow("advisors", "tuning", ("Advise.",), operators=("Advise",))
    tasks = tuple(Task(f"t{i}", "tuning", "Tune it. " * (i + 1)) for i in range(9))
    pairs = Pairs.all_of([flow], tasks)
    both = Logs(
        (*logs.workflows, flow),
        (*logs.tasks, *tasks),
        np.concatenate([logs.workflow, pairs.workflow + len(logs.workflows)]),
        np.concatenate([logs.task, pairs.task + len(logs.tasks)]),
        runs=np.concatenate([logs.runs, np.full(9, 9)]),
        successes=np.concatenate([logs.successes, 9 - np.arange(9)]),  # the longer, the harder
    )
    ability = Ability(Encoder(HashEmbedder(16)), frozenset(PARTS)).fit(both)
    assert ability.design.apart == ("tuning",)
    for workflow, task in ((logs.workflows[0], tasks[0]), (flow, logs.tasks[0]), (flow, tasks[8])):
        parts = parts_of(ability, workflow, task)
        told = ability.logit(Pairs.all_of([workflow], [task]))[0][0]
        assert np.isclose(sum(part.value for part in parts), told)
    said = {part.by: part for part in parts_of(ability, logs.workflows[0], tasks[0]) if part.known and part.value}
    assert "surface" in said
    names = [(part.of, part.by) for part in parts_of(ability, flow, tasks[0])]
    assert len(set(names)) == len(names)  # what its suite has no part in is not told


def test_what_was_never_run_has_no_part_of_its_own(ability: Ability) -> None:
    logs = generated(30, 10)
    parts = parts_of(ability, logs.workflows[0], logs.tasks[0])
    own = {part.of: part for part in parts if part.by == OWN}
    assert not own["task difficulty"].known
    assert not own["workflow ability"].known
    assert (own["task difficulty"].value, own["workflow ability"].value) == (0, 0)
    assert own["suite"].known


def test_a_step_s_worth_does_not_depend_on_whether_the_workflow_was_run(ability: Ability) -> None:
    logs = generated(30, 10)
    workflow, task = logs.workflows[6], logs.tasks[6]
    gains = [step.gain for step in steps_of(ability, workflow, task)]
    left = [without(workflow, i) for i in range(len(workflow.nodes))]

    def by_features(one: LoggedWorkflow) -> float:
        return sum(p.value for p in parts_of(ability, one, task) if (p.of, p.by) != ("workflow ability", OWN))

    assert gains == pytest.approx([by_features(workflow) - by_features(one) for one in left])


def test_a_single_step_is_not_taken_out(ability: Ability) -> None:
    alone = LoggedWorkflow("alone", "sums", ("Answer.",))
    assert [step.gain for step in steps_of(ability, alone, generated().tasks[0])] == [None]
    with pytest.raises(ValueError, match="one step"):
        without(alone, 0)


def test_before_training_there_is_nothing_to_explain() -> None:
    logs = generated()
    with pytest.raises(ValueError, match="fit"):
        parts_of(Ability(Encoder(None)), logs.workflows[0], logs.tasks[0])


@settings(max_examples=60)
@given(workflow=workflows("w"), data=st.data())
def test_taking_a_step_out_keeps_what_led_where(workflow: LoggedWorkflow, data: st.DataObject) -> None:
    count = len(workflow.nodes)
    if count == 1:
        return
    node = data.draw(st.integers(0, count - 1))
    left = without(workflow, node)
    assert len(left.nodes) == count - 1
    assert len(left.edges) == len(left.edge_types)
    whole: nx.DiGraph[int] = nx.DiGraph(list(workflow.edges))
    whole.add_nodes_from(range(count))
    rest: nx.DiGraph[int] = nx.DiGraph(list(left.edges))
    rest.add_nodes_from(range(count - 1))
    kept = [i for i in range(count) if i != node]
    for a, old_a in enumerate(kept):
        for b, old_b in enumerate(kept):
            if a != b:
                assert nx.has_path(rest, a, b) == nx.has_path(whole, old_a, old_b)
