"""One error tree for every client: what a library raised becomes what Luthier knows."""

from __future__ import annotations

import httpx

from .errors import ModelDown, ModelError, ModelMissing, ModelTimeout, PromptTooLong, Truncated

NO_KEY, FORBIDDEN, NOT_FOUND, TOO_LARGE, TOO_MANY = 401, 403, 404, 413, 429
_TOO_LONG = (
    "context_length_exceeded",
    "maximum context length",
    "exceed_context_size",
    "exceeds the available context",
)
_ADDRESS = "check its address, which mostly ends in /v1"


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
    if _is_a(error, "LengthFinishReasonError"):
        return Truncated(f"{name} was cut off at its limit of tokens; allow more, or ask for less")
    if status in (NO_KEY, FORBIDDEN):
        return ModelError(f"the server of {name} refuses us ({said}); {_key(name)}")
    if status == TOO_MANY:
        return ModelDown(f"the server of {name} is busy, or a quota is used up ({said}); wait, or use another model")
    if status == NOT_FOUND:
        return ModelMissing(f"the server does not have {name} ({said}); {_fetch(name)}")
    if status == TOO_LARGE or any(mark in str(error).lower() for mark in _TOO_LONG):
        return PromptTooLong(f"the prompt does not fit into {name} ({said}); use a model with a longer context")
    if isinstance(status, int) and status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ModelDown(f"the server of {name} failed with status {status} ({said}); look at its log")
    if isinstance(error, ConnectionError | httpx.TransportError) or _is_a(error, "APIConnectionError"):
        return ModelDown(f"the server of {name} cannot be reached ({said}); {_start(name)}")
    if name.startswith("openai:") and isinstance(error, ValueError | TypeError | AttributeError | LookupError):
        return ModelError(f"{name} gave what is no answer of an OpenAI-compatible server ({said}); {_ADDRESS}")
    return ModelError(f"{name} failed ({type(error).__name__}: {said}); the advisors go on without it")


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, TimeoutError | httpx.TimeoutException) or _is_a(error, "APITimeoutError")


def _is_a(error: Exception, kind: str) -> bool:
    """Whether an error is of an extra's class, or of a child of it, which langchain-openai makes of openai's."""
    return any(parent.__name__ == kind for parent in type(error).__mro__)


def _key(name: str) -> str:
    return "set OPENAI_API_KEY to a key that it takes" if name.startswith("openai:") else "ask who runs it"


def _fetch(name: str) -> str:
    kind, _, model = name.partition(":")
    return {"ollama": f"run: ollama pull {model}", "openai": f"check its name, and {_ADDRESS}"}.get(
        kind, "check its name"
    )


def _start(name: str) -> str:
    return "start it: ollama serve" if name.startswith("ollama:") else "start it, or check its address"


def _first_line(error: Exception) -> str:
    """Without control characters: the words may be a server's, and a terminal must not obey them."""
    lines = str(error).strip().splitlines()
    return "".join(c if c.isprintable() else " " for c in lines[0][:160]) if lines else type(error).__name__
