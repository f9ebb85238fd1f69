"""Options of scripts that use argparse."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from .draft_options import (
    UNKNOWN,
    Kind,
    Option,
    Reading,
    called,
    calls,
    choices_of,
    constants_of,
    keywords_of,
    kind_of,
    name_for,
    value_of,
)

_KINDS: dict[str, Kind] = {"float": "float", "int": "int", "str": "str"}


def read_argparse(tree: ast.Module) -> Reading | None:
    """The options that `add_argument` declares; None when there are none."""
    known = constants_of(tree)
    defaults = {name: value for call in calls(tree, "set_defaults") for name, value in keywords_of(call).items()}
    options = [_option(call, known, defaults) for call in calls(tree, "add_argument")]
    found = [option for option in options if option is not None]
    if not found:
        return None
    several = calls(tree, "add_parser")
    doubts = ["it has subcommands; name the one to run in `run`, and drop the options of the others"] if several else []
    return Reading("argparse", tuple(found), doubts=tuple(doubts))


def _option(call: ast.Call, known: Mapping[str, Any], defaults: Mapping[str, ast.expr]) -> Option | None:
    flags = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    given = keywords_of(call)
    action = _action(given.get("action"))
    if not flags or action in ("help", "version"):
        return None
    said = next((flag for flag in flags if flag.startswith("--")), flags[0])
    name = name_for(said)
    note = value_of(given.get("help"), known)
    about = note if isinstance(note, str) else ""
    if action in ("store_true", "store_false"):
        return Option(name, said, "bool", False, f"{{{name}:{said}}}", help=about)
    dest = value_of(given.get("dest"), known) or name
    default = value_of(defaults.get(dest, given.get("default")), known)
    if action == "BooleanOptionalAction":
        argument, obstacle = f"{{{name}:{said}|--no-{said.removeprefix('--')}}}", _no_default(default, False)
        return Option(name, said, "bool", bool(default), argument, help=about, obstacle=obstacle)
    kind, obstacle = _kind(given, default, action)
    return Option(
        name,
        said,
        kind,
        default if isinstance(default, float | int | str | bool) else None,
        f"{said} {{{name}}}" if said.startswith("-") else f"{{{name}}}",
        choices=choices_of(value_of(given.get("choices"), known)),
        help=about,
        required=(not said.startswith("-") and "default" not in given)
        or value_of(given.get("required"), known) is True,
        obstacle=obstacle,
    )


def _action(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else called(node) if node is not None else "store"


def _kind(given: Mapping[str, ast.expr], default: Any, action: str) -> tuple[Kind, str]:
    declared = called(given["type"]) if "type" in given else ""
    if action != "store":
        return "unknown", f"its action is {action}"
    if "nargs" in given:
        return "unknown", "it takes several values (nargs)"
    if declared == "bool":
        return "bool", "`type=bool` reads every text but the empty one as True; use action='store_true'"
    obstacle = _no_default(default, True)
    if declared in _KINDS:
        return _KINDS[declared], obstacle
    # Without a type argparse passes text on, whatever the default is; a type of the script's own decides itself.
    if not declared:
        return ("str", obstacle) if isinstance(default, str) or default is None else (kind_of(default), obstacle)
    return kind_of(default), obstacle


def _no_default(default: Any, none_is_fine: bool) -> str:
    if default is UNKNOWN:
        return "its default is computed when the script runs"
    return "" if none_is_fine or default is not None else "it has no default"
