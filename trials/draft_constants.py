"""Options of scripts that hold plain constants, or read environment variables."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .draft_options import (
    Option,
    Reading,
    assignments,
    called,
    constants_of,
    keywords_of,
    kind_of,
    name_for,
    value_of,
)

_CASTS = ("float", "int", "str")


def read_environment(tree: ast.Module) -> Reading | None:
    """Options read as `float(os.environ.get("LR", 1e-3))` or with `os.getenv`; None when there are none."""
    known, found = constants_of(tree), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node.func) in _CASTS and len(node.args) == 1:
            variable, default = _variable(node.args[0], known)
            if variable and default is not None:
                kind = called(node.func)
                found[variable] = _from_environment(variable, kind, default)
    options = tuple(option for option in found.values() if option is not None)
    return Reading("environment", options) if options else None


def read_constants(tree: ast.Module) -> Reading | None:
    """Numbers, texts and bools that the top level assigns exactly once; None when there are none."""
    known = constants_of(tree)
    changed = _changed(tree)
    configurator = any("configurator.py" in str(n.value) for n in ast.walk(tree) if isinstance(n, ast.Constant))
    options = []
    for name, node in assignments(tree):
        value = known.get(name)
        if name.startswith("_") or kind_of(value) == "unknown" or name in changed or isinstance(node, ast.Name):
            continue
        own = name_for(name.lower())
        argument = f"--{name}={{{own}}}" if configurator else f"{name}={{{own}}}"
        options.append(Option(own, name, kind_of(value), value, argument))
    return Reading("configurator" if configurator else "constants", tuple(options)) if options else None


def _variable(node: ast.expr, known: dict[str, Any]) -> tuple[str, Any]:
    if not isinstance(node, ast.Call) or not node.args:
        return "", None
    getter = called(node.func) == "getenv" or (
        called(node.func) == "get" and isinstance(node.func, ast.Attribute) and called(node.func.value) == "environ"
    )
    default = node.args[1] if len(node.args) > 1 else keywords_of(node).get("default")
    name = value_of(node.args[0], known)
    return (name, value_of(default, known)) if getter and isinstance(name, str) else ("", None)


def _from_environment(variable: str, kind: str, default: Any) -> Option | None:
    try:
        value = {"float": float, "int": int, "str": str}[kind](default)
    except (TypeError, ValueError):
        return None
    name = name_for(variable.lower())
    return Option(name, variable, kind_of(value), value, f"{{{name}}}")


def _changed(tree: ast.Module) -> set[str]:
    """Names that the top level binds more than once, or that a function declares global."""
    stored = Counter(n.id for n in _top(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    shared = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    return shared | {name for name, times in stored.items() if times > 1}


def _top(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module outside functions and classes, whose names are their own."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield child
            yield from _top(child)
