"""The critic: rules first, then the risk of failure, then the model's own judgement.

It scores the step alone and merged with the step before it, and takes the better of the two, so that a move that
repairs the last one is not punished (hierarchical reward model, arXiv 2503.13551).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel

from ..models.caller import Caller
from ..trials.errors import SpaceError
from ..trials.records import Config, State, Trial
from ..trials.space import Space
from .context import Context
from .planner import option
from .prompts import outside, prompt_for
from .render import render

CONTEXT_TOKENS = 200
TOO_RISKY = 0.8  # probability of failure from which a trial is refused
ACCEPT_FROM = 0.35  # probability of "worth a trial": a trial is cheap beside a wrong refusal
NEAR = 0.05  # of the (log) range, in every hyperparameter: so close to a failure is the same failure
WORTH, NOT_WORTH = "worth a trial", "not worth a trial"


class Verdict(BaseModel):
    """Accept or send back, who decided, and the model's two scores where it was asked."""

    accept: bool
    reason: str
    by: Literal["rules", "risk", "model"]
    step_score: float | None = None
    pair_score: float | None = None


def check_rules(config: Config, space: Space, trials: Sequence[Trial]) -> str | None:
    """Why a configuration must not run; None when no rule speaks against it."""
    try:
        space.validate(config)
    except SpaceError as error:
        return str(error)
    key = space.key(config)
    for trial in trials:
        if trial.finished and space.key(trial.config) == key:
            return f"trial {trial.number} ran this configuration already"
    point = space.to_unit(config)
    for trial in trials:
        if trial.state is State.FAILED and trial.failure and _near(point, space.to_unit(trial.config)):
            return f"trial {trial.number} failed next to it ({trial.failure.cause})"
    return None


def criticise(
    config: Config,
    context: Context,
    space: Space,
    trials: Sequence[Trial],
    caller: Caller | None,
    *,
    risk: Callable[[Config], float] | None = None,
) -> Verdict:
    """Judge one planned configuration.

    Args:
        caller: None where no model may be asked any more: then rules and risk alone decide.
        risk: the probability that a configuration fails.

    Raises:
        ModelError: when the model fails; the plan then stands on rules and risk.
    """
    broken = check_rules(config, space, trials)
    if broken is not None:
        return Verdict(accept=False, reason=broken, by="rules")
    if risk is not None and (danger := risk(config)) > TOO_RISKY:
        return Verdict(accept=False, reason=f"it would fail with probability {danger:.2f}", by="risk")
    if caller is None or context.best is None:
        return Verdict(accept=True, reason="no rule speaks against it", by="rules")
    step = _score(context, f"The step: {option(config, context.best.config)}.", caller)
    pair = step
    if context.latest is not None and context.latest.number != context.best.number:
        merged = f"The last trial and the step together: {option(config, context.latest.config)}."
        pair = _score(context, merged, caller)
    accept = max(step, pair) >= ACCEPT_FROM
    reason = f"worth a trial with probability {step:.2f}, with the step before {pair:.2f}"
    return Verdict(accept=accept, reason=reason, by="model", step_score=step, pair_score=pair)


def _score(context: Context, step: str, caller: Caller) -> float:
    prompt = prompt_for(
        "critic",
        {
            "study": outside(context.study, 80),
            "space": {name: outside(text, 200) for name, text in context.space.items()},
            "context": outside(render(context, CONTEXT_TOKENS)),
            "step": step,
        },
    )
    return caller.choose(prompt, [WORTH, NOT_WORTH]).probabilities[0]


def _near(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.max(np.abs(a - b)) < NEAR)
