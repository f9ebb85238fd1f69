"""What the predictor's commands open: logs, checkpoints and the embedder, with one message where one is not here."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import numpy as np

from .cli_predictor_logs import read_told
from .predictor.checkpoint import Stored, read
from .predictor.embeddings import EmbeddingFile
from .predictor.encoding import Encoder
from .predictor.errors import CheckpointFault, LogFault
from .predictor.log_place import logs_folder

if TYPE_CHECKING:
    from .predictor.ability import Ability
    from .predictor.logs import Logs

NAME = "predictor"
ENDING = ".pt"


def predictor_folder() -> Path:
    """Where checkpoints and vectors of texts lie, beside the imported logs."""
    return logs_folder().parent


def checkpoint_path(name: str) -> Path:
    """The checkpoint of a name, which may have its file's ending."""
    return predictor_folder() / f"{name.removesuffix(ENDING)}{ENDING}"


def check_out(path: Path) -> None:
    """Raises CheckpointFault where no checkpoint can be written or found again; nothing is made there."""
    if path.suffix != ENDING:
        rule = f"a checkpoint's file must end in {ENDING}, or --model cannot find it"
        raise CheckpointFault(f"{path}: {rule}; name it {path.name}{ENDING}")
    why = _why_not_written(path)
    if why:
        rule = f"a checkpoint must be a file that can be written, but {why}"
        raise CheckpointFault(f"{path}: {rule}; name another file with --out")


def _why_not_written(path: Path) -> str:
    try:
        if path.is_dir():
            return "a folder is there"
        with TemporaryFile(dir=next(folder for folder in path.absolute().parents if folder.exists())):
            return ""
    except OSError as error:
        return f"the system says: {error.strerror}"


def open_checkpoint(given: str | None) -> Stored:
    """The checkpoint of a name or at a path; without either the user's own, else the one that ships with the package.

    Raises:
        CheckpointFault: there is none, or it cannot be used.
    """
    own = checkpoint_path(given or NAME)
    places = [own] if given else [own, _shipped()]
    if given and given.endswith(ENDING):
        places.insert(0, Path(given).expanduser())
    for place in places:
        if os.path.lexists(place):  # also a link to nowhere, of which its owner should hear
            return read(place)
    raise CheckpointFault(f"{places[0]}: no predictor is here yet; make one: luthier predictor train")


def _shipped() -> Path:
    return Path(str(files("luthier.predictor"))) / "shipped.pt"


def open_ability(stored: Stored) -> Ability:
    """The predictor of a checkpoint with its embedder.

    Raises:
        CheckpointFault: the embedder is not here, does not answer, or is another one.
    """
    from .models import embedder as embedders
    from .models.errors import ModelError, ModelSpecError

    try:
        opened = embedders.open_embedder(stored.spec) if stored.embedder != "none" else None
        return stored.ability(with_known(Encoder(opened)))
    except (ModelSpecError, ModelError) as error:
        raise CheckpointFault(f"{stored.path}: it reads texts by {stored.embedder}, but {error}") from error


def open_encoder(spec: str) -> Encoder:
    """An encoder that knows what was embedded earlier; without vectors, and it is said, where the embedder is missing.

    Raises:
        ModelSpecError: the words name none.
    """
    from .models import embedder as embedders
    from .models.errors import ModelMissing

    try:
        return with_known(Encoder(embedders.open_embedder(spec)))
    except ModelMissing as error:
        print(f"training without texts, by structure and surface alone: {error}", file=sys.stderr)
        return Encoder(None)


def with_known(encoder: Encoder) -> Encoder:
    """The encoder, with the vectors that lie on disk."""
    encoder.known.update(embedding_file(encoder).read() if encoder.size else {})
    return encoder


def embedding_file(encoder: Encoder) -> EmbeddingFile:
    """Where the encoder's vectors are kept."""
    return EmbeddingFile(predictor_folder(), encoder.name, encoder.size)


def open_logs(source: Path | None) -> Logs:
    """The logs of a source, else all that were imported; what was passed over is said on standard error.

    Raises:
        LogFault: there are none, or they are of no known kind.
    """
    place = logs_folder() if source is None else source.expanduser()
    if source is None and not any(place.glob("*.jsonl")):
        raise LogFault(f"{place}: no logs are here yet; name a SOURCE, or run: luthier predictor import SOURCE")
    return read_told(place).logs


class KeptFolds:
    """Estimates of finished folds in a folder: `evaluation.Kept`, one small file a fold and model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken = 0  # how many were there already

    def get(self, name: str) -> np.ndarray | None:
        """What was kept; None where nothing was, or it cannot be read."""
        try:
            found: np.ndarray = np.load(self.folder / f"{name}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        self.taken += 1
        return found

    def put(self, name: str, probability: np.ndarray) -> None:
        """Keep an array, whole or not at all."""
        part = self.folder / f".{name}.{os.getpid()}.part"
        with suppress(FileNotFoundError):  # another training of this name has ended meanwhile, and cleared the folder
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.save(file, probability, allow_pickle=False)
            part.replace(self.folder / f"{name}.npy")
