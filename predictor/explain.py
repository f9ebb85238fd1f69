"""Why a predictor says what it says: the parts of the logit, and what each step of a workflow adds by its features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from .ability import Ability
from .design import EVERYWHERE
from .logs import LoggedWorkflow, Pairs, Task

_Item = TypeVar("_Item")
OWN = "of its own"
DIFFICULTY, SKILL, MODEL = "task difficulty", "workflow ability", "model ability"
_PART_OF = {
    "surface": DIFFICULTY,
    "text": DIFFICULTY,
    "context": DIFFICULTY,
    "structure": SKILL,
    "lineage": SKILL,
    "prompts": SKILL,
}


@dataclass(frozen=True)
class Part:
    """A summand of the logit; above 0 it speaks for success."""

    of: str  # "suite", DIFFICULTY, SKILL or MODEL
    by: str  # OWN: learnt from its own runs; else the features
    value: float  # in logits
    deviation: float  # standard deviation, in logits
    known: bool  # whether training has seen what it stands for; where not, it is 0


@dataclass(frozen=True)
class Step:
    """A node of a workflow, and what its features are worth to it."""

    node: int
    operator: str
    words: str
    gain: float | None  # logit by features with it minus that without it; None where nothing can be left out


def parts_of(ability: Ability, workflow: LoggedWorkflow, task: Task) -> list[Part]:
    """The summands of the logit's mean; their sum is `ability.logit`'s.

    Raises:
        ValueError: the predictor was not trained.
    """
    if ability.posterior is None:
        raise ValueError("this predictor has learnt nothing yet; call `fit` first")
    pairs, posterior = Pairs.all_of([workflow], [task]), ability.posterior
    row = ability.design.columns(pairs).toarray()[0]
    variances = dict(zip((block.name for block in ability.blocks()), posterior.block_variance, strict=True))
    found = []
    for block in ability.blocks():
        x, at = row[block.columns], block.columns
        if not len(at):  # with one model in all logs there is nothing to tell apart
            continue
        known = bool(x.any())
        variance = float(x @ posterior.covariance[np.ix_(at, at)] @ x)
        if not known and block.name in ("suite", "workflow"):
            variance = float(variances[block.name])
        name, _, scope = block.name.partition(":")
        whose = task if _PART_OF.get(name) == DIFFICULTY else workflow
        if scope and not ability.design.inside(scope, whose.suite):
            continue
        of, by = _named(name)
        by = f"{by}, all suites" if scope == EVERYWHERE else by
        found.append(Part(of, by, float(x @ posterior.b[at]), float(np.sqrt(max(variance, 0.0))), known))
    found.append(_own_difficulty(ability, pairs))
    order = ["suite", DIFFICULTY, SKILL, MODEL]
    return sorted(found, key=lambda part: (order.index(part.of), part.by != OWN))


def _named(block: str) -> tuple[str, str]:
    own = {"suite": "suite", "workflow": SKILL, "model": MODEL}
    if block == "level":
        return "suite", "all suites"
    return (own[block], OWN) if block in own else (_PART_OF[block], block)


def _own_difficulty(ability: Ability, pairs: Pairs) -> Part:
    """What the task's own runs say beyond its features."""
    posterior = ability.posterior
    assert posterior is not None
    (place,), (group,) = ability.design.tasks(pairs)
    if place < 0:
        widest = np.append(posterior.group_variance, posterior.group_variance.max())
        return Part(DIFFICULTY, OWN, 0.0, float(np.sqrt(widest[group])), False)
    reach = posterior.reach[place]
    variance = posterior.spread[place] + reach @ posterior.covariance @ reach
    return Part(DIFFICULTY, OWN, float(posterior.u[place]), float(np.sqrt(variance)), True)


def steps_of(ability: Ability, workflow: LoggedWorkflow, task: Task) -> list[Step]:
    """What each step is worth by occlusion: the logit with it minus the logit without it.

    A workflow without one of its steps is another, which was never run. So that like is compared with like, both are
    taken by their features alone. Differences are the model's, not what would happen: steps depend on each other.
    """
    count = len(workflow.nodes)
    if count == 1:
        return [Step(0, workflow.operators[0], workflow.nodes[0], None)]
    shapes = [workflow, *(without(workflow, node) for node in range(count))]
    by_features = [_by_features(ability, shape, task) for shape in shapes]
    return [
        Step(node, workflow.operators[node], workflow.nodes[node], by_features[0] - by_features[node + 1])
        for node in range(count)
    ]


def _by_features(ability: Ability, workflow: LoggedWorkflow, task: Task) -> float:
    parts = parts_of(ability, workflow, task)
    return sum(part.value for part in parts if not (part.of == SKILL and part.by == OWN))


def without(workflow: LoggedWorkflow, node: int) -> LoggedWorkflow:
    """The workflow with a step taken out, and what came before it led to what came after it.

    Raises:
        ValueError: it is the only step.
    """
    if len(workflow.nodes) == 1:
        raise ValueError(f"workflow {workflow.id!r} has one step, which cannot be left out")
    typed = list(zip(workflow.edges, workflow.edge_types, strict=True))
    before = [(a, kind) for (a, b), kind in typed if b == node and a != node]
    after = [(b, kind) for (a, b), kind in typed if a == node and b != node]
    kept = [(edge, kind) for edge, kind in typed if node not in edge]
    there = {edge for edge, _ in kept}
    bridges = {(a, b): kind for a, _ in before for b, kind in after if a != b and (a, b) not in there}
    kept += bridges.items()
    place = {old: new for new, old in enumerate(i for i in range(len(workflow.nodes)) if i != node)}

    def rest(items: tuple[_Item, ...]) -> tuple[_Item, ...]:
        return items[:node] + items[node + 1 :]

    return replace(
        workflow,
        id=f"{workflow.id} without {node}",
        nodes=rest(workflow.nodes),
        operators=rest(workflow.operators),
        models=rest(workflow.models),
        conditional=rest(workflow.conditional),
        decoding=rest(workflow.decoding),
        edges=tuple((place[a], place[b]) for (a, b), _ in kept),
        edge_types=tuple(kind for _, kind in kept),
    )
