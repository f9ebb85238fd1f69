"""A configuration as a file that a script reads: JSON, YAML or TOML."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

from .errors import SpecError
from .records import Config, Value


def check_name(name: str) -> None:
    """Check that a configuration file can be written under this name.

    Raises:
        SpecError: on an unknown ending, or a folder in the name.
    """
    if Path(name).suffix not in _WRITERS or Path(name).name != name:
        raise SpecError(
            f"`config_file` must be a plain name ending in {', '.join(_WRITERS)}, but got {name!r}; "
            "write it like `config.yaml`, and {config} in `run` for its path"
        )


def write(path: Path, config: Config) -> None:
    """Write a configuration in the format that the path's ending names. Values read back as they were."""
    path.write_text(_WRITERS[path.suffix](dict(config)), encoding="utf-8")


def _json(config: Config) -> str:
    return json.dumps(config, indent=2) + "\n"


def _yaml(config: Config) -> str:
    import yaml

    # Not `allow_unicode`: it writes U+0085 as it is, which reads back as a line break.
    return str(yaml.safe_dump(config, sort_keys=False))


def _toml(config: Config) -> str:
    return "".join(f"{name} = {_toml_value(value)}\n" for name, value in config.items())


def _toml_value(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # A JSON string is a TOML string, but for the one control character that JSON leaves as it is.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case float() if not math.isfinite(value):
            return str(value)
    return repr(value)


_WRITERS: dict[str, Callable[[Config], str]] = {".json": _json, ".yaml": _yaml, ".yml": _yaml, ".toml": _toml}
