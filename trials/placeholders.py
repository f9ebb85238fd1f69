"""Where a command takes its hyperparameters from: `{lr}` in `run`, in `env`, or a whole config file."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from .space_yaml import PlacedError

# What Luthier itself fills in: the config file's path, and a seed that differs between repeated runs.
RESERVED = ("config", "seed")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")


def placeholders(text: str) -> list[str]:
    """The names in braces, in order. Other braces, as in `'{"a": 1}'`, are plain text."""
    return _PLACEHOLDER.findall(text)


def split_command(run: str) -> list[str]:
    """The words of `run`, as shlex reads them.

    Raises:
        SpecError: when it is empty or a quote stays open.
    """
    try:
        words = shlex.split(run)
    except ValueError as error:
        raise PlacedError(f"`run` cannot be split into words ({error}); close the quote: {run}", ("run",)) from error
    if not words:
        raise PlacedError("`run` must not be empty; write the command, such as `python train.py --lr {lr}`", ("run",))
    return words


def check_placeholders(
    names: Iterable[str], *, run: str, env: Mapping[str, str] | None = None, config_file: str | None = None
) -> None:
    """Every placeholder names a hyperparameter, and every hyperparameter reaches the script.

    Raises:
        SpecError: naming the placeholder or the hyperparameter.
    """
    known = list(names)
    for name in known:
        if name in RESERVED:
            raise PlacedError(f"{name!r} is a name of Luthier's own, for `{{{name}}}`; choose another", ("space", name))
    used: set[str] = set()
    for place, text in (("run",), run), *((("env", key), value) for key, value in (env or {}).items()):
        for name in placeholders(text):
            _check_known(name, known, place)
            used.add(name)
    if "config" in used and config_file is None:
        raise PlacedError("`{config}` needs a config file; add `config_file: config.json`", ("run",))
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
    words = split_command(run)
    program = (python or "python") if words[0] == "python" else words[0]
    own_path = "PATH" in (env or {})
    if (words[0] != "python" or python) and not own_path and not placeholders(program) and not _found(program, folder):
        key = "run" if program == words[0] else "python"
        raise PlacedError(
            f"`{key}` must name a program, but {program!r} is neither on the PATH nor in {folder}; check its spelling",
            (key,),
        )
    if words[0] in ("python", "python3") and len(words) > 1:
        _check_script(words[1], folder)


def _check_known(name: str, known: list[str], place: tuple[str, ...]) -> None:
    if name in known or name in RESERVED:
        return
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {{{near[0]}}}?" if near else "give it a range there, or write a value in its place"
    where = ".".join(place)
    raise PlacedError(
        f"a placeholder must name a hyperparameter of `space`, but `{where}` holds {{{name}}}; {hint}", place
    )


def _found(program: str, folder: Path) -> bool:
    return (folder / program).is_file() if "/" in program else shutil.which(program) is not None


def _check_script(script: str, folder: Path) -> None:
    if not script.endswith(".py") or placeholders(script) or (folder / script).is_file():
        return
    near = get_close_matches(script, [p.name for p in sorted(folder.glob("*.py"))], n=1)
    hint = f"did you mean {near[0]!r}?" if near else "paths start from the study file's folder"
    raise PlacedError(f"the script must exist, but there is no {script!r} in {folder}; {hint}", ("run",))
