"""Any OpenAI-compatible server, through langchain-openai (an extra)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .errors import ModelSpecError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def open_openai(name: str, url: str) -> BaseChatModel:
    """A ChatOpenAI for the server at `url` (with its `/v1`); the key comes from OPENAI_API_KEY where one is needed.

    Raises:
        ModelSpecError: when langchain-openai is not installed.
    """
    try:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr
    except ImportError as error:
        raise not_installed(name) from error
    key = os.environ.get("OPENAI_API_KEY", "not-needed")
    # Retries and their backoff are the caller's, for every kind of model alike.
    return ChatOpenAI(model=name, base_url=url, api_key=SecretStr(key), max_retries=0)


def not_installed(name: str) -> ModelSpecError:
    """What to say where langchain-openai is missing."""
    return ModelSpecError(
        f"`openai:{name}` needs langchain-openai, which is not installed; run: pip install 'luthier[openai]'"
    )
