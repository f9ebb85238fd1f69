"""The nodes that come to a choice: summarize, recall, advise, draw, plan, criticise, decide, take.

Each takes the state and the shared parts and returns what changes in the state. Running one twice does no harm.
"""

from __future__ import annotations

import numpy as np

from ..agents.critic import Verdict, check_rules, criticise
from ..agents.planner import Plan, eligible, plan
from ..models.errors import ModelError
from ..predictor.workflow import Node
from ..trials.advisor import seed_for
from ..trials.advisors import best_candidate
from ..trials.records import Candidate
from .parts import Parts
from .state import Choice, State, Update, say

MAX_REVISIONS = 2
ADVISORS: Update = {"verdict": "advisors"}


def summarize_node(state: State, parts: Parts, node: Node) -> Update:
    """Build the context and say its most telling line."""
    context = parts.context()
    if context.latest is None:
        return {}
    latest, against = context.latest, context.against_best or context.against_before
    text = f"trial {latest.number} is {latest.verdict}" + (f" ({latest.evidence})" if latest.evidence else "")
    return {"said": say("summarizer", f"{text}; {against.text}" if against else text)}


def recall_node(state: State, parts: Parts, node: Node) -> Update:
    """Ask the memory, and say once in a run what it has."""
    words = parts.recalled.words
    if not words or words in parts.told:
        return {}
    parts.told.add(words)
    return {"said": say("memory", words)}


def advise_node(state: State, parts: Parts, node: Node) -> Update:
    """Ask the advisors. Their candidates stay with the parts: they follow from the study and from what was skipped."""
    _candidates(state, parts)
    return {}


def take_node(state: State, parts: Parts, node: Node) -> Update:
    """Take the best advisor's candidate."""
    return {"choice": _choice(best_candidate(_candidates(state, parts)))}


def draw_node(state: State, parts: Parts, node: Node) -> Update:
    """Draw one of the candidates that a planner would choose among."""
    space, candidates = parts.study.space, _candidates(state, parts)
    if space is None or len(candidates) < 2:
        return ADVISORS
    places = eligible(parts.context(), candidates, space)
    seed = seed_for(parts.study.lots, state["number"], f"chance {len(state.get('skips', []))}")
    drawn = candidates[places[int(np.random.default_rng(seed).integers(len(places)))]]
    choice = Choice(config=dict(drawn.config), source=drawn.source, reason=drawn.reason, share=1 / len(places))
    among = "the only candidate" if len(places) == 1 else f"of {len(places)} candidates"
    said = say("chance", f"drew {drawn.source}'s, {among}: {drawn.reason}")
    return {"choice": choice, "said": said, "verdict": "drawn"}


def plan_node(state: State, parts: Parts, node: Node) -> Update:
    """Let the planner decide. Where it may not, or fails, or there is nothing to choose, the advisors do."""
    if state.get("revisions") and state.get("untried"):
        return _next_ranked(state, parts)
    caller, space = parts.asked(state), parts.study.space
    candidates = _candidates(state, parts)
    if caller is None or space is None or (len(candidates) < 2 and parts.mode == "choose"):
        return ADVISORS
    try:
        feedback = state.get("feedback", "")
        made = plan(parts.context(), candidates, space, caller, mode=parts.mode, feedback=feedback, view=node.view)
    except ModelError as error:
        return {**_failed(parts, error), **ADVISORS}
    choice = _planned(made)
    return {
        "choice": choice,
        "plans": [choice],
        "untried": [i for i in made.ranking if i != made.index],
        "decisions": int(made.asked),
        "said": say(f"planner {node.view}".strip(), f"{made.source}: {made.reason}"),
        "verdict": "planned",
    }


def criticise_node(state: State, parts: Parts, node: Node) -> Update:
    """Accept the plan or send it back, at most twice. At a third refusal, or with nothing left to plan, the advisors
    decide."""
    caller = parts.asked(state)
    try:
        verdict, failed = _judge(state["choice"], parts, state), {}
    except ModelError as error:
        # The plan then stands on rules and risk.
        verdict, failed = _judge(state["choice"], parts, {**state, "failures": [str(error)]}), _failed(parts, error)
    revisions = state.get("revisions", 0)
    way = "accept" if verdict.accept else "revise" if revisions < MAX_REVISIONS else "advisors"
    word = {"accept": "accepts", "revise": "sends it back", "advisors": "refuses this too, so the advisors decide"}[way]
    update: Update = {"verdict": way, "decisions": int(verdict.by == "model")}
    if caller is not None or not verdict.accept:
        update["said"] = say("critic", f"{word}: {verdict.reason}")
    if not verdict.accept:
        update |= {"feedback": verdict.reason, "revisions": revisions + 1}
    return {**update, **failed}


def decide_node(state: State, parts: Parts, node: Node) -> Update:
    """Of two plans, run the one that the critic finds better; equal ones need no critic."""
    first, second = state["plans"][-2:]
    space = parts.study.space
    if space is None or space.key(first["config"]) == space.key(second["config"]):
        return {"choice": first, "verdict": "accept", "said": say("critic", "both planners want the same")}
    try:
        judged = [(_judge(one, parts, state), one) for one in (first, second)]
    except ModelError as error:
        return {**_failed(parts, error), **ADVISORS}
    score = {True: 1.0, False: 0.0}
    scored = [(max(v.step_score or score[v.accept], v.pair_score or 0.0), v, one) for v, one in judged]
    asked = sum(v.by == "model" for v, _ in judged)
    words = ", ".join(f"{s:.2f} for {one['source']}'s" for s, _, one in scored)
    _, verdict, winner = max(scored, key=lambda row: row[0])
    said = say("critic", f"decides the debate: {words}")
    return {"choice": winner, "verdict": "accept" if verdict.accept else "advisors", "decisions": asked, "said": said}


def _candidates(state: State, parts: Parts) -> list[Candidate]:
    return parts.candidates(state["number"], state.get("skips", []))


def _judge(choice: Choice, parts: Parts, state: State) -> Verdict:
    space = parts.study.space
    assert space is not None  # without a space no planner is asked
    instead = best_candidate(_candidates(state, parts)).config
    caller, worth = parts.asked(state), parts.step_worth(space)
    return criticise(choice["config"], parts.context(), space, parts.trials, caller, worth=worth, instead=instead)


def _next_ranked(state: State, parts: Parts) -> Update:
    """The planner's next choice without asking it again: its probabilities rank all candidates."""
    candidates, space = _candidates(state, parts), parts.study.space
    for place, index in enumerate(state["untried"]):
        if space is None or check_rules(candidates[index].config, space, parts.trials) is None:
            rest = state["untried"][place + 1 :]
            said = say("planner", f"then {candidates[index].source}: {candidates[index].reason}")
            return {"choice": _choice(candidates[index]), "untried": rest, "said": said, "verdict": "planned"}
    return {**ADVISORS, "untried": []}


def _failed(parts: Parts, error: ModelError) -> Update:
    """A model's failure: recorded, told once, and no further decision of it in this trial."""
    kind = type(error).__name__
    parts.warn(kind, f"{error}; the advisors decide where the model does not answer")
    return {"failures": [kind], "said": say("model", f"failed ({kind}): {error}")}


def _planned(made: Plan) -> Choice:
    share = made.probabilities[made.index] if made.index is not None and made.probabilities else None
    return Choice(config=dict(made.config), source=made.source, reason=made.reason, share=share)


def _choice(candidate: Candidate) -> Choice:
    return Choice(config=dict(candidate.config), source=candidate.source, reason=candidate.reason, share=None)
