"""Runs a script of plain constants with other values: `python -m luthier.trials.constants train.py LR=0.01`.

Only the named assignments at the script's top level change, in memory; the file stays as it is, and error messages
keep its line numbers. Processes that the script starts by spawning import the unchanged file.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, ModuleType

from .errors import SpecError

USAGE = "usage: python -m luthier.trials.constants SCRIPT [NAME=VALUE ...] [-- ARGUMENTS]"


def with_constants(source: bytes | str, values: Mapping[str, str], filename: str = "<script>") -> CodeType:
    """A script's code with other constants. Values are Python literals; anything else is text.

    Raises:
        SpecError: when a name is not assigned exactly once at the top level.
    """
    tree = ast.parse(source, filename)
    places = {name: [node for node in tree.body if _assigns(node, name)] for name in values}
    for name, nodes in places.items():
        if len(nodes) != 1:
            raise SpecError(
                f"a constant must be assigned exactly once at the top level of {filename}, but {name} is {len(nodes)} "
                "times; check its spelling"
            )
        node = nodes[0]
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            node.value = ast.copy_location(ast.Constant(_literal(values[name])), node.value)
    return compile(tree, filename, "exec")


def main(arguments: list[str]) -> None:
    """Run the script as `__main__`, as if by `python SCRIPT ARGUMENTS`."""
    if not arguments:
        raise SystemExit(USAGE)
    script, *rest = arguments
    end = rest.index("--") if "--" in rest else len(rest)
    pairs = [word.partition("=") for word in rest[:end]]
    if any(not equals for _, equals, _ in pairs):
        raise SystemExit(USAGE)
    try:
        code = with_constants(Path(script).read_bytes(), {name: value for name, _, value in pairs}, script)
    except (OSError, SyntaxError, SpecError) as error:
        raise SystemExit(f"error: {error}") from error
    module = ModuleType("__main__")
    module.__file__ = script
    sys.modules["__main__"] = module
    sys.argv = [script, *rest[end + 1 :]]
    # As Python does for a script: modules beside it can be imported.
    sys.path.insert(0, str(Path(script).resolve().parent))
    exec(code, module.__dict__)


def _assigns(node: ast.stmt, name: str) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id=own)]) | ast.AnnAssign(target=ast.Name(id=own), value=ast.expr()):
            return own == name
    return False


def _literal(text: str) -> float | int | str | bool:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, float | int | str | bool) else text


if __name__ == "__main__":
    main(sys.argv[1:])
