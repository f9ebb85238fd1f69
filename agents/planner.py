"""The planner: choose among the advisors' candidates, or propose a configuration. A function of data and a model.

A small model is a poor optimiser, so it chooses among what is valid anyway; a capable one may propose. Where a
diagnosis asks for something, a rule first narrows the choice to what does that, and a yes or a no is asked about each
of these alone; else it is one among letters. How well each goes is measured in docs/choosing.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ..models.caller import Caller, Prompt
from ..models.choosing import YES_OR_NO
from ..models.decoding import Decoding
from ..trials.records import Candidate, Config, Direction, Value
from ..trials.space import Space, describe
from .context import Context
from .prompts import prompt
from .render import approx_tokens, render
from .schema import MAX_REASON, proposal_schema, to_config
from .steps import difference, suits, wanted

Mode = Literal["choose", "propose"]

MAX_CANDIDATES = 4  # options of a choice: each costs a call
CHOOSE_TOKENS = 350  # of a choice's prompt after its static part, options and letters included
PROPOSE_TOKENS = 600  # of the context in a proposal's prompt
LETTERS_TOKENS = 26  # of the last line of a choice
TOKENS_A_VALUE = 16  # of a proposal: `"learning_rate": 0.00032, `
CAPABLE = 14.0  # billions of parameters from which a model may propose; below, free proposals were erratic
SURE = 0.95  # share of a probe's proposals that must be valid, and in range

VIEWS: Mapping[str, str] = {
    "": "",
    "explore": "Prefer what has not been tried yet.",
    "exploit": "Prefer a small step from the best.",
}
_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z0-9])")


class Plan(BaseModel):
    """The next trial as the planner wants it."""

    model_config = ConfigDict(frozen=True)

    config: dict[str, Value]  # active, inside the space and its constraints
    source: str  # the candidate's advisor, or "planner" for a configuration of its own
    reason: str
    index: int | None = None  # of the candidate it is, if it is one
    probabilities: list[float] = []  # of each candidate, 0 where it was not shown; empty for a proposal
    ranking: list[int] = []  # the different candidates, likeliest first: what to try when the critic refuses one
    mode: Mode
    asked: bool = True  # whether the model had anything to decide


def plan(
    context: Context,
    candidates: Sequence[Candidate],
    space: Space,
    caller: Caller,
    *,
    mode: Mode = "choose",
    feedback: str = "",
    view: str = "",
) -> Plan:
    """The next trial.

    Args:
        candidates: prevalidated ones, the better advisor first. A choice is among the first `MAX_CANDIDATES`
            different ones that suit.
        feedback: why the critic refused the last plan.
        view: a key of `VIEWS`, what this planner leans to.

    Raises:
        ValueError: when there is nothing to choose from.
        ModelError: when the model fails, or proposes what cannot be made valid.
    """
    if mode == "propose":
        return _propose(context, candidates, space, caller, feedback, VIEWS[view])
    return _choose(context, candidates, space, caller, feedback, VIEWS[view])


def planning_mode(model: str | Mapping[str, float]) -> Mode:
    """How a model should plan.

    Args:
        model: its name, whose size counts (`qwen2.5-coder:32b`), or what a probe measured: `json`, `in_range` and
            `choosing_low`, the shares of valid and of in-range proposals and the lower bound of its accuracy at
            choosing, against which proposing has to earn its place.
    """
    if not isinstance(model, str):
        valid = min(model.get("json", 0.0), model.get("in_range", 0.0))
        return "propose" if valid >= SURE and model.get("choosing_low", 0.0) >= 0.8 else "choose"
    sizes = [float(times or 1) * float(size) for times, size in _SIZE.findall(model.lower().split("@")[0])]
    return "propose" if sizes and max(sizes) >= CAPABLE else "choose"


def choice(
    configs: Sequence[Config], context: Context, space: Space, *, feedback: str = "", view: str = ""
) -> tuple[Prompt, list[str]]:
    """The question of a choice and its options, as `Caller.choose` takes them; the context fills what room is left."""
    base, name = _base(context, space)
    options = [difference(config, base, space) for config in configs]
    values = {"view": view, "feedback": feedback, "base": name, "wanted": wanted(context)}
    study = _study(context, space)
    bare = prompt("planner", "choose", **study, **values, context="").dynamic
    spent = approx_tokens("\n".join([bare, "Options:", *(f"{i}. {option}" for i, option in enumerate(options))]))
    room = CHOOSE_TOKENS - LETTERS_TOKENS - spent
    return prompt("planner", "choose", **study, **values, context=render(_brief(context), room)), options


def rating(configs: Sequence[Config], context: Context, space: Space, *, view: str = "") -> tuple[Prompt, list[str]]:
    """A yes-or-no question about each configuration, as `Caller.rate` takes them: is it what the diagnoses ask for?"""
    base, _ = _base(context, space)
    steps = [difference(config, base, space) for config in configs]
    questions = [f"Proposed step: {step}. Is it what is wanted? {YES_OR_NO}" for step in steps]
    return prompt("planner", "rate", wanted=wanted(context), view=view), questions


def eligible(context: Context, candidates: Sequence[Candidate], space: Space) -> list[int]:
    """The places of the candidates among which a choice is made: the first different ones that suit."""
    different = _different(candidates, space)
    return (_suited(different, candidates, context, space) if wanted(context) else different)[:MAX_CANDIDATES]


def _choose(
    context: Context, candidates: Sequence[Candidate], space: Space, caller: Caller, feedback: str, view: str
) -> Plan:
    if not candidates:
        raise ValueError("a choice needs at least one candidate, but there is none")
    different, shown = _different(candidates, space), eligible(context, candidates, space)
    configs = [candidates[i].config for i in shown]
    if wanted(context):
        found = caller.rate(*rating(configs, context, space, view=view))
    else:
        found = caller.choose(*choice(configs, context, space, feedback=feedback, view=view))
    probabilities = [0.0] * len(candidates)
    for place, probability in zip(shown, found.probabilities, strict=True):
        probabilities[place] = probability
    index = shown[found.index]
    chosen = candidates[index]
    return Plan(
        config=dict(chosen.config),
        source=chosen.source,
        reason=_why(chosen, found.probabilities[found.index], len(shown), len(different), caller.name),
        index=index,
        probabilities=probabilities,
        ranking=sorted(different, key=lambda i: -probabilities[i]),
        mode="choose",
        asked=len(shown) > 1,
    )


def _propose(
    context: Context, candidates: Sequence[Candidate], space: Space, caller: Caller, feedback: str, view: str
) -> Plan:
    base, name = _base(context, space)
    worded = [f"{difference(c.config, base, space)} ({c.source})" for c in candidates]
    question = prompt(
        "planner",
        "propose",
        **_study(context, space),
        context=render(context, PROPOSE_TOKENS),
        wanted=wanted(context),
        candidates=worded,
        base=name,
        view=view,
        feedback=feedback,
    )
    limit = Decoding(max_tokens=MAX_REASON // 2 + TOKENS_A_VALUE * len(space))
    answer = caller.ask(question, proposal_schema(space, keep=base), limit).value
    config = to_config(answer["config"], space, base)
    same = next((i for i, c in enumerate(candidates) if space.key(c.config) == space.key(config)), None)
    return Plan(
        config=config,
        source="planner" if same is None else candidates[same].source,
        reason=" ".join(str(answer["reason"]).split())[:MAX_REASON] or "the model gave no reason",
        index=same,
        mode="propose",
    )


def _different(candidates: Sequence[Candidate], space: Space) -> list[int]:
    """The places of the candidates, each configuration once."""
    places: dict[tuple[tuple[str, str], ...], int] = {}
    for i, candidate in enumerate(candidates):
        places.setdefault(space.key(candidate.config), i)
    return list(places.values())


def _suited(shown: list[int], candidates: Sequence[Candidate], context: Context, space: Space) -> list[int]:
    """Those that mainly do what the diagnoses ask for, which needs no model to see; all of them where none does."""
    base, asked = _base(context, space)[0], wanted(context)
    return [i for i in shown if suits(candidates[i].config, base, space, asked)] or shown


def _why(chosen: Candidate, probability: float, shown: int, all_of_them: int, model: str) -> str:
    """The advisor's own reason and the number that the model gave: a small model's words would be made up after."""
    reason = chosen.reason or f"proposed by {chosen.source}"
    if shown > 1:
        return f"{reason}; {model} gave it {probability:.0%} among {shown} candidates"
    return f"{reason}; it alone does what the diagnoses ask for" if all_of_them > 1 else reason


def _brief(context: Context) -> Context:
    """The context without what helps to propose but not to choose: each uncached hundred tokens costs 2 s."""
    return context.model_copy(update={"effects": [e for e in context.effects if e.certain], "unexplored": []})


def _base(context: Context, space: Space) -> tuple[Config, str]:
    """What candidates are worded against, and its name."""
    if context.best is None:
        return space.default(), "the default configuration"
    return context.best.config, f"trial {context.best.number}, the best"


def _study(context: Context, space: Space) -> dict[str, Any]:
    lines = [f"- {name} {describe(p)} {p.description}".rstrip() for name, p in space.parameters.items()]
    better = "higher" if context.direction is Direction.MAXIMIZE else "lower"
    return {"study": context.study, "metric": context.metric, "better": better, "space": "\n".join(lines)}
