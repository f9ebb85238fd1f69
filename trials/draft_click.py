"""Options of scripts that use click."""

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
    choices_of,
    constants_of,
    imports,
    keywords_of,
    kind_of,
    name_for,
    value_of,
)

_KINDS: dict[str, Kind] = {
    "float": "float", "FLOAT": "float", "FloatRange": "float",
    "int": "int", "INT": "int", "IntRange": "int",
    "str": "str", "STRING": "str", "Choice": "str",
    "bool": "bool", "BOOL": "bool",
}  # fmt: skip


def read_click(tree: ast.Module) -> Reading | None:
    """The options of the command with the most of them; None when there is none."""
    if not imports(tree, "click"):
        return None
    known = constants_of(tree)
    commands = {node: _options(node, known) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    commands = {node: options for node, options in commands.items() if options}
    if not commands:
        return None
    chosen = max(commands, key=lambda node: (len(commands[node]), -node.lineno))
    # A command of a group is called by its name; click writes `train_it` as `train-it`.
    group = next(
        (d for d in chosen.decorator_list if _decorates(d, "command") and _owner(d) not in ("", "click")), None
    )
    name = "" if group is None else _command_name(group, chosen, known)
    doubts = (f"of several commands I took {chosen.name!r}",) if len(commands) > 1 else ()
    return Reading("click", tuple(commands[chosen]), name, doubts)


def _options(function: ast.FunctionDef, known: Mapping[str, Any]) -> list[Option]:
    found = []
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and called(decorator.func) in ("option", "argument"):
            option = _option(decorator, known, positional=called(decorator.func) == "argument")
            found += [] if option is None else [option]
    return found


def _option(call: ast.Call, known: Mapping[str, Any], positional: bool) -> Option | None:
    words = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    flags = [word for word in words if word.startswith("-")]
    if not words or (not flags and not positional):
        return None
    given = keywords_of(call)
    said = words[0] if positional else next((flag for flag in flags if flag.startswith("--")), flags[0])
    on, _, off = said.partition("/")
    name = name_for(on)
    default = value_of(given.get("default"), known)
    note = value_of(given.get("help"), known)
    about = note if isinstance(note, str) else ""
    if off or value_of(given.get("is_flag"), known) is True:
        argument = f"{{{name}:{on}|{off.strip()}}}" if off else f"{{{name}:{on}}}"
        obstacle = "" if off or not default else "its flag can only switch it on, and it is on"
        return Option(
            name, on, "bool", bool(default is not UNKNOWN and default), argument, help=about, obstacle=obstacle
        )
    kind, choices, low, high = _type(given.get("type"), default, known)
    return Option(
        name,
        on,
        kind,
        default if isinstance(default, float | int | str | bool) else None,
        f"{{{name}}}" if positional else f"{on} {{{name}}}",
        choices,
        low,
        high,
        about,
        required=value_of(given.get("required"), known) is True or (positional and default is None),
        obstacle=_obstacle(given, default, known),
    )


def _type(
    node: ast.expr | None, default: Any, known: Mapping[str, Any]
) -> tuple[Kind, tuple[Any, ...], float | None, float | None]:
    kind = _KINDS.get(called(node.func if isinstance(node, ast.Call) else node), "unknown") if node else "unknown"
    kind = kind_of(default) if kind == "unknown" else kind
    if not isinstance(node, ast.Call):
        return kind, (), None, None
    if called(node.func) == "Choice":
        return "str", choices_of(value_of(node.args[0], known)) if node.args else (), None, None
    bounds = dict(zip(("min", "max"), node.args, strict=False)) | keywords_of(node)
    low, high = (value_of(bounds.get(key), known) for key in ("min", "max"))
    return kind, (), _number(low), _number(high)


def _obstacle(given: Mapping[str, ast.expr], default: Any, known: Mapping[str, Any]) -> str:
    if value_of(given.get("multiple"), known) is True or "nargs" in given or "count" in given:
        return "it takes several values"
    return "its default is computed when the script runs" if default is UNKNOWN else ""


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _decorates(node: ast.expr, name: str) -> bool:
    return called(node.func if isinstance(node, ast.Call) else node) == name


def _owner(node: ast.expr) -> str:
    inner = node.func if isinstance(node, ast.Call) else node
    return called(inner.value) if isinstance(inner, ast.Attribute) else ""


def _command_name(node: ast.expr, function: ast.FunctionDef, known: Mapping[str, Any]) -> str:
    if isinstance(node, ast.Call):
        first = value_of(node.args[0] if node.args else keywords_of(node).get("name"), known)
        if isinstance(first, str):
            return first
    return function.name.replace("_", "-")
