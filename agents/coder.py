"""The coder's repair of a crashed launch: an option or key that the script calls by another name.

It may rename only what the command declares for hyperparameters, and only to a name that the script itself printed.
Values, and options such as `--epochs`, are out of its reach.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal

from pydantic import BaseModel

from ..models.caller import Caller
from ..models.decoding import Decoding
from .prompts import outside, prompt_for

LOG_CHARACTERS = 1_500
CLOSE = 0.6  # difflib's ratio from which two names are taken for one
OPTION = re.compile(r"(?<![\w-])--[A-Za-z][\w-]*")
REFUSED = re.compile(r"unrecognized arguments?:.*|[Nn]o such option:?\s*'?--[\w-]+|[Uu]nknown option:?\s*'?--[\w-]+")
MISSING_KEY = re.compile(r"KeyError: ['\"](?P<key>[\w.-]+)['\"]|has no attribute '(?P<attribute>\w+)'")


class Repair(BaseModel):
    """New names for declared options or keys, and how they were found."""

    renames: dict[str, str]
    reason: str
    by: Literal["rules", "model"]


def repair(declared: Sequence[str], log: str, caller: Caller | None) -> Repair | None:
    """What to rename after a crash, None when nothing can be told from the log.

    Args:
        declared: the options (`--lrate`) and keys that stand for hyperparameters.
        log: the last lines of the crashed trial.

    Raises:
        ModelError: when the rules find nothing and the model fails.
    """
    wrong, known = _refused(declared, log)
    if not wrong or not known:
        return None
    renames = {}
    for name in wrong:
        near = get_close_matches(name, known, n=1, cutoff=CLOSE)
        if near:
            renames[name] = near[0]
            known = [k for k in known if k != near[0]]
    if renames:
        words = ", ".join(f"{old} is {new} in the script" for old, new in renames.items())
        return Repair(renames=renames, reason=words, by="rules")
    return None if caller is None else _ask(wrong, known, declared, log, caller)


def _refused(declared: Sequence[str], log: str) -> tuple[list[str], list[str]]:
    """The declared names that the script refused, and the script's own names that are free."""
    complaints = REFUSED.findall(log)
    if complaints:
        refused = OPTION.findall(complaints[-1])
        own = [
            o for o in dict.fromkeys(OPTION.findall(log)) if o not in refused and o not in declared and o != "--help"
        ]
        return [name for name in declared if name in refused], own
    missing = [m.group("key") or m.group("attribute") for m in MISSING_KEY.finditer(log)]
    keys = [name for name in declared if not name.startswith("-")]
    return (keys, [m for m in dict.fromkeys(missing) if m not in keys]) if missing else ([], [])


def _ask(wrong: list[str], known: list[str], declared: Sequence[str], log: str, caller: Caller) -> Repair:
    schema = {
        "type": "object",
        "properties": {"wrong": {"enum": wrong}, "right": {"enum": known}},
        "required": ["wrong", "right"],
        "additionalProperties": False,
    }
    prompt = prompt_for("coder", {"declared": list(declared), "log": outside(log, LOG_CHARACTERS)})
    value = caller.ask(prompt, schema, Decoding(max_tokens=64)).value
    renames = {str(value["wrong"]): str(value["right"])}
    return Repair(renames=renames, reason=f"the model takes {value['wrong']} for {value['right']}", by="model")
