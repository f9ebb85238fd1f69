"""The planner: which configuration runs next, and why.

Two ways to ask: *choose* among candidates by letter log-probabilities, for small models, and *propose* a configuration
as JSON, for capable ones. docs/choosing.md has the measurement that decides between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from ..models.caller import Caller, Prompt
from ..models.decoding import Decoding
from ..models.errors import OutOfRange
from ..trials.records import Candidate, Config, Value
from ..trials.space import Space
from .context import Context
from .prompts import outside, prompt_for
from .render import approx_tokens, render
from .schema import proposal_schema
from .summarizer import changed

Mode = Literal["choose", "propose"]
MAX_CANDIDATES = 4
MAX_OPTION_TOKENS = 30
CHOOSE_TOKENS = 200  # of context; with four options and the letters at most 350 follow the static part
PROPOSE_TOKENS = 600
CAPABLE = re.compile(r"(\d+(?:\.\d+)?)\s*b\b", re.IGNORECASE)  # a model's size in its name
CAPABLE_FROM = 14.0  # billions of parameters


class Plan(BaseModel):
    """A configuration to run, who it is from, and the model's certainty.

    `ranking` holds the candidates' indices, likeliest first: what to try when the critic refuses the first.
    """

    config: dict[str, Value]
    source: str
    reason: str
    mode: Mode
    index: int | None = None
    probabilities: list[float] = []
    ranking: list[int] = []


def planning_mode(model_name: str) -> Mode:
    """`propose` for models that name a size from `CAPABLE_FROM` billion on, else `choose`."""
    sizes = [float(size) for size in CAPABLE.findall(model_name)]
    return "propose" if sizes and max(sizes) >= CAPABLE_FROM else "choose"


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
    """Choose or propose the next configuration.

    Args:
        candidates: prevalidated; the first `MAX_CANDIDATES` count.
        feedback: why the critic refused the last plan.
        view: `explore`, `exploit` or neither, for debates.

    Raises:
        ModelError: when the model fails; the caller of this function goes on with the advisors.
        ValueError: without candidates in `choose` mode.
    """
    if mode == "propose":
        return _propose(context, candidates, space, caller, feedback, view)
    return _choose(context, candidates, caller, feedback, view)


def _choose(context: Context, candidates: Sequence[Candidate], caller: Caller, feedback: str, view: str) -> Plan:
    shown = list(candidates)[:MAX_CANDIDATES]
    base = context.best.config if context.best else {}
    question = "Each option changes the best configuration. Which is the best next trial?"
    prompt = _prompt(context, CHOOSE_TOKENS, question, feedback, view)
    chosen = caller.choose(prompt, [option(c.config, base) for c in shown])
    best, p = shown[chosen.index], chosen.probabilities
    ranking = sorted(range(len(shown)), key=lambda i: -p[i])
    reason = best.reason
    if len(shown) > 1:
        # The model gave a probability and no rationale: none is invented for it.
        reason = f"{best.reason}; chosen among {len(shown)} with probability {p[chosen.index]:.2f}"
    return Plan(
        config=dict(best.config),
        source=best.source,
        reason=reason,
        mode="choose",
        index=chosen.index,
        probabilities=p,
        ranking=ranking,
    )


def _propose(
    context: Context, candidates: Sequence[Candidate], space: Space, caller: Caller, feedback: str, view: str
) -> Plan:
    base = context.best.config if context.best else {}
    hints = "; ".join(f"{c.source}: {option(c.config, base)}" for c in candidates[:MAX_CANDIDATES])
    question = "Propose the next configuration as JSON, with a short reason."
    if hints:
        question = f"Advisors suggest, as changes to the best: {hints}.\n{question}"
    prompt = _prompt(context, PROPOSE_TOKENS, question, feedback, view)
    reply = caller.ask(prompt, proposal_schema(space), Decoding(max_tokens=64 + 24 * len(space)))
    config = space.clip({name: reply.value[name] for name in space})
    if not space.satisfies(config):
        raise OutOfRange(f"{caller.name} proposed a configuration that breaks {list(space.constraints)}")
    reason = outside(str(reply.value["reason"]), 160).replace("\n", " ")
    return Plan(config=config, source="planner", reason=reason, mode="propose")


def option(config: Config, base: Config) -> str:
    """A candidate as its difference to the best, in at most `MAX_OPTION_TOKENS` tokens."""
    parts = changed(config, base) if base else [f"{name} {value}" for name, value in config.items()]
    while len(parts) > 1 and approx_tokens(", ".join(parts)) > MAX_OPTION_TOKENS:
        parts.pop()
    return ", ".join(parts) or "the same as the best"


def _prompt(context: Context, tokens: int, question: str, feedback: str, view: str) -> Prompt:
    return prompt_for(
        "planner",
        {
            "study": outside(context.study, 80),
            "space": {name: outside(text, 200) for name, text in context.space.items()},
            "context": outside(render(context, tokens)),
            "question": question,
            "feedback": outside(feedback, 200),
            "view": view,
        },
    )
