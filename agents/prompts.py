"""Prompts are files, one a role, filled strictly: an unknown or a missing variable is an error.

A file has sections, each under a line such as `# system` or `# choose dynamic`; a section is a jinja2 template.
What came from outside a study (logs, help texts, another model's words) goes through the filter `fence`.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, meta

from ..models.caller import Prompt

_SECTION = re.compile(r"^# ((?:\w+ )?(?:system|static|dynamic))$", re.MULTILINE)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
# How chat templates mark a turn: `<|im_end|>`, `<start_of_turn>`, `</s>`, `[/INST]`, fullwidth bars. A model's server
# reads such marks in a log as its own, so a blank takes their meaning away.
_OPENING = re.compile(r"<(?=\S)|\[(?=/?[A-Z_]+\])")
CUT = " [...] "  # its blanks keep it from joining a half mark


class PromptError(ValueError):
    """A developer's mistake: a prompt's variables and what is given differ, or there is no such prompt."""


def prompt(role: str, part: str = "", /, **values: Any) -> Prompt:
    """The prompt of a role, filled.

    Args:
        role: the file's name, such as `planner`.
        part: which of the file's questions, such as `choose`; "" where it holds one only.

    Raises:
        PromptError: when a variable is missing or unknown, or the file has no such part.
    """
    sections = _sections(role)
    prefix = f"{part} " if part else ""
    system = f"{prefix}system" if f"{prefix}system" in sections else "system"
    names = [system, f"{prefix}static", f"{prefix}dynamic"]
    if lost := [name for name in names if name not in sections]:
        raise PromptError(f"the prompt {role!r} must have the section {lost[0]!r}, but has {sorted(sections)}")
    wanted: set[str] = set().union(*(sections[name][1] for name in names))
    if wanted != values.keys():
        missing, unknown = sorted(wanted - values.keys()), sorted(values.keys() - wanted)
        raise PromptError(f"the prompt {role!r} needs {sorted(wanted)}; {missing=}, {unknown=}")
    system, static, dynamic = (sections[name][0].render(values).strip() for name in names)
    return Prompt(role, system, static, dynamic)


def parts(role: str) -> list[str]:
    """The questions that a role's file holds, "" for an unnamed one."""
    return [name.removesuffix("dynamic").strip() for name in _sections(role) if name.endswith("dynamic")]


def roles() -> list[str]:
    """Every role that has a prompt file."""
    return sorted(entry.name.removesuffix(".md") for entry in _folder().iterdir() if entry.name.endswith(".md"))


def prompt_hash(role: str) -> str:
    """Twelve hexadecimal digits of a role's file: whose prompt it was, in a log or in a note."""
    return sha256((_folder() / f"{role}.md").read_bytes()).hexdigest()[:12]


def prompt_hashes() -> dict[str, str]:
    """`prompt_hash` of each role, by its name."""
    return {role: prompt_hash(role) for role in roles()}


def fence(text: str, label: str, limit: int, keep: str = "end") -> str:
    """Text from outside, cut and marked as data, between two marks that it cannot write itself.

    Args:
        label: what it is, such as `log`.
        limit: characters of the text that stay.
        keep: which end of it stays, `start` or `end`.
    """
    harmless = _OPENING.sub(lambda mark: mark[0] + " ", _UNSEEN.sub(" ", text)).strip()
    if len(harmless) > limit:
        harmless = harmless[:limit] + CUT if keep == "start" else CUT + harmless[len(harmless) - limit :]
    return f'<data name="{label}">\n{harmless}\n</data>'


def _folder() -> Any:
    return files(__package__) / "prompts"


@cache
def _sections(role: str) -> dict[str, tuple[Template, frozenset[str]]]:
    """Section name -> (template, its variables)."""
    if role not in roles():
        raise PromptError(f"a prompt's file must exist, but there is none for {role!r}; known: {roles()}")
    pieces = _SECTION.split((_folder() / f"{role}.md").read_text(encoding="utf-8"))
    env = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    env.filters["fence"] = fence
    return {
        name: (env.from_string(body), frozenset(meta.find_undeclared_variables(env.parse(body))))
        for name, body in zip(pieces[1::2], pieces[2::2], strict=True)
    }
