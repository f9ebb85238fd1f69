"""Trained predictors on disk: numbers, words and nothing that could run.

A file is PyTorch's zip, read with `weights_only`, so that a foreign file cannot execute anything. Vectors of texts are
not in it: whoever asks about a text needs the embedder, which the file names.
"""

from __future__ import annotations

import os
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .ability import Ability
from .card import Card
from .encoding import Encoder
from .errors import CheckpointFault
from .packing import ability_of, state_of

FORMAT, VERSION = "luthier predictor", 4
READS = (3, 4)  # version 3 knows no `nearness`, and says so by its parts


@dataclass(frozen=True)
class Stored:
    """A checkpoint that was read. `ability` makes it whole, once an embedder is at hand."""

    path: Path
    card: Card
    embedder: str  # the name of what made the vectors; `none`
    spec: str  # how `open_embedder` is asked for it
    state: Mapping[str, Any]

    def ability(self, encoder: Encoder) -> Ability:
        """The predictor.

        Raises:
            CheckpointFault: the encoder has another embedder, or the file does not fit together.
        """
        if encoder.name != self.embedder:
            raise CheckpointFault(
                f"{self.path}: it was trained with the embedder {self.embedder}, but this is {encoder.name}, whose "
                "vectors mean something else; use that one, or train again: luthier predictor train"
            )
        try:
            return ability_of(self.state, encoder)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise _damaged(self.path, error) from error


def save(ability: Ability, path: Path, card: Card, *, spec: str = "embedded", half: bool = False) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        spec: how `open_embedder` is asked for the embedder.
        half: keep the large tables in half precision: 450 kB in place of 800 on AFlow's logs, where it moves no
            estimate by 2e-5.

    Raises:
        ValueError: the predictor was not trained, or adds something to `Ability` that a checkpoint does not hold.
    """
    import torch

    state = {
        "format": FORMAT,
        "version": VERSION,
        "embedder": ability.design.encoder.name,
        "spec": spec,
        "card": card.model_dump(mode="json"),
        **state_of(ability, torch.float16 if half else torch.float32),
    }
    made = BytesIO()  # writing to a file, PyTorch hides why one could not be written
    torch.save(state, made)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(made.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read(path: Path) -> Stored:
    """Read a checkpoint. Nothing in it is executed.

    Raises:
        CheckpointFault: it is no file, is damaged, holds objects, or has another version.
    """
    import torch

    _check_bytes(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointFault(
            f"{path}: a checkpoint must hold numbers and words only, but this holds objects that could run code, so it "
            "was not opened; train one of your own: luthier predictor train"
        ) from error
    except (RuntimeError, ValueError, KeyError, EOFError, OSError, AttributeError, TypeError, IndexError) as error:
        raise _damaged(path, error) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise _damaged(path, "it is a file of PyTorch, but no predictor of Luthier")
    if state.get("version") not in READS:
        raise CheckpointFault(
            f"{path}: this Luthier reads versions {READS[0]} to {READS[-1]} of checkpoints, but the file has version "
            f"{state.get('version')!r}; train again with this Luthier: luthier predictor train"
        )
    try:
        return Stored(path, Card.model_validate(state["card"]), str(state["embedder"]), str(state["spec"]), state)
    except (KeyError, ValidationError) as error:
        raise _damaged(path, error) from error


def _check_bytes(path: Path) -> None:
    """Raises CheckpointFault where a file is no zip, or its bytes are not those that were written: PyTorch reads on."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise CheckpointFault(
            f"{path}: a checkpoint must be a file that can be read, but this cannot ({error.strerror}); move it away, "
            "or train again: luthier predictor train"
        ) from error
    with file:
        try:
            damaged = zipfile.ZipFile(file).testzip()
        except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError, OSError) as error:
            raise _damaged(path, f"it is cut short, or no checkpoint at all: {error}") from error
    if damaged is not None:
        raise _damaged(path, f"{damaged} in it is damaged")


def _damaged(path: Path, why: object) -> CheckpointFault:
    said = " ".join(str(why).split())[:160]
    return CheckpointFault(f"{path}: a checkpoint must be whole, but {said}; train again: luthier predictor train")
