"""What sizes a training script makes of its hyperparameters, read from its text and never run.

It follows plain assignments, function parameters that are given in one place, and arithmetic; what it does not know
(a vocabulary, a sequence length) counts as a factor that no hyperparameter changes. Loops, classes and data are beyond
it, and it guesses no meaning: sizes that stand together in one call are multiplied with each other and with those of
other calls, and the trials say which product matters.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, product

from ..predictor.derived import MOST, is_number, is_whole
from ..trials.space import Space

MAX_SCRIPT = 200_000  # characters; a longer text is not read
DEEP = 12  # assignments followed in a row
MAX_TEXT = 160  # characters of one size
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"}
_SAME = ("int", "float", "round")  # of one argument: change nothing that matters here
_CALLS = ("min", "max", "abs", "sqrt", "log")


def sizes_in(script: str, space: Space, most: int = 2 * MOST) -> list[str]:
    """Expressions over whole-number hyperparameters, likeliest first; none where the script tells nothing."""
    tree = _parsed(script)
    reader = _Reader(tree, space)
    groups = list(dict.fromkeys(g for node in ast.walk(tree) if (g := tuple(reader.sizes(node)))))
    return _products(groups)[:most]


def named_sizes(script: str, space: Space) -> dict[str, str]:
    """What a script calls the sizes that it computes, and each as an expression over hyperparameters."""
    reader = _Reader(_parsed(script), space)
    return {name: size for name in reader.names if (size := reader.size(ast.Name(name))) is not None}


def _parsed(script: str) -> ast.Module:
    """The script; an empty one where it cannot be read."""
    try:
        return ast.parse(script if len(script) <= MAX_SCRIPT else "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _products(groups: list[tuple[str, ...]]) -> list[str]:
    """Of the sizes that stand together and apart: triples, then what is a size by itself, then pairs."""
    sizes = list(dict.fromkeys(size for group in groups for size in group))
    together = [(pair, group) for group in groups for pair in combinations(dict.fromkeys(group), 2)]
    triples = [(a, b, c) for ((a, b), group), c in product(together, sizes) if c not in group]
    alone = [(size,) for size in sizes if not size.isidentifier()]
    pairs = [*(pair for pair, _ in together), *combinations(sizes, 2)]
    return list(dict.fromkeys(" * ".join(_inside(part) for part in parts) for parts in [*triples, *alone, *pairs]))


def _inside(size: str) -> str:
    """A size as a factor."""
    return size if size.isidentifier() else f"({size})"


class _Reader:
    def __init__(self, tree: ast.Module, space: Space) -> None:
        self._known = spelled(tree, [n for n, p in space.parameters.items() if is_number(p)])
        self._whole = {n for n, p in space.parameters.items() if is_whole(p)}
        self._means = _bindings(tree)

    def sizes(self, node: ast.AST) -> Iterator[str]:
        """The sizes that stand together in one node: a call's arguments, an assignment's value."""
        found: list[ast.expr] = []
        if isinstance(node, ast.Call):
            found = [*node.args, *(k.value for k in node.keywords)]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            found = [node.value]
        yield from (size for value in found if (size := self.size(value)) is not None)

    @property
    def names(self) -> list[str]:
        """What stands for something else, hyperparameters left out."""
        return [name for name in self._means if name not in self._known]

    def size(self, value: ast.expr) -> str | None:
        """A value as an expression over whole-number hyperparameters; None where it is none."""
        text = self._text(value, DEEP)
        if text is None or len(text) > MAX_TEXT or not self._is_size(text):
            return None
        return ast.unparse(ast.parse(text, mode="eval"))  # without needless parentheses

    def _is_size(self, text: str) -> bool:
        names = {n.id for n in ast.walk(ast.parse(text, mode="eval")) if isinstance(n, ast.Name)} - set(_CALLS)
        return bool(names) and names <= self._whole

    def _text(self, node: ast.expr, deep: int) -> str | None:
        """A value in words of hyperparameters; None where something else is in it, apart from factors."""
        name = _name_of(node)
        if name is not None and name in self._known:
            return self._known[name]
        if isinstance(node, ast.Name) and node.id in self._means and deep:
            return self._text(self._means[node.id], deep - 1)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return repr(node.value)
        if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
            return self._joined(node, deep)
        if isinstance(node, ast.Call) and isinstance(function := node.func, ast.Name | ast.Attribute):
            return self._called(function, node, deep)
        return None

    def _joined(self, node: ast.BinOp, deep: int) -> str | None:
        a, b, sign = self._text(node.left, deep), self._text(node.right, deep), _SIGNS[type(node.op)]
        if a is not None and b is not None:
            return f"({a} {sign} {b})"
        if sign == "*":
            return a if a is not None else b
        return a if sign in ("/", "//") else None

    def _called(self, function: ast.Name | ast.Attribute, node: ast.Call, deep: int) -> str | None:
        name = function.id if isinstance(function, ast.Name) else function.attr
        parts = [self._text(argument, deep) for argument in node.args]
        if node.keywords or not parts or any(part is None for part in parts):
            return None
        if name in _SAME and len(parts) == 1:
            return parts[0]
        return f"{name}({', '.join(p for p in parts if p)})" if name in _CALLS else None


def spelled(tree: ast.Module, names: Sequence[str]) -> dict[str, str]:
    """What a script calls each hyperparameter: by its own name, or else by one that differs in capitals only."""
    used = {name for node in ast.walk(tree) if isinstance(node, ast.expr) and (name := _name_of(node)) is not None}
    found = {name: name for name in names if name in used}
    lower = {name.lower(): name for name in names if name not in used}
    return found | {name: lower[name.lower()] for name in used if name.lower() in lower}


def _bindings(tree: ast.Module) -> dict[str, ast.expr]:
    """What a name stands for: the value of its only assignment, or the argument of its function's only call."""
    found: list[tuple[str, ast.expr]] = []
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    calls = Counter(n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            found += [(t.id, node.value) for t in node.targets if isinstance(t, ast.Name)]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For) and isinstance(node.target, ast.Name):
            found += [(node.target.id, node.target)] * 2  # changes, so it stands for nothing
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and calls[node.func.id] == 1:
            function = functions.get(node.func.id)
            names = [a.arg for a in function.args.args] if function is not None else []
            found += list(zip(names, node.args, strict=False))
            found += [(k.arg, k.value) for k in node.keywords if k.arg in names and k.arg is not None]
    times = Counter(name for name, _ in found)
    return {name: value for name, value in found if times[name] == 1}


def _name_of(node: ast.expr) -> str | None:
    """`LR`, `args.lr` and `config["lr"]` are all called lr."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value.replace("-", "_")
    return None
