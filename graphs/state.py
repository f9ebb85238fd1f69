"""The state of the tuning graph: ids and plain values, so that a checkpoint is small and safe to read."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict


class Choice(TypedDict):
    """What is to run, and how it came about."""

    config: dict[str, Any]
    source: str
    reason: str
    probability: float | None


class State(TypedDict, total=False):
    """One trial on its way through a workflow."""

    number: int
    attempt: int
    choice: Choice | None
    plans: Annotated[list[Choice], operator.add]  # of the planners, in order
    untried: list[int]  # candidates that the planner ranked and the critic has not refused, likeliest first
    revisions: int
    decisions: int  # of the model, so far
    feedback: str
    verdict: str  # "accept" or "revise"
    ran: Annotated[list[str], operator.add]  # ids of nodes
