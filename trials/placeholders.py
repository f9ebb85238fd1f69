"""Where a command takes its hyperparameters from: `{lr}` in `run`, in `env`, or a whole config file."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from . import template
from .space_yaml import PlacedError, placed
from .yaml_file import Place


def check_placeholders(
    names: Iterable[str], *, run: str, env: Mapping[str, str] | None = None, config_file: str | None = None
) -> None:
    """Every placeholder names a hyperparameter, and every hyperparameter reaches the script.

    Raises:
        SpecError: naming the placeholder or the hyperparameter.
    """
    known = list(names)
    for name in known:
        if name in template.BUILT_IN:
            raise PlacedError(f"{name!r} is a name of Luthier's own, for `{{{name}}}`; choose another", ("space", name))
    with placed("run"):
        words: dict[Place, list[str]] = {("run",): template.split(run)}
    words.update({("env", key): [text] for key, text in (env or {}).items()})
    used = {name: place for place, texts in words.items() for name in template.names(texts)}
    for name, place in used.items():
        _check_known(name, known, place)
    if "config" in used and config_file is None:
        raise PlacedError("`{config}` needs a config file; add `config_file: config.json`", used["config"])
    unused = [name for name in known if name not in used]
    if unused and config_file is None:
        raise PlacedError(
            f"every hyperparameter must reach the script, but {', '.join(map(repr, unused))} stands nowhere in `run` "
            f"or `env`; write `--{unused[0].replace('_', '-')} {{{unused[0]}}}` in `run`, or add `config_file`",
            ("space", unused[0]),
        )


def check_command(run: str, folder: Path, *, python: str | None = None, env: Mapping[str, str] | None = None) -> None:
    """The program and, for Python, the script of a command exist, seen from the study file's folder.

    Raises:
        SpecError: naming what is missing and where it was looked for.
    """
    with placed("run"):
        words = template.split(run)
    key, program = ("python", python) if words[0] == "python" else ("run", words[0])
    # `python` alone is the interpreter that runs Luthier; a PATH of the study's own is searched when it runs.
    sure = program is not None and "PATH" not in (env or {}) and not template.names([program])
    if sure and program is not None and not _found(program, folder):
        raise PlacedError(
            f"`{key}` must name a program, but {program!r} is neither on the PATH nor in {folder}; check its spelling",
            (key,),
        )
    if words[0] in ("python", "python3") and len(words) > 1:
        _check_script(words[1], folder)


def _check_known(name: str, known: list[str], place: Place) -> None:
    if name in known or name in template.BUILT_IN:
        return
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {{{near[0]}}}?" if near else "give it a range there, or write a value in its place"
    where = ".".join(map(str, place))
    raise PlacedError(
        f"a placeholder must name a hyperparameter of `space`, but `{where}` holds {{{name}}}; {hint}", place
    )


def _found(program: str, folder: Path) -> bool:
    return (folder / program).is_file() if "/" in program else shutil.which(program) is not None


def _check_script(script: str, folder: Path) -> None:
    if not script.endswith(".py") or template.names([script]) or (folder / script).is_file():
        return
    near = get_close_matches(script, [p.name for p in sorted(folder.glob("*.py"))], n=1)
    hint = f"did you mean {near[0]!r}?" if near else "paths start from the study file's folder"
    raise PlacedError(f"the script must exist, but there is no {script!r} in {folder}; {hint}", ("run",))
