"""Gate 2: the node that runs a choice or sends it back with the reason, for the advisors to propose another.

A share of what it would skip is run anyway, by a seeded draw: from these audits the report estimates what skipping
costs (predictor/audits.py).
"""

from __future__ import annotations

import numpy as np

from ..predictor.audits import MAX_SKIPS
from ..predictor.trial_gate import Judgement
from ..predictor.workflow import Node
from ..trials.advisor import seed_for
from .parts import Parts
from .state import Choice, Skip, State, Update, say

SEARCHES = frozenset({"transfer", "bayes", "gp"})  # advisors that look for the most promising candidate themselves
RUN: Update = {"verdict": "run"}


def judge_node(state: State, parts: Parts, node: Node) -> Update:
    """Let the choice run, or skip it. Trial 0 always runs: it is what others are measured against."""
    judge = parts.judge(state["number"])
    if judge is None:
        return RUN
    skips = state.get("skips", [])
    judged = judge.judge(state["choice"]["config"], searched=state["choice"]["source"] in SEARCHES)
    if not judged.skip:
        return RUN
    skip = _skip(state["choice"], judged)
    if audited(parts.study.lots, state["number"], len(skips), parts.gates.audits):
        return {**RUN, "audit": skip, "said": say("gate", f"{judged.reason}; it runs all the same, as an audit")}
    if len(skips) >= MAX_SKIPS:
        return _least_hopeless(state, parts, [*skips, skip])
    said = say("gate", f"skips {skip['source']}'s candidate: {judged.reason}")
    return {"verdict": "skip", "skips": [*skips, skip], "feedback": judged.reason, "untried": [], "said": said}


def _skip(choice: Choice, judged: Judgement) -> Skip:
    return Skip(
        config=choice["config"],
        source=choice["source"],
        reason=choice["reason"],
        why=judged.reason,
        failure=judged.failure,
        no_win=judged.no_win,
        seconds=judged.seconds,
    )


def audited(lots: int, number: int, skips: int, rate: float) -> bool:
    """Whether a refused candidate runs all the same.

    Args:
        lots: the seed of the study's lots.
        number: of the trial.
        skips: how many were skipped in it before.
        rate: the share that is to run.
    """
    return bool(np.random.default_rng(seed_for(lots, number, f"audit {skips}")).random() < rate)


def _least_hopeless(state: State, parts: Parts, skips: list[Skip]) -> Update:
    """Where every candidate is refused, one of them has to run, or the study would never end."""
    parts.warn("all skipped", "the gate refused every candidate of a trial; it then runs the most hopeful one of them")
    best = min(range(len(skips)), key=lambda i: (skips[i]["failure"] or 0.0, skips[i]["no_win"] or 0.0))
    taken = skips[best]
    choice = Choice(config=taken["config"], source=taken["source"], reason=taken["reason"], share=None)
    said = say("gate", f"refused {len(skips)} candidates, and runs the most hopeful of them: {taken['why']}")
    return {**RUN, "choice": choice, "skips": skips[:best] + skips[best + 1 :], "said": said}
