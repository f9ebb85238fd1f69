"""From a model string to a LangChain chat model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .spec import Kind, ModelSpec, parse_spec

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def open_model(spec: str | BaseChatModel | ModelSpec, *, n_ctx: int = 4096) -> BaseChatModel | None:
    """The chat model that a string names; a chat model is returned as it is; None for `none`.

    A server is not asked here whether it is up: that shows at the first call, which the advisors survive.

    Args:
        spec: a model string, a parsed one, or any LangChain chat model.
        n_ctx: the smallest context window to open, in tokens.

    Raises:
        ModelSpecError: the string, the file or the extra package is wrong or missing.
    """
    if isinstance(spec, str):
        spec = parse_spec(spec)
    if not isinstance(spec, ModelSpec):
        return _adopt(spec, n_ctx)
    match spec.kind:
        case Kind.NONE:
            return None
        case Kind.EMBEDDED:
            from .embedded import EmbeddedChat

            return EmbeddedChat.open(spec.name, n_ctx=n_ctx)
        case Kind.OLLAMA:
            from .ollama import OllamaChat

            return OllamaChat(model=spec.name, least_ctx=n_ctx)
        case Kind.OPENAI:
            from .openai import open_openai

            return open_openai(spec.name, spec.url)
        case Kind.REPLAY:
            from .replay import ReplayChat

            return ReplayChat.open(Path(spec.name))


def _adopt(model: BaseChatModel, n_ctx: int) -> BaseChatModel:
    """The user's own object, but a plain ChatOllama learns to notice that its prompt was cut."""
    from langchain_ollama import ChatOllama

    from .ollama import OllamaChat

    if isinstance(model, ChatOllama) and not isinstance(model, OllamaChat):
        given = {name: getattr(model, name) for name in model.model_fields_set}
        return OllamaChat(**{"least_ctx": n_ctx, **given})
    return model
