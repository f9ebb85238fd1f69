"""The seam before text embeddings: texts in, vectors of length 1 out, and the string that names who makes them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .errors import ModelSpecError, OutOfRange
from .spec import Kind, parse_spec

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

VARIABLE = "LUTHIER_EMBEDDER"  # of the environment: what the memory embeds with
FORMS = "embedded, ollama:NAME, openai:NAME@URL or none"
READ = 20_000  # characters read of a text, as many as a note may hold; every known model cuts far earlier
_KINDS = (Kind.EMBEDDED, Kind.OLLAMA, Kind.OPENAI, Kind.NONE)
_HALF = re.compile("[\ud800-\udfff]")  # a surrogate alone is no character: neither a tokenizer nor JSON takes it


class Embedder(Protocol):
    """Turns texts into vectors, whose scalar products tell how alike the texts are.

    - A text's vector does not depend on what else is embedded in the same call.
    - Any text has a vector: empty, in any script, with control characters. A long one is cut.
    - Threads may share it.
    - One behind a server raises `ModelError` when that fails; `name` and `size` may ask it too, at their first use.
    """

    @property
    def name(self) -> str:
        """Names the model and its bytes: vectors under one name may be compared, and only those."""
        ...

    @property
    def size(self) -> int:
        """Dimensions of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors, of shape (n, size), float32, each row of length 1."""
        ...


def open_embedder(spec: str | Embeddings | Embedder | None = None) -> Embedder | None:
    """The embedder that a string names; None for `none`.

    A server is not asked here whether it is up: that shows at the first call.

    Args:
        spec: `embedded` (all-MiniLM-L6-v2; the default), `ollama:NAME`, `openai:NAME@URL`, `none`, any LangChain
            `Embeddings` or an embedder.

    Raises:
        ModelSpecError: the string or an extra package is wrong or missing.
        ModelMissing: the embedded model's file is not here.
    """
    if spec is not None and not isinstance(spec, str):
        return _adopt(spec)
    text = "embedded" if spec is None else spec.strip()
    head, _, rest = text.partition(":")
    match _kind(head.strip(), text):
        case Kind.OPENAI:
            from .embedding_clients import open_openai_embedder

            parsed = parse_spec(text)
            return open_openai_embedder(parsed.name, parsed.url)
        case Kind.OLLAMA:
            from .embedding_clients import OllamaEmbedder

            if not rest.strip():
                raise ModelSpecError(f"`ollama:` must name a model, as in `ollama:nomic-embed-text`, but got {text!r}")
            return OllamaEmbedder(rest.strip())
        case kind if rest:
            raise ModelSpecError(f"`{kind}` takes nothing after it here, but got {text!r}; write `{kind}`")
        case Kind.NONE:
            return None
        case _:
            from .minilm import MiniLM

            return MiniLM.open()


def named_embedder() -> str | None:
    """The embedder that the user has named for the memory, in LUTHIER_EMBEDDER; None for the usual one."""
    return os.environ.get(VARIABLE, "").strip() or None


def memory_embedder() -> Embedder | None:
    """What the memory embeds with: what LUTHIER_EMBEDDER names, else the embedded one; None for `none`.

    Raises:
        ModelSpecError, ModelMissing: as `open_embedder`.
    """
    named = named_embedder()
    try:
        return open_embedder(named)
    except ModelSpecError as error:
        raise (ModelSpecError(f"{VARIABLE} must name an embedder: {error}") if named else error) from None


def readable(text: str) -> str:
    """The text as a model can take it: at most `READ` characters, and no half characters."""
    return _HALF.sub("\ufffd", text[:READ])


def unit_rows(found: Any, count: int, who: str) -> np.ndarray:
    """What a model gave for `count` texts, of shape (count, size), float32, each row of length 1.

    Raises:
        OutOfRange: not one vector for each text, or one without a direction.
    """
    try:
        rows = np.asarray(found, np.float64)  # (count, size)
    except (TypeError, ValueError):  # no numbers, or rows of several lengths
        rows = np.empty(0)
    if rows.ndim != 2 or len(rows) != count or not rows.size:
        raise OutOfRange(
            f"{who} must give {count} vectors of one size, but gave shape {rows.shape}; use an embedding model"
        )
    lengths: np.ndarray = np.linalg.norm(rows, axis=1, keepdims=True)  # (count, 1)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise OutOfRange(f"{who} must give vectors with a direction, but one is zero or not finite; use another model")
    return np.asarray(rows / lengths, np.float32)


def _adopt(given: Embeddings | Embedder) -> Embedder:
    from langchain_core.embeddings import Embeddings

    if isinstance(given, Embeddings):
        from .embedding_clients import LangChainEmbedder

        return LangChainEmbedder(given)
    if not callable(getattr(given, "embed", None)):
        raise ModelSpecError(f"an embedder is {FORMS}, or an object that embeds, but got {given!r}")
    return given


def _kind(head: str, text: str) -> Kind:
    if head in _KINDS:
        return Kind(head)
    near = get_close_matches(head, [kind.value for kind in _KINDS], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ModelSpecError(f"an embedder is {FORMS}, but got {text!r}{hint}")
