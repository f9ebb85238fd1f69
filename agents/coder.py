"""The coder's repair of a crashed launch: an option or a key that the script calls by another name.

It may rename only what the command declares for hyperparameters, only what the log complained of, and only to a name
that the script itself printed. Values, and what bounds or judges a trial, such as `--epochs`, are out of its reach.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ..models.caller import Caller
from ..models.decoding import Decoding
from .prompts import prompt

CLOSE = 0.7  # similarity from which two names are taken for one
APART = 0.1  # by how much the nearest name must lead the next
NONE = "none"

# What a trial costs, what it learns from, how it is judged, where it writes: no repair turns another option into it.
_PROTECTED_WORDS = """
    epoch step iteration iter time timeout limit data dataset train valid validation val test eval split fold metric
    seed device gpu cuda worker thread process out output dir directory path file save load log checkpoint resume name
    project host port user token key config help version verbose quiet debug dry force trial
"""
PROTECTED = frozenset(_PROTECTED_WORDS.split())
SHORT = {  # what scripts call the same thing
    "lr": "learning rate",
    "eta": "learning rate",
    "wd": "weight decay",
    "bs": "batch size",
    "batch": "batch size",
    "optim": "optimizer",
    "opt": "optimizer",
    "units": "hidden size",
    "hidden": "hidden size",
    "hidden units": "hidden size",
    "hidden dim": "hidden size",
    "layers": "num layers",
    "n layers": "num layers",
    "depth": "num layers",
    "dropout rate": "dropout",
}

_OPTION = re.compile(r"(?<![\w-])-{1,2}[A-Za-z][\w-]*")
_NAME = r"['\"`]?(-{0,2}[A-Za-z_][\w.-]*)['\"`]?"
_REFUSED = (  # argparse; click and typer; getopt, Go, clap; Hydra and OmegaConf; Python
    re.compile(r"unrecognized arguments?: (.+)"),
    re.compile(rf"[Nn]o such option:? {_NAME}"),
    re.compile(rf"(?:unknown|unexpected|invalid|unrecognized) (?:option|argument|flag):? {_NAME}", re.IGNORECASE),
    re.compile(rf"[Kk]ey {_NAME} is not in struct"),
    re.compile(rf"unexpected keyword argument {_NAME}"),
    re.compile(rf"[Uu]nknown (?:configuration )?(?:key|field|parameter|setting):? {_NAME}"),
)
_WANTED = (  # names that the script asks for
    re.compile(r"the following arguments are required: (.+)"),
    re.compile(rf"Missing (?:required )?(?:option|argument|parameter):? {_NAME}"),
    re.compile(rf"KeyError: {_NAME}"),
    re.compile(rf"has no attribute {_NAME}"),
    re.compile(rf"missing (?:required )?(?:key|field|setting):? {_NAME}", re.IGNORECASE),
)
_MEANT = re.compile(rf"[Dd]id you mean:? {_NAME}")


class Repair(BaseModel):
    """New names for declared options or keys, and how they were found."""

    model_config = ConfigDict(frozen=True)

    renames: dict[str, str]
    reason: str
    by: Literal["rules", "model"]

    @property
    def text(self) -> str:
        """The repair as a person reads it."""
        return ", ".join(f"{old} -> {new}" for old, new in self.renames.items()) + f" ({self.reason})"


@dataclass(frozen=True)
class _Complaint:
    """What a log says: declared names that the script refused, and the names it may be meaning instead."""

    wrong: list[str]
    allowed: list[str]
    wanted: list[str]  # those of the allowed names that the script missed
    meant: list[str]  # those that it suggested itself


def repair(
    declared: Sequence[str],
    log_tail: str,
    caller: Caller | None,
    *,
    script_help: str = "",
    taken: Sequence[str] = (),
) -> Repair | None:
    """What to rename after a crashed launch; None when the log tells nothing that a renaming could mend.

    Args:
        declared: the options (`--lrate`) and configuration keys (`lrate`) that carry hyperparameters.
        log_tail: the last lines of the crashed trial.
        caller: None repairs by rules alone.
        script_help: what the script printed for `--help`.
        taken: words of the command, whose names are no longer free.

    Raises:
        ModelError: when the rules find nothing and the model fails.
    """
    complaint = _complaint(declared, log_tail, script_help, taken)
    if complaint is None:
        return None
    found = {name: new for name in complaint.wrong if (new := _by_rule(name, complaint)) is not None}
    if len(set(found.values())) < len(found):
        found = {}  # two names that became one would lose a hyperparameter
    if len(found) == len(complaint.wrong):
        return Repair(renames=found, reason="the script's own name", by="rules")
    return None if caller is None else _ask(complaint, found, log_tail, script_help, caller)


def _complaint(declared: Sequence[str], log: str, script_help: str, taken: Sequence[str]) -> _Complaint | None:
    refused = [n for pattern in _REFUSED for found in pattern.findall(log) for n in _names(found)]
    wanted = [n for pattern in _WANTED for found in pattern.findall(log) for n in _names(found)]
    meant = [n for n in _MEANT.findall(log) if n]
    wrong = [name for name in declared if name in refused]
    if not wrong and not refused:
        wrong = [n for n in declared if _unasked(n, wanted, script_help)]
    used = {word.partition("=")[0] for word in taken} | set(declared) | set(refused)
    printed = [name for name in _OPTION.findall(f"{script_help}\n{log}") if len(name) > 2]  # `-e` may be `--epochs`
    listed = [*wanted, *meant, *printed]
    allowed = [n for n in dict.fromkeys(listed) if n not in used and not _protected_words(n) - _words_of(wrong)]
    allowed = [n for n in allowed if wrong and _dashes(n) == _dashes(wrong[0]) and n != "-h"]
    if not wrong or not allowed:
        return None
    return _Complaint(wrong, allowed, [n for n in wanted if n in allowed], [n for n in meant if n in allowed])


def _dashes(name: str) -> int:
    return len(name) - len(name.lstrip("-"))


def _unasked(name: str, wanted: Sequence[str], script_help: str) -> bool:
    """Whether a script that misses `wanted` was given it under `name`: argparse names what it misses, and only that."""
    alike = [w for w in wanted if w.startswith("-") == name.startswith("-")]
    return name not in wanted and name not in _OPTION.findall(script_help) and _near(name, alike)


def _by_rule(name: str, complaint: _Complaint) -> str | None:
    """The script's suggestion, the only name that is missing for the only wrong one, or the clearly nearest name."""
    if len(complaint.wrong) == 1:
        for certain in (complaint.meant, complaint.wanted):
            if len(set(certain)) == 1 and _likeness(name, certain[0]) > 0:
                return certain[0]
    ranked = sorted(((_likeness(name, other), other) for other in complaint.allowed), reverse=True)
    lead = ranked[0][0] - (ranked[1][0] if len(ranked) > 1 else 0.0)
    return ranked[0][1] if ranked[0][0] >= CLOSE and lead >= APART else None


def _ask(complaint: _Complaint, found: dict[str, str], log: str, script_help: str, caller: Caller) -> Repair | None:
    """The model picks for each name that the rules left; "none" leaves the crash as it is."""
    open_names = [name for name in complaint.wrong if name not in found]
    free = [name for name in complaint.allowed if name not in found.values()]
    if not free:
        return None
    question = prompt("coder", help=script_help, log=log, wrong=", ".join(open_names), allowed=", ".join(free))
    answer = caller.ask(question, _schema(open_names, free), Decoding(max_tokens=32 * (len(open_names) + 1))).value
    picked = {name: str(answer[name]) for name in open_names}
    names = [*found.values(), *picked.values()]
    if NONE in names or len(set(names)) < len(names):
        return None
    return Repair(renames=found | picked, reason=f"{caller.name} takes them for the same", by="model")


def _schema(wrong: Sequence[str], allowed: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"enum": [*allowed, NONE]} for name in wrong},
        "required": list(wrong),
        "additionalProperties": False,
    }


def _names(found: str) -> list[str]:
    """The names in what a pattern found: options where there are any, without their values, else the words."""
    return _OPTION.findall(found) or re.findall(r"[A-Za-z_][\w.]*", found)


def _near(name: str, others: Sequence[str]) -> bool:
    return any(_likeness(name, other) >= CLOSE for other in others)


def _likeness(a: str, b: str) -> float:
    """Similarity of two names in [0, 1]; 1 for two ways to say the same, such as `--lr` and `learning_rate`."""
    x, y = _plain(a), _plain(b)
    return 1.0 if x == y else SequenceMatcher(None, x.replace(" ", ""), y.replace(" ", "")).ratio()


def _plain(name: str) -> str:
    words = " ".join(re.split(r"[-_.\s]+", name.strip("-").lower())).strip()
    return SHORT.get(words, words)


def _protected_words(name: str) -> set[str]:
    return _words_of([name]) & PROTECTED


def _words_of(names: Sequence[str]) -> set[str]:
    """The words in names, without a plural's s: what a hyperparameter itself is called, it may be called again."""
    return {re.sub(r"(?<!s)s$", "", w) for name in names for w in re.split(r"[-_.]+", name.strip("-").lower())}
