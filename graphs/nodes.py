"""The nodes of the tuning graph: each asks the study, then acts, so that running it twice does no harm.

A node takes the state and the shared parts and returns what changes in the state. The state holds ids and plain
values only; what is large is derived from the study anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..agents.critic import check_rules, criticise
from ..agents.planner import plan
from ..models.errors import ModelError
from ..predictor.workflow import Node
from ..trials.records import Candidate
from .parts import Parts
from .recording import record
from .running import run
from .state import Choice, State

MAX_REVISIONS = 2


Step = Callable[[State, Parts, Node], dict[str, Any]]


def summarize_node(state: State, parts: Parts, node: Node) -> dict[str, Any]:
    """Build the context and say its most telling line."""
    context = parts.context(state["number"])
    latest = context.latest
    if latest is not None:
        against = context.against_best or context.against_before
        text = f"trial {latest.number} is {latest.verdict}" + (f" ({latest.evidence})" if latest.evidence else "")
        parts.say(state["number"], "summarizer", f"{text}; {against.text}" if against else text)
    return {}


def advise_node(state: State, parts: Parts, node: Node) -> dict[str, Any]:
    """Ask the advisors; what they say stays with the parts, since it follows from the study."""
    parts.candidates(state["number"])
    return {}


def take_node(state: State, parts: Parts, node: Node) -> dict[str, Any]:
    """Take the best advisor's candidate."""
    return {"choice": _choice(parts.best_candidate(state["number"]))}


def plan_node(state: State, parts: Parts, node: Node) -> dict[str, Any]:
    """Let the planner decide; without a model, or when it fails, the advisors do."""
    number, candidates = state["number"], parts.candidates(state["number"])
    space = parts.study.space
    if state.get("revisions") and state.get("decisions", 0) >= parts.max_decisions:
        return _next_ranked(state, parts)
    if parts.caller is None or space is None or len(candidates) < 2 or state["decisions"] >= parts.max_decisions:
        return {"choice": _choice(parts.best_candidate(number))}
    try:
        made = plan(
            parts.context(number),
            candidates,
            space,
            parts.caller,
            mode=parts.mode,
            feedback=state.get("feedback", ""),
            view=node.view,
        )
    except ModelError as error:
        return {**_failed(state, parts, error), "choice": _choice(parts.best_candidate(number))}
    parts.say(number, f"planner {node.view}".strip(), f"{made.source}: {made.reason}")
    shares = made.probabilities
    ranked = sorted((i for i in range(len(shares)) if i != made.index), key=lambda i: -shares[i])
    choice = Choice(
        config=dict(made.config),
        source=made.source if made.index is not None else "planner",
        reason=made.reason,
        probability=shares[made.index] if made.index is not None and shares else None,
    )
    return {"choice": choice, "plans": [choice], "untried": ranked, "decisions": state["decisions"] + 1}


def criticise_node(state: State, parts: Parts, node: Node) -> dict[str, Any]:
    """Accept the plan or send it back; after two refusals the best advisor's candidate runs."""
    number, choice = state["number"], state.get("choice")
    space = parts.study.space
    assert choice is not None  # the planner always leaves one
    if space is None or number == 0:
        return {"verdict": "accept"}
    allowed = parts.caller if state["decisions"] < parts.max_decisions else None
    try:
        context, trials = parts.context(number), parts.study.finished
        verdict = criticise(choice["config"], context, space, trials, allowed)
    except ModelError as error:
        return {**_failed(state, parts, error), "verdict": "accept"}
    decisions = state["decisions"] + (verdict.by == "model")
    if verdict.accept:
        if verdict.by == "model":
            parts.say(number, "critic", f"accepts: {verdict.reason}")
        return {"verdict": "accept", "decisions": decisions}
    parts.say(number, "critic", f"sends it back: {verdict.reason}")
    if state.get("revisions", 0) >= MAX_REVISIONS:
        best = _choice(parts.best_candidate(number))
        parts.say(number, "critic", f"refused {MAX_REVISIONS + 1} plans, so {best['source']}'s candidate runs")
        return {"verdict": "accept", "choice": best, "decisions": decisions}
    revisions = state.get("revisions", 0) + 1
    return {"verdict": "revise", "feedback": verdict.reason, "revisions": revisions, "decisions": decisions}


def decide_node(state: State, parts: Parts, node: Node) -> dict[str, Any]:
    """Of two plans, run the one that the critic finds better; equal ones need no critic."""
    number, plans, space = state["number"], state.get("plans", []), parts.study.space
    if len(plans) < 2 or space is None or space.key(plans[0]["config"]) == space.key(plans[1]["config"]):
        return {}
    context, trials, scores = parts.context(number), parts.study.finished, []
    try:
        for one in plans[:2]:
            verdict = criticise(one["config"], context, space, trials, parts.caller)
            scores.append(max(verdict.step_score or 0.0, verdict.pair_score or 0.0))
    except ModelError as error:
        return {**_failed(state, parts, error), "choice": plans[0]}
    winner = plans[0] if scores[0] >= scores[1] else plans[1]
    words = f"{scores[0]:.2f} for {plans[0]['source']}, {scores[1]:.2f} for {plans[1]['source']}"
    parts.say(number, "critic", f"decides the debate by score: {words}")
    return {"choice": winner, "decisions": state["decisions"] + 1}


def run_node(state: State, parts: Parts, node: Node) -> dict[str, Any]:
    """Begin the trial and carry it to its outcome, which waits in the trial's folder."""
    choice = state.get("choice")
    assert choice is not None  # every workflow chooses before it runs
    run(parts, state["number"], Candidate(choice["config"], choice["source"], choice["reason"]), state)
    return {}


def record_node(state: State, parts: Parts, node: Node) -> dict[str, Any]:
    """Take the outcome from the trial's folder into the study."""
    record(parts, state["number"], state)
    return {}


STEPS: dict[str, Step] = {
    "summarize": summarize_node,
    "advise": advise_node,
    "take_best": take_node,
    "plan": plan_node,
    "criticise": criticise_node,
    "decide": decide_node,
    "run": run_node,
    "record": record_node,
}


def _choice(candidate: Candidate, probability: float | None = None) -> Choice:
    return Choice(
        config=dict(candidate.config), source=candidate.source, reason=candidate.reason, probability=probability
    )


def _next_ranked(state: State, parts: Parts) -> dict[str, Any]:
    """The planner's next choice without asking it again: its probabilities rank all candidates."""
    number, space, trials = state["number"], parts.study.space, parts.study.finished
    candidates = parts.candidates(number)
    for place, index in enumerate(state.get("untried", [])):
        candidate = candidates[index]
        if space is None or check_rules(candidate.config, space, trials) is None:
            rest = state.get("untried", [])[place + 1 :]
            return {"choice": _choice(candidate), "untried": rest}
    return {"choice": _choice(parts.best_candidate(number)), "untried": []}


def _failed(state: State, parts: Parts, error: ModelError) -> dict[str, Any]:
    """A model's failure: recorded, told once, and no further decision of it in this trial."""
    parts.say(state["number"], "model", f"failed: {error}")
    parts.warn(type(error).__name__, f"{error}; the advisors decide instead")
    return {"decisions": parts.max_decisions}
