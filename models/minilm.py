"""`embedded`: all-MiniLM-L6-v2 in this process, by onnxruntime.

The model is that of Reimers and Gurevych's sentence-transformers: 6 layers, 384 dimensions, English first. Its vector
is the mean of the last layer over all tokens. The file holds 8-bit weights, which are widened when it is loaded, so
that the work is done in float32: a text costs 0.2 ms a token on one core.

It knows everyday English better than ours. To "The learning rate is too high and the loss diverges." it finds "It
memorises the training set and generalises badly." nearer (0.47) than "Training blows up; use a smaller step size."
(0.39): texts that share words of the trade are found, paraphrases without any are not always.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .catalogue import EMBEDDER, EMBEDDER_TOKENIZER, entry_of, path_of, present
from .embedder import readable, unit_rows
from .errors import ModelMissing, ModelSpecError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SIZE = 384
MAX_TOKENS = 256  # as sentence-transformers cuts for this model, both end marks counted
_FATAL_ONLY = 4  # onnxruntime's severity: nothing is written into the user's terminal


class MiniLM:
    """The embedded embedder; its files are read at the first call, once in a process.

    Texts go through one by one: a batch saves 1 ms a text below 20 tokens, loses 10 % above 100, and would need
    padding.
    """

    def __init__(self, model: Path, tokenizer: Path) -> None:
        self._model, self._tokenizer = model, tokenizer

    @classmethod
    def open(cls) -> MiniLM:
        """The model in the folder of models.

        Raises:
            ModelMissing: not here; the message says how to fetch it.
        """
        if not present(EMBEDDER):
            raise ModelMissing(f"{EMBEDDER} is not on this machine yet; run: luthier models pull {EMBEDDER}")
        return cls(path_of(EMBEDDER), path_of(EMBEDDER_TOKENIZER))

    @property
    def name(self) -> str:
        """The model, the hashes of its two files, and where it cuts."""
        hashes = ".".join(entry_of(part).sha256[:8] for part in (EMBEDDER, EMBEDDER_TOKENIZER))
        return f"{EMBEDDER}@{hashes}.{MAX_TOKENS}"

    @property
    def size(self) -> int:
        """Dimensions of a vector."""
        return SIZE

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors, of shape (n, 384), float32, each row of length 1.

        Raises:
            ModelSpecError: a file is not the one that was fetched.
        """
        rows = np.empty((len(texts), SIZE), np.float32)
        if texts:
            session, tokenizer = _loaded(self._model, self._tokenizer)
            for row, text in zip(rows, texts, strict=True):
                row[:] = _mean_of_tokens(session, tokenizer, text)
        return unit_rows(rows, len(texts), EMBEDDER) if texts else rows


def _mean_of_tokens(session: Any, tokenizer: Tokenizer, text: str) -> np.ndarray:
    """The last layer's mean over t tokens, of shape (384,). One text has no padding, so every token counts."""
    tokens = np.asarray([tokenizer.encode(readable(text)).ids], np.int64)  # (1, t)
    given = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "token_type_ids": np.zeros_like(tokens)}
    (states,) = session.run(["last_hidden_state"], given)  # (1, t, 384)
    return np.asarray(states[0].mean(axis=0))


@lru_cache(maxsize=1)
def _loaded(model: Path, tokenizer: Path) -> tuple[Any, Tokenizer]:
    """The session and its tokenizer. Both may be shared by threads once they are set up."""
    import onnxruntime
    from tokenizers import Tokenizer

    _check(model, EMBEDDER)
    _check(tokenizer, EMBEDDER_TOKENIZER)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the cores belong to the trials
    options.log_severity_level = _FATAL_ONLY
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    words = Tokenizer.from_file(str(tokenizer))
    words.no_padding()  # the file asks for 128 tokens, filled up and cut
    words.enable_truncation(MAX_TOKENS)
    return session, words


def _check(path: Path, part: str) -> None:
    """Refuse a file with other bytes, whose vectors would pass for the model's. Takes 20 ms, once."""
    from .files import sha256_of

    try:
        right = sha256_of(path) == entry_of(part).sha256
    except OSError as error:
        raise ModelSpecError(f"{path} cannot be read ({error.strerror}); make it readable") from error
    if not right:
        raise ModelSpecError(
            f"{path} is not the file that was fetched; remove it and run: luthier models pull {EMBEDDER}"
        )
