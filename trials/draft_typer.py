"""Options of scripts that use typer: the parameters of a function."""

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
    constants_of,
    imports,
    keywords_of,
    name_for,
    value_of,
)

_KINDS: dict[str, Kind] = {"float": "float", "int": "int", "str": "str", "bool": "bool"}
_DECLARATIONS = ("Option", "Argument")


def read_typer(tree: ast.Module) -> Reading | None:
    """The options of the command with the most parameters; None when there is none."""
    if not imports(tree, "typer"):
        return None
    commands = _commands(tree)
    if not commands:
        return None
    known, enums = constants_of(tree), _enums(tree)
    chosen = max(commands, key=lambda node: (len(node.args.args) + len(node.args.kwonlyargs), -node.lineno))
    options = [_option(arg, default, known, enums) for arg, default in _parameters(chosen)]
    found = tuple(option for option in options if option is not None)
    several = len(commands) > 1
    doubts = (f"of several commands I took {chosen.name!r}",) if several else ()
    return Reading("typer", found, chosen.name.replace("_", "-") if several else "", doubts) if found else None


def _commands(tree: ast.Module) -> list[ast.FunctionDef]:
    run = {called(call.args[0]) for call in calls(tree, "run") if call.args}
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and (
            node.name in run
            or any(called(d.func if isinstance(d, ast.Call) else d) == "command" for d in node.decorator_list)
        )
    ]


def _parameters(function: ast.FunctionDef) -> list[tuple[ast.arg, ast.expr | None]]:
    plain = [*function.args.posonlyargs, *function.args.args]
    missing: list[ast.expr | None] = [None] * (len(plain) - len(function.args.defaults))
    return [
        *zip(plain, [*missing, *function.args.defaults], strict=True),
        *zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True),
    ]


def _option(
    arg: ast.arg, node: ast.expr | None, known: Mapping[str, Any], enums: Mapping[str, dict[str, Any]]
) -> Option | None:
    annotation, declared = _unwrap(arg.annotation)
    if isinstance(node, ast.Call) and called(node.func) in _DECLARATIONS:
        # The old way: lr: float = typer.Option(1e-3, "--lr"). Its default comes first.
        declared, node = node, node.args[0] if node.args else keywords_of(node).get("default")
        words = declared.args[1:]
    else:
        words = declared.args if declared is not None else []
    given = keywords_of(declared) if declared is not None else {}
    flags = [flag for word in words if isinstance(flag := value_of(word, known), str) and flag.startswith("-")]
    required = node is None or (isinstance(node, ast.Constant) and node.value is ...)
    positional = (required and declared is None) or (declared is not None and called(declared.func) == "Argument")
    kind, choices = _kind(annotation, enums)
    default = None if required else _default(node, known, enums)
    name = name_for(arg.arg)
    said = next((flag for flag in flags if flag.startswith("--")), "--" + arg.arg.replace("_", "-"))
    said, argument = _argument(said, name, kind, positional, bool(flags), arg.arg)
    note = value_of(given.get("help"), known)
    low, high = (value_of(given.get(key), known) for key in ("min", "max"))
    return Option(
        name,
        said,
        kind,
        default if isinstance(default, float | int | str | bool) else None,
        argument,
        choices,
        low if isinstance(low, int | float) else None,
        high if isinstance(high, int | float) else None,
        note if isinstance(note, str) else "",
        required,
        "its default is computed when the script runs" if default is UNKNOWN else "",
    )


def _argument(said: str, name: str, kind: Kind, positional: bool, named: bool, arg: str) -> tuple[str, str]:
    if positional:
        return arg, f"{{{name}}}"
    if kind != "bool":
        return said, f"{said} {{{name}}}"
    on, slash, off = said.partition("/")
    if named and not slash:
        return on, f"{{{name}:{on}}}"
    return on, f"{{{name}:{on}|{off or '--no-' + on.removeprefix('--')}}}"


def _unwrap(node: ast.expr | None) -> tuple[ast.expr | None, ast.Call | None]:
    """The type inside `Annotated[T, typer.Option(...)]`, and that call."""
    if isinstance(node, ast.Subscript) and called(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
        marks = [m for m in node.slice.elts[1:] if isinstance(m, ast.Call) and called(m.func) in _DECLARATIONS]
        return node.slice.elts[0], marks[0] if marks else None
    return node, None


def _kind(node: ast.expr | None, enums: Mapping[str, dict[str, Any]]) -> tuple[Kind, tuple[Any, ...]]:
    match node:
        case ast.Subscript(value=inner, slice=content) if called(inner) == "Optional":
            return _kind(content, enums)
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return _kind(left, enums)
        case ast.Subscript(value=inner, slice=content) if called(inner) == "Literal":
            items = content.elts if isinstance(content, ast.Tuple) else [content]
            return "str", tuple(item.value for item in items if isinstance(item, ast.Constant))
        case ast.Name(id=name) if name in enums:
            return "str", tuple(enums[name].values())
        case ast.Name(id=name) if name in _KINDS:
            return _KINDS[name], ()
    return "unknown", ()


def _default(node: ast.expr | None, known: Mapping[str, Any], enums: Mapping[str, dict[str, Any]]) -> Any:
    match node:
        case ast.Attribute(value=ast.Name(id=owner), attr=member) if owner in enums:
            return enums[owner].get(member, UNKNOWN)
        case ast.Attribute(value=ast.Attribute() as inner, attr="value"):
            return _default(inner, known, enums)
    return value_of(node, known)


def _enums(tree: ast.Module) -> dict[str, dict[str, Any]]:
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any("Enum" in called(base) for base in node.bases):
            found[node.name] = {
                part.targets[0].id: part.value.value
                for part in node.body
                if isinstance(part, ast.Assign)
                and isinstance(part.targets[0], ast.Name)
                and isinstance(part.value, ast.Constant)
            }
    return found
