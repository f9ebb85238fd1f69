"""Vectors of texts on disk, so that each text is embedded once: written as they are made, so that a kill loses little.

The file is a plain table of `hash, vector` rows; half a row at its end, or one that is no vector of length 1, does
not count. Its name holds the embedder's, so that vectors of two never mix.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .encoding import Encoder, hash_of
from .estimator import Progress, silent
from .logs import Pairs

CHUNK = 32  # texts between two writes: a second or two of work
HASH_BYTES = 24  # of `encoding.hash_of`
FAR = 1e-3  # from length 1: no vector


class EmbeddingFile:
    """The vectors that one embedder made.

    Args:
        folder: where the file lies or will lie.
        name: the embedder's.
        size: dimensions of its vectors.
    """

    def __init__(self, folder: Path, name: str, size: int) -> None:
        mark = hashlib.sha256(f"{name} {size}".encode()).hexdigest()[:8]
        self.path = folder / f"embeddings-{re.sub('[^a-z0-9]+', '-', name.lower())[:40]}-{mark}.bin"
        self._row = np.dtype([("hash", f"S{HASH_BYTES}"), ("vector", "<f4", (size,))])

    def read(self) -> dict[str, np.ndarray]:
        """The vectors by `encoding.hash_of` of their text; none where there is no file."""
        if not self.path.exists():
            return {}
        rows = np.frombuffer(self.path.read_bytes()[: self._whole()], self._row)
        lengths = np.linalg.norm(np.nan_to_num(rows["vector"]).astype(float), axis=1)
        good = rows[np.abs(lengths - 1) < FAR]
        return {
            key.decode("ascii", "replace"): vector for key, vector in zip(good["hash"], good["vector"], strict=True)
        }

    def append(self, vectors: dict[str, np.ndarray]) -> None:
        """Add some; half a row that a kill left is cut off first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = np.array([(key.encode(), vector) for key, vector in vectors.items()], self._row)
        with self.path.open("ab") as file:
            if file.tell() != (whole := self._whole()):
                file.truncate(whole)
            file.write(rows.tobytes())

    def _whole(self) -> int:
        """Bytes of the file up to its last whole row."""
        size = self.path.stat().st_size
        return size - size % self._row.itemsize


def embed(
    encoder: Encoder, texts: Sequence[str], file: EmbeddingFile | None = None, progress: Progress = silent
) -> None:
    """Make the encoder know all these texts; what is new goes into the file, chunk by chunk."""
    wanted = {hash_of(text): text for text in texts if text.strip()}
    fresh = [text for key, text in wanted.items() if key not in encoder.known]
    for at in range(0, len(fresh) if encoder.size else 0, CHUNK):
        progress(f"embedding {len(fresh):,} new texts", at / len(fresh))
        chunk = fresh[at : at + CHUNK]
        made = dict(zip(map(hash_of, chunk), encoder.texts(chunk), strict=True))
        if file is not None:
            file.append(made)


def texts_of(pairs: Pairs, parts: frozenset[str]) -> list[str]:
    """All texts whose vectors the parts of a `Design` look at, each once."""
    tasks = [pairs.tasks[i] for i in np.unique(pairs.task)]
    workflows = [pairs.workflows[i] for i in np.unique(pairs.workflow)]
    texts, contexts = [task.text for task in tasks], [task.context for task in tasks]
    read = {
        "text": texts,
        "context": contexts,
        "nearness": [*texts, *contexts],
        "prompts": [node for workflow in workflows for node in workflow.nodes],
    }
    return list(dict.fromkeys(text for part in read if part in parts for text in read[part] if text.strip()))
