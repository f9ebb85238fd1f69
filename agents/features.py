"""Derived features from what is known of a study: the names of its hyperparameters, its script, and a model's reading.

Knowing the code is what tells failures apart early (docs/gate.md). Names and script are read by rules, which cost
nothing; a model may add to them. None of them is trusted: the failure model weighs each by the trials.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..models.caller import Caller
from ..models.decoding import Decoding
from ..predictor.derived import MOST, Derived, derived_of, from_names, is_number
from ..trials.space import Space
from .prompts import prompt
from .script_sizes import named_sizes, sizes_in

MAX_PROPOSED, MAX_FACTORS = 4, 4  # products in a model's answer, and factors of each
SHOWN = 3000  # characters of a script that a model reads: 1,000 tokens, 20 s on two cores
FOLLOWED = 2  # times that names are followed from line to line
_DECODING = Decoding(max_tokens=256)
_SAYS_NOTHING = re.compile(r"\s*(?:#|print\b|\w+ *= *(?:[-+.\de*]+|'.*'|\".*\") *,?\s*(?:#.*)?$)")  # or sets a constant
_TARGET = re.compile(r"([A-Za-z_]\w*)\s*=(?!=)")  # what a line assigns, or a keyword argument
_WORD = re.compile(r"[A-Za-z_]\w*")


def derived_features(space: Space, script: str = "", caller: Caller | None = None) -> list[Derived]:
    """The features worth weighing in a study: a model's first, then the script's, then those that names suggest.

    Args:
        script: the training script's text; "" where it is not known.
        caller: None reads by rules alone, and so does a script that names no hyperparameter.

    Raises:
        ModelError: when the model fails; ask again without it.
    """
    asked = propose(script, space, caller) if caller is not None and excerpt(script, space) else []
    return merged(asked, sizes_in(script, space) if script else [], from_names(space), space=space)


def merged(*sources: Sequence[str], space: Space) -> list[Derived]:
    """The usable features of several sources, in turns, so that a long list does not drown a short one."""
    longest = max(map(len, sources), default=0)
    return derived_of([s[i] for i in range(longest) for s in sources if i < len(s)], space, MOST)


def propose(script: str, space: Space, caller: Caller) -> list[str]:
    """What a model reads from a script, as expressions.

    It picks factors of products, among hyperparameters and the sizes that the script itself names: writing arithmetic
    freely, a 1.5B model invents names.

    Raises:
        ModelError: no answer, or one that breaks its schema.
    """
    numbers = [name for name, parameter in space.parameters.items() if is_number(parameter)]
    meaning = {**named_sizes(script, space), **{name: name for name in numbers}}
    names = ", ".join([*numbers, *(name for name in meaning if name not in numbers)])
    question = prompt("features", script=excerpt(script, space), names=names)
    products = caller.ask(question, _schema(list(meaning)), _DECODING).value["products"]
    return [" * ".join(f"({meaning[factor]})" for factor in factors) for factors in products]


def excerpt(script: str, space: Space, limit: int = SHOWN) -> str:
    """The lines of a script that numbers among the hyperparameters flow through, in order; "" where it names none.

    Where they are too many, those that name a hyperparameter itself stay.
    """
    lines = [line.rstrip() for line in script.splitlines() if not _SAYS_NOTHING.match(line)]
    words = [set(_WORD.findall(line.partition("#")[0])) for line in lines]
    used, names = set().union(*words), set()
    for name, parameter in space.parameters.items():
        if is_number(parameter):
            names |= {name} if name in used else {word for word in used if word.lower() == name.lower()}
    shown: list[int] = []
    for _ in range(FOLLOWED):
        fresh = [i for i, found in enumerate(words) if found & names and i not in shown]
        names |= {target for i in fresh for target in _TARGET.findall(lines[i])}
        for i in fresh:
            if sum(len(lines[k]) + 1 for k in [*shown, i]) <= limit:
                shown.append(i)
    return "\n".join(lines[i] for i in sorted(shown))


def _schema(names: Sequence[str]) -> dict[str, Any]:
    factors = {"type": "array", "items": {"enum": list(names)}, "minItems": 1, "maxItems": MAX_FACTORS}
    products = {"type": "array", "items": factors, "minItems": 1, "maxItems": MAX_PROPOSED}
    return {
        "type": "object",
        "properties": {"products": products},
        "required": ["products"],
        "additionalProperties": False,
    }
