"""Conditions and constraints: a small expression language, parsed with `ast` and never `eval`-ed."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from .errors import SpaceError

MAX_LENGTH = 500  # characters; longer expressions belong in the script
MAX_DEPTH = 50  # levels; reading and evaluating recurse, wherever on the stack they are called
MAX_EXPONENT = 64  # keeps `x ** y` from eating the memory

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "abs": abs, "log": math.log, "sqrt": math.sqrt}


class Expression:
    """A parsed expression over hyperparameter names, such as `units * layers <= 1024`.

    Allowed: numbers, strings, True, False, names, + - * / // % **, comparisons, in, and, or, not, lists, tuples,
    and the functions min, max, abs, log, sqrt.

    Raises:
        SpaceError: when the text is no such expression.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        if len(self.text) > MAX_LENGTH:
            raise SpaceError(f"an expression has at most {MAX_LENGTH} characters, but this has {len(self.text)}")
        try:
            self._tree = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise SpaceError(
                f"expression {self.text!r} cannot be read ({error}); write it like `units <= 512`"
            ) from error
        if _depth(self._tree) > MAX_DEPTH:
            raise SpaceError(f"an expression nests at most {MAX_DEPTH} deep, but {self.text!r} does more; split it")
        self.names = frozenset(self._check(self._tree))

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """The expression's value where names mean `values`.

        Raises:
            SpaceError: on an unknown name, or when the arithmetic fails (such as a division by zero).
        """
        try:
            return self._value(self._tree, values)
        except SpaceError:
            raise
        except (ArithmeticError, TypeError, ValueError) as error:
            raise SpaceError(f"expression {self.text!r} fails at {dict(values)}: {error}") from error

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def _refuse(self, what: str) -> SpaceError:
        return SpaceError(
            f"expression {self.text!r} may not hold {what}; use names, numbers, comparisons and arithmetic"
        )

    def _check(self, node: ast.AST) -> list[str]:
        match node:
            case ast.Constant(value=bool() | int() | float() | str()):
                return []
            case ast.Name(id=name):
                return [name]
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd(), operand=inner):
                return self._check(inner)
            case ast.BinOp(left=a, op=op, right=b) if type(op) in _BINARY or isinstance(op, ast.Pow):
                return self._check(a) + self._check(b)
            case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [name for part in parts for name in self._check(part)]
            case ast.Compare(left=first, ops=ops, comparators=rest) if all(type(op) in _COMPARE for op in ops):
                return [name for part in (first, *rest) for name in self._check(part)]
            case ast.Call(func=ast.Name(id=function), args=args, keywords=[]) if function in _FUNCTIONS:
                return [name for part in args for name in self._check(part)]
        raise self._refuse(f"`{ast.unparse(node)}`" if isinstance(node, ast.expr) else type(node).__name__)

    def _value(self, node: ast.AST, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=constant):
                return constant
            case ast.Name(id=name):
                if name not in values:
                    raise SpaceError(f"expression {self.text!r} names {name!r}, which has no value here")
                return values[name]
            case ast.UnaryOp(op=op, operand=inner):
                value = self._value(inner, values)
                return (not value) if isinstance(op, ast.Not) else -value if isinstance(op, ast.USub) else +value
            case ast.BinOp(left=a, op=ast.Pow(), right=b):
                return self._power(self._value(a, values), self._value(b, values))
            case ast.BinOp(left=a, op=op, right=b):
                return self._arithmetic(op, self._value(a, values), self._value(b, values))
            case ast.BoolOp(op=op, values=parts):
                return self._first(parts, isinstance(op, ast.Or), values)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self._value(part, values) for part in parts]
            case ast.Compare(left=first, ops=ops, comparators=rest):
                terms = [self._value(part, values) for part in (first, *rest)]
                return all(_COMPARE[type(op)](a, b) for op, a, b in zip(ops, terms, terms[1:], strict=False))
            case ast.Call(func=ast.Name(id=function), args=args):
                return _FUNCTIONS[function](*(self._value(part, values) for part in args))
        raise self._refuse(type(node).__name__)

    def _first(self, parts: list[ast.expr], wanted: bool, values: Mapping[str, Any]) -> Any:
        # As in Python: `or` is its first true part, `and` its first false one, else the last.
        value: Any = None
        for part in parts:
            value = self._value(part, values)
            if bool(value) is wanted:
                break
        return value

    def _arithmetic(self, op: ast.operator, a: Any, b: Any) -> Any:
        # Text times a number, or a format string, could grow without bound.
        if isinstance(a, str | list) or isinstance(b, str | list):
            raise self._refuse("arithmetic on text or lists")
        return _BINARY[type(op)](a, b)

    def _power(self, a: Any, b: Any) -> Any:
        if not isinstance(b, int | float) or abs(b) > MAX_EXPONENT:
            raise self._refuse(f"an exponent above {MAX_EXPONENT}")
        return float(a) ** b


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [child for node in level for child in ast.iter_child_nodes(node)]
    return depth
