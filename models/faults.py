"""One error tree for every client: what a library raised becomes what Luthier knows."""

from __future__ import annotations

import httpx

from .errors import ModelDown, ModelError, ModelMissing, ModelTimeout, PromptTooLong

NOT_FOUND, TOO_LARGE = 404, 413
_TOO_LONG = (
    "context_length_exceeded",
    "maximum context length",
    "exceed_context_size",
    "exceeds the available context",
)


def as_model_error(error: Exception, name: str) -> ModelError:
    """The ModelError that an exception of ollama, openai, httpx or any chat model means.

    Args:
        name: the model, as the message should call it.
    """
    if isinstance(error, ModelError):
        return error
    status = getattr(error, "status_code", None)
    said = _first_line(error)
    if _is_timeout(error):
        return ModelTimeout(f"{name} gave no answer in time ({said}); use a smaller model or a longer limit")
    if status == NOT_FOUND:
        return ModelMissing(f"the server does not have {name} ({said}); {_fetch(name)}")
    if status == TOO_LARGE or any(mark in str(error).lower() for mark in _TOO_LONG):
        return PromptTooLong(f"the prompt does not fit into {name} ({said}); use a model with a longer context")
    if isinstance(status, int) and status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ModelDown(f"the server of {name} failed with status {status} ({said}); look at its log")
    if isinstance(error, ConnectionError | httpx.TransportError) or type(error).__name__ == "APIConnectionError":
        return ModelDown(f"the server of {name} cannot be reached ({said}); {_start(name)}")
    return ModelError(f"{name} failed ({type(error).__name__}: {said}); the advisors go on without it")


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, TimeoutError | httpx.TimeoutException) or type(error).__name__ == "APITimeoutError"


def _fetch(name: str) -> str:
    ours, _, model = name.partition(":")
    return f"run: ollama pull {model}" if ours == "ollama" else "check its name"


def _start(name: str) -> str:
    return "start it: ollama serve" if name.startswith("ollama:") else "start it, or check its address"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
