"""Embedders behind a server or a LangChain object: they know their size after the first call, and may fail."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from .embedder import readable, unit_rows
from .errors import OutOfRange, PromptTooLong
from .faults import NOT_FOUND, as_model_error
from .openai import not_installed

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

BATCH = 32  # texts a request: a minute of a slow server's time
BLANK = "-"  # stands for a text without words: OpenAI refuses one, and servers answer with nothing or with zeros
SHORTEST = 200  # characters; a model that refuses even these is broken, and its error is told
# A server that is up takes a connection at once; a batch may wait until a large model is loaded.
_WAIT = httpx.Timeout(600.0, connect=5.0)  # seconds
_CONNECTIONS = httpx.Limits(max_keepalive_connections=0)  # so that no socket is left when the process ends


class _Client(ABC):
    """What both kinds share. `_label` is the model as messages call it."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._size: int | None = None

    @property
    def size(self) -> int:
        """Dimensions of a vector; the first use embeds a word where nothing was embedded before.

        Raises:
            ModelError: the server failed.
        """
        return self._size if self._size is not None else int(self.embed([BLANK]).shape[1])

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors, of shape (n, size), float32, each row of length 1.

        Raises:
            ModelError: the server failed; the kind says how.
        """
        if not texts:
            return np.empty((0, self.size), np.float32)
        given = [cut if (cut := readable(text)).strip() else BLANK for text in texts]
        return np.concatenate([self._rows(given[begin : begin + BATCH]) for begin in range(0, len(given), BATCH)])

    def _rows(self, texts: list[str]) -> np.ndarray:
        try:
            rows = unit_rows(self._ask(texts), len(texts), self._label)  # (n, size)
        except Exception as error:
            if not _is_too_long(error) or max(map(len, texts)) <= SHORTEST:
                raise as_model_error(error, self._label) from error
            rows = self._shorter(texts)
        if self._size not in (None, rows.shape[1]):
            raise OutOfRange(
                f"{self._label} must give vectors of one size, but gave {self._size} numbers before and "
                f"{rows.shape[1]} now; begin anew with one model"
            )
        self._size = rows.shape[1]
        return rows

    def _shorter(self, texts: list[str]) -> np.ndarray:
        """The rows of texts of which one does not fit: alone each is cut by as much as it needs, whoever is beside."""
        if len(texts) > 1:
            return np.concatenate([self._rows([text]) for text in texts])
        return self._rows([texts[0][: len(texts[0]) // 2]])

    @abstractmethod
    def _ask(self, texts: list[str]) -> Any:
        """A vector for each text, as the server gives them; any exception."""


class OllamaEmbedder(_Client):
    """A model of an Ollama server; OLLAMA_HOST says which.

    It is asked to cut long texts, but since 0.13.5 refuses them all the same (its issue 14186): then we cut.
    """

    def __init__(self, model: str) -> None:
        from ollama import Client

        super().__init__(f"ollama:{model}")
        self._model = model
        self._name = ""
        self._server = Client(timeout=_WAIT, limits=_CONNECTIONS)

    @property
    def name(self) -> str:
        """The model and the digest that the server has of it, asked for at the first use.

        Raises:
            ModelError: the server failed, or does not have the model.
        """
        if not self._name:
            self._name = f"{self._label}@{self._digest()[:12]}"
        return self._name

    def _digest(self) -> str:
        from ollama import ResponseError

        tagged = self._model if ":" in self._model.rpartition("/")[2] else f"{self._model}:latest"
        try:
            listed = {str(model.model).lower(): str(model.digest) for model in self._server.list().models}
            if tagged.lower() not in listed:
                raise ResponseError(f"model {self._model!r} not found", NOT_FOUND)
        except Exception as error:
            raise as_model_error(error, self._label) from error
        return listed[tagged.lower()]

    def _ask(self, texts: list[str]) -> Any:
        return self._server.embed(self._model, texts, truncate=True).embeddings


class LangChainEmbedder(_Client):
    """Any LangChain `Embeddings`; texts and queries both go through `embed_documents`."""

    def __init__(self, embeddings: Embeddings, name: str = "") -> None:
        model = getattr(embeddings, "model", None) or getattr(embeddings, "model_name", None)
        kind = type(embeddings).__name__
        super().__init__(name or (f"langchain:{kind}:{model}" if isinstance(model, str) else f"langchain:{kind}"))
        self._embeddings = embeddings

    @property
    def name(self) -> str:
        """The class and the model that it says it has; its bytes are not known."""
        return self._label

    def _ask(self, texts: list[str]) -> Any:
        return self._embeddings.embed_documents(texts)


def open_openai_embedder(name: str, url: str) -> LangChainEmbedder:
    """A model of the OpenAI-compatible server at `url` (with its `/v1`); OPENAI_API_KEY holds a key where needed.

    Raises:
        ModelSpecError: when langchain-openai is not installed.
    """
    try:
        from langchain_openai import OpenAIEmbeddings
        from pydantic import SecretStr
    except ImportError as error:
        raise not_installed(name) from error
    made = OpenAIEmbeddings(
        model=name,
        base_url=url,
        api_key=SecretStr(os.environ.get("OPENAI_API_KEY", "not-needed")),
        max_retries=0,
        check_embedding_ctx_length=False,  # or OpenAI's own tokenizer would be fetched, and token numbers sent
        model_kwargs={"encoding_format": "float"},  # not every server knows base64
    )
    return LangChainEmbedder(made, f"openai:{name}@{url}")


def _is_too_long(error: Exception) -> bool:
    return isinstance(as_model_error(error, ""), PromptTooLong) or "context length" in str(error).lower()
