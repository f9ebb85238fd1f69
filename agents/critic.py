"""The critic: rules first, then the risk of failure, then whether the step is worth its trial.

Whether it is, a learnt scorer says where one is given (`worth`), and the plan is held against what would run instead.
Without one the model is asked: a planned step is scored alone and, where that does not carry it, together with the step
before: a move that mends the last one is a good move (the hierarchical reward model, arXiv 2503.13551).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from ..models.caller import Caller
from ..trials.errors import SpaceError
from ..trials.records import Cause, Config, Direction, State, Trial, Value, best_trial
from ..trials.space import Choice, Space
from .context import Context
from .prompts import prompt
from .render import render
from .steps import difference, spell

NEAR = 0.05  # of every hyperparameter's (log) range: a quarter of a decade on five
RISKY = 0.8  # probability of failure; failures die in seconds, so only a near certain one is worth refusing
ACCEPT_FROM = 0.35  # probability of "worth a trial": one trial costs less than a good move refused
CONTEXT_TOKENS = 200  # the question and its letters stay below a choice's 350
SHARE = 0.75  # of the score of what would run instead, below which a plan is refused: docs/gate.md, "The critic"
OPTIONS = ("worth a trial", "not worth a trial, revise it")


Worth = Callable[[Config], float]  # a configuration to the probability that the step to it is worth its trial


class Verdict(BaseModel):
    """Accept a plan or send it back, with the reason as feedback for the planner."""

    model_config = ConfigDict(frozen=True)

    accept: bool
    reason: str
    step_score: float | None = None  # the probability that the step is worth a trial
    pair_score: float | None = None  # the same of the step and the one before together, where it was asked
    by: Literal["rules", "risk", "worth", "model"]


def check_rules(config: Config, space: Space, trials: Sequence[Trial]) -> str | None:
    """Why a configuration must not run, or None: outside the space, a repetition, or beside a known failure."""
    try:
        space.validate(config)
    except SpaceError as error:
        return str(error)
    key = space.key(config)
    for trial in trials:
        if (
            trial.finished
            and not _differs(trial.config, config)
            and not _interrupted(trial)
            and space.key(trial.config) == key
        ):
            return f"trial {trial.number} ran this configuration already"
    return _beside_failure(config, space, trials)


def criticise(
    config: Config,
    context: Context,
    space: Space,
    trials: Sequence[Trial],
    caller: Caller | None,
    *,
    risk: Callable[[Config], float] | None = None,
    worth: Worth | None = None,
    instead: Config | None = None,
) -> Verdict:
    """Judge a planned configuration.

    Args:
        caller: asked where there is no `worth`; None judges by rules and risk alone.
        risk: probability that a configuration fails.
        worth: a learnt scorer; it needs no model.
        instead: what would run if this plan were refused; with `worth` a plan is refused only against it.

    Raises:
        ModelError: when the model fails.
    """
    if (refusal := check_rules(config, space, trials)) is not None:
        return Verdict(accept=False, reason=refusal, by="rules")
    if risk is not None and (danger := risk(config)) >= RISKY:
        return Verdict(accept=False, reason=f"it fails with probability {danger:.0%}", by="risk")
    if context.best is not None and worth is not None:
        return _held_against(config, instead, space, worth)
    if caller is None or context.best is None:
        return Verdict(accept=True, reason="no rule speaks against it", by="rules")
    step = _step_score(config, context, space, caller)
    pair = None if step >= ACCEPT_FROM else _pair_score(config, context, space, trials, caller)
    words = f"{caller.name} finds the step worth a trial with probability {step:.0%}"
    if pair is not None:
        words += f", together with the step before with {pair:.0%}"
    return Verdict(
        accept=max(step, pair or 0.0) >= ACCEPT_FROM, reason=words, step_score=step, pair_score=pair, by="model"
    )


def _held_against(config: Config, instead: Config | None, space: Space, worth: Worth) -> Verdict:
    """Refuse a plan that is far less likely worth its trial than what would run instead."""
    score = worth(config)
    words = f"its trial beats the best so far with probability {score:.0%}"
    if instead is None or space.key(instead) == space.key(config):
        return Verdict(accept=True, reason=words, step_score=score, by="worth")
    other = worth(instead)
    words += f", the advisors' candidate with {other:.0%}"
    return Verdict(accept=score >= SHARE * other, reason=words, step_score=score, by="worth")


def model_scores(
    config: Config, context: Context, space: Space, trials: Sequence[Trial], caller: Caller
) -> tuple[float, float | None]:
    """The model's probability that a step is worth a trial, and that it is together with the step before.

    Raises:
        ModelError: when the model fails.
    """
    return _step_score(config, context, space, caller), _pair_score(config, context, space, trials, caller)


def _step_score(config: Config, context: Context, space: Space, caller: Caller) -> float:
    assert context.best is not None
    question = prompt(
        "critic",
        "step",
        **_study(context),
        base=f"trial {context.best.number}, the best",
        step=difference(config, context.best.config, space),
    )
    return caller.choose(question, OPTIONS).probabilities[0]


def _pair_score(
    config: Config, context: Context, space: Space, trials: Sequence[Trial], caller: Caller
) -> float | None:
    """The score of the latest trial's step and the planned one as one step; None without two steps in a row."""
    done = sorted((t for t in trials if t.finished), key=lambda t: t.number)
    start = best_trial(done[:-1], context.direction)
    if start is None or context.best is None or not any(config.get(n) != done[-1].config.get(n) for n in space):
        return None
    question = prompt(
        "critic",
        "pair",
        **_study(context),
        base=f"trial {start.number}",
        before=difference(done[-1].config, start.config, space),
        outcome=_outcome(done[-1]),
        step=difference(config, done[-1].config, space),
        together=difference(config, start.config, space),
    )
    return caller.choose(question, OPTIONS).probabilities[0]


def _beside_failure(config: Config, space: Space, trials: Sequence[Trial]) -> str | None:
    """A failure within `NEAR` in every hyperparameter, unless a trial that went well is as near."""
    if not any(t.died_there for t in trials):
        return None
    point = space.to_unit(config)
    near = [(t, float(np.max(np.abs(space.to_unit(t.config) - point)))) for t in trials if _alike(t, config, space)]
    failed = [(d, t) for t, d in near if t.died_there]
    well = min((d for t, d in near if t.state is not State.FAILED), default=np.inf)
    distance, trial = min(failed, key=lambda pair: pair[0], default=(np.inf, None))
    if trial is None or trial.failure is None or distance > NEAR or distance >= well:
        return None
    return f"trial {trial.number} failed next to it ({trial.failure.cause}); move further away"


def _differs(a: Config, b: Config) -> bool:
    """Whether two active configurations clearly differ: nearly all pairs do, and their keys take longer to compare."""
    return any(_apart(value, b[name]) for name, value in a.items() if name in b)


def _apart(a: Value, b: Value) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a != b
    return abs(a - b) > 1e-5 * abs(a)  # ten times what a key tells apart


def _alike(trial: Trial, config: Config, space: Space) -> bool:
    """Whether a finished trial is active where `config` is, with equal choices: only then is a distance meant."""
    same = trial.config.keys() == config.keys()
    return trial.finished and same and all(trial.config[n] == config[n] for n in config if isinstance(space[n], Choice))


def _interrupted(trial: Trial) -> bool:
    return trial.failure is not None and trial.failure.cause is Cause.INTERRUPTED


def _outcome(trial: Trial) -> str:
    return f"{trial.failure.cause}" if trial.failure is not None else f"{trial.state}, {spell(trial.value)}"


def _study(context: Context) -> dict[str, str]:
    better = "higher" if context.direction is Direction.MAXIMIZE else "lower"
    text = render(context, CONTEXT_TOKENS)
    return {"study": context.study, "metric": context.metric, "better": better, "context": text}
