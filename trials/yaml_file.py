"""YAML as people expect it: `1e-5` is a number, `no` is a word, a key stands once, and every value knows its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import SpecError

MAX_BYTES = 1_000_000  # of a study file; a larger one is some other file
Place = tuple[str | int, ...]  # keys and indices from the top: ("space", "lr", "default")

_INT = re.compile(r"^[-+]?[0-9][0-9_]*$")
_FLOAT = re.compile(
    r"^[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
)
_BOOL = re.compile(r"^(true|True|TRUE|false|False|FALSE)$")
_FIRST = {"int": "-+0123456789", "float": "-+.0123456789", "bool": "tTfF"}


class _Loader(yaml.SafeLoader):
    """YAML 1.2's scalars in place of 1.1's, where `1e-5` is text, `no` is false, `010` is 8 and `1:30` is 90."""


def _rebuild_resolvers() -> None:
    replaced = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "timestamp")}
    _Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in replaced]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for kind, pattern in (("int", _INT), ("float", _FLOAT), ("bool", _BOOL)):
        _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", pattern, list(_FIRST[kind]))


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(str(loader.construct_scalar(node)).replace("_", ""))


_rebuild_resolvers()
_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never write `&id001`."""
        return True


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


@dataclass(frozen=True)
class Document:
    """A file's data, and the line (from 1) of every place in it."""

    data: Any
    lines: dict[Place, int]

    def line(self, place: Place) -> int | None:
        """The line of a place, or of the nearest place around it."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None


def read_yaml(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        SpecError: missing, unreadable, not text, too large, malformed (with the line), or with a key written twice.
    """
    return parse_yaml(_text_of(path), path)


def parse_yaml(text: str, path: Path = Path("study.yaml")) -> Document:
    """Parse YAML text; `path` is what messages call it.

    Raises:
        SpecError: malformed (with the line), or with a key written twice.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines = {} if node is None else dict(_lines(node, (), path, set()))
        return Document(None if node is None else loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise SpecError(f"{path} is not valid YAML: {where}{error.problem}; {_remedy(text, mark)}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        said = " ".join(str(error).split())
        raise SpecError(f"{path} is not valid YAML: {said}; remove what is not plain text") from error


def to_yaml(data: Any) -> str:
    """One line of YAML that `read_yaml` reads back as `data`."""
    text: str = yaml.dump(
        data, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _text_of(path: Path) -> str:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise SpecError(f"a study file must exist, but {path} {what}; `luthier init train.py` drafts one")
    if path.stat().st_size > MAX_BYTES:
        raise SpecError(f"a study file has at most {MAX_BYTES:,} bytes, but {path} has {path.stat().st_size:,}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"a study file must be UTF-8 text, but {path} is not ({error.reason}); save it so") from error
    except PermissionError as error:
        raise SpecError(f"{path} must be readable, but permission was denied; change its owner or mode") from error


def _lines(node: yaml.Node, place: Place, path: Path, seen: set[int]) -> Iterator[tuple[Place, int]]:
    # An alias shares its node: one visit each, so that nested aliases cannot multiply.
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        known: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in known and name != "<<":
                raise SpecError(
                    f"{path}, line {line}: a key may stand once, but {name!r} is also on line {known[name]}; remove one"
                )
            known[name] = line
            yield (*place, name), line
            yield from _lines(value, (*place, name), path, seen)
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield (*place, i), item.start_mark.line + 1
            yield from _lines(item, (*place, i), path, seen)


def _remedy(text: str, mark: yaml.Mark | None) -> str:
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces, not tabs"
    if ": " in line.partition(":")[2]:
        return "put a value that holds `: ` in quotes"
    return "check the brackets, quotes and indentation there and on the line before"
