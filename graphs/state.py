"""The state of the tuning graph: ids, counts and short plain values, so that a checkpoint is small and safe to read.

Contexts, candidates and outcomes are not in it: they follow from the study and the trial's folder.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict


class Choice(TypedDict):
    """What is to run, and how it came about."""

    config: dict[str, Any]
    source: str
    reason: str
    share: float | None  # the probability that the model gave it; None where no model chose


class Skip(TypedDict):
    """A choice that gate 2 refused, with what it expected."""

    config: dict[str, Any]
    source: str
    reason: str  # of the choice
    why: str  # it was refused
    failure: float | None  # probability that it fails; None where too little is known
    no_win: float | None  # probability that it does not beat the best so far by more than the noise
    seconds: float | None  # that its run would take


class Turn(TypedDict):
    """Gate 1's decision: which workflow carries the trial."""

    workflow: str
    model: str  # "none" where the workflow asks none
    probability: float  # with which it got the turn
    random: bool  # by exploration alone
    reason: str
    arms: list[dict[str, Any]]  # all that could have got it, with their probabilities and what was believed of them


class Saying(TypedDict):
    """A line of an agent, kept with the trial."""

    role: str
    text: str


class State(TypedDict, total=False):
    """One trial on its way through a workflow."""

    number: int
    attempt: int
    workflow: str
    turn: Turn
    choice: Choice
    skips: list[Skip]  # by gate 2, before the choice
    audit: Skip  # the choice was refused, and runs all the same
    plans: Annotated[list[Choice], operator.add]  # of a debate's planners, in order
    untried: list[int]  # candidates that the planner ranked and the critic has not refused, likeliest first
    feedback: str  # why the critic refused the last plan
    revisions: int
    decisions: Annotated[int, operator.add]  # of the model
    failures: Annotated[list[str], operator.add]  # of the model: after one it is asked no more in this trial
    repairs: Annotated[list[dict[str, str]], operator.add]  # renamed options of the launch
    verdict: str  # which conditional edge is taken next
    # What a trial costs and who said what, kept when it is recorded:
    ran: Annotated[list[str], operator.add]  # ids of nodes
    said: Annotated[list[Saying], operator.add]
    tokens: Annotated[int, operator.add]
    model_seconds: Annotated[float, operator.add]


Update = dict[str, Any]  # of a state; values with a reducer are added


def say(role: str, text: str) -> list[Saying]:
    """The update of `said` for one line."""
    return [Saying(role=role, text=text)]
