"""What a script lets one set, read from its syntax tree; the script never runs."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import SpaceError, SpecError
from .expression import Expression
from .records import Value
from .template import BUILT_IN

Kind = Literal["float", "int", "str", "bool", "unknown"]
UNKNOWN: Any = object()  # a value that only running the script would show


@dataclass(frozen=True)
class Option:
    """One thing that a script lets one set."""

    name: str  # the hyperparameter's, an identifier
    said: str  # as the script calls it: `--lr`, `LR`
    kind: Kind
    default: Value | None = None
    argument: str = ""  # how the command passes it: `--lr {lr}`
    choices: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    help: str = ""
    required: bool = False
    obstacle: str = ""  # why it cannot be tuned as it is


@dataclass(frozen=True)
class Reading:
    """What a reader found: options in order, and what to say about them."""

    style: str  # "argparse", "click", "typer", "constants", ...
    options: tuple[Option, ...] = ()
    command: str = ""  # the subcommand's name, if there are several
    doubts: tuple[str, ...] = ()


def parse_script(script: Path) -> ast.Module:
    """The syntax tree of a script.

    Raises:
        SpecError: when it is missing or no Python.
    """
    if not script.is_file():
        raise SpecError(f"a script must exist, but {script} is no file; check the path")
    try:
        return ast.parse(script.read_bytes(), filename=str(script))
    except SyntaxError as error:
        where = "it" if error.lineno is None else f"line {error.lineno}"  # a null byte has no line
        raise SpecError(
            f"{script} must be Python {'.'.join(map(str, _version()))}, but {where} is not: {error.msg}; "
            "write study.yaml by hand for other languages"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SpecError(f"{script} must be a Python script, but cannot be read as one: {error}") from error


def _version() -> tuple[int, int]:
    import sys

    return sys.version_info[:2]


def constants_of(tree: ast.Module) -> dict[str, Any]:
    """The values of names that the module's top level assigns exactly once, where they can be told."""
    known: dict[str, Any] = {}
    twice: set[str] = set()
    for name, node in assignments(tree):
        if name in known:
            twice.add(name)
        known[name] = value_of(node, known)
    return {name: value for name, value in known.items() if name not in twice and value is not UNKNOWN}


def assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The plain assignments `name = value` of the top level, in order."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value


def value_of(node: ast.AST | None, known: Mapping[str, Any]) -> Any:
    """The value of a literal, of arithmetic on literals, or of a known name; UNKNOWN otherwise."""
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass  # no literal: perhaps an expression
    try:
        value = Expression(ast.unparse(node))(known)
    except SpaceError:
        return UNKNOWN
    # An expression's powers are real numbers: `2 ** 6` is 64 again.
    real = any(isinstance(n, ast.Div) or isinstance(getattr(n, "value", None), float) for n in ast.walk(node))
    return int(value) if isinstance(value, float) and value.is_integer() and not real else value


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    """The calls of a function or method of this name, in the order of the text."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node.func) == name]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def called(node: ast.AST) -> str:
    """The last name of `a.b.c`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def keywords_of(call: ast.Call) -> dict[str, ast.expr]:
    """The keyword arguments of a call, without `**`."""
    return {k.arg: k.value for k in call.keywords if k.arg is not None}


def imports(tree: ast.AST, module: str) -> bool:
    """Whether the script imports a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if any(n.name.split(".")[0] == module for n in names):
                return True
            case ast.ImportFrom(module=str() as source) if source.split(".")[0] == module:
                return True
    return False


def name_for(said: str) -> str:
    """A hyperparameter's name for an option: `--batch-size` is `batch_size`, `--lambda` is `lambda_`."""
    name = re.sub(r"\W", "_", said.lstrip("-")).strip("_") or "x"
    name = f"x{name}" if name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) or name in BUILT_IN else name


def kind_of(value: Any) -> Kind:
    """The kind of a default."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "str"
    return "unknown"


def choices_of(value: Any) -> tuple[Value, ...]:
    """The choices in a list, tuple or range; empty when there is something else among them."""
    items = tuple(value) if isinstance(value, list | tuple | set | frozenset) else ()
    return items if all(isinstance(item, str | int | float) for item in items) else ()
