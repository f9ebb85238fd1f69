"""An embedder for tests and demonstrations: words that two texts share make them alike; no model is needed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from .embedder import readable, unit_rows

_WORD = re.compile(r"\w+")


class HashEmbedder:
    """Counts words, whatever their case, in `size` buckets chosen by a hash. The same in every process."""

    def __init__(self, size: int = 256) -> None:
        if size < 1:
            raise ValueError(f"size must be 1 or more, but got {size}")
        self._size = size

    @property
    def name(self) -> str:
        """The method and its size."""
        return f"hash-{self._size}"

    @property
    def size(self) -> int:
        """Dimensions of a vector."""
        return self._size

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors, of shape (n, size), float32, each row of length 1."""
        counts = np.zeros((len(texts), self._size), np.float32)
        for row, text in zip(counts, texts, strict=True):
            # A text without words counts as one of the empty word, because a vector of length 1 has a direction.
            for word in _WORD.findall(readable(text).lower()) or [""]:
                row[self._bucket(word)] += 1
        return unit_rows(counts, len(texts), self.name) if texts else counts

    def _bucket(self, word: str) -> int:
        return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest()) % self._size
