"""The one string that names a model: `ollama:qwen2.5-coder:32b`, `embedded`, `openai:NAME@URL`, `none`."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from urllib.parse import urlsplit

from .errors import ModelSpecError

FORMS = "embedded, embedded:PATH.gguf, ollama:NAME, openai:NAME@URL, replay:FOLDER or none"


class Kind(StrEnum):
    """Who answers."""

    EMBEDDED = "embedded"
    OLLAMA = "ollama"
    OPENAI = "openai"
    REPLAY = "replay"
    NONE = "none"


@dataclass(frozen=True)
class ModelSpec:
    """A parsed model string; `str(spec)` gives the string back."""

    kind: Kind
    name: str = ""  # the model's name, or the path of its file or folder
    url: str = ""  # of an OpenAI-compatible server

    def __str__(self) -> str:
        return self.kind + (f":{self.name}" if self.name else "") + (f"@{self.url}" if self.url else "")


def parse_spec(text: str) -> ModelSpec:
    """Read a model string.

    Raises:
        ModelSpecError: an unknown kind (with the near one), a missing name, a URL that is none.
    """
    head, _, rest = text.strip().partition(":")
    kind, rest = _kind(head.strip(), text), rest.strip()
    match kind:
        case Kind.NONE if rest:
            raise ModelSpecError(f"`none` takes nothing after it, but got {text!r}; write `none`")
        case Kind.OLLAMA | Kind.REPLAY if not rest:
            what = "a model, as in `ollama:qwen2.5-coder:7b`" if kind is Kind.OLLAMA else "a study folder"
            raise ModelSpecError(f"`{kind}:` must name {what}, but got {text!r}")
        case Kind.OPENAI:
            return _openai(rest, text)
    return ModelSpec(kind, rest)


def _kind(head: str, text: str) -> Kind:
    if head in set(Kind):
        return Kind(head)
    near = get_close_matches(head, [kind.value for kind in Kind], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ModelSpecError(f"a model is {FORMS}, but got {text!r}{hint}")


def _openai(rest: str, text: str) -> ModelSpec:
    # A model's name may hold an @ itself, an address of ours does not.
    name, _, url = rest.rpartition("@")
    if not name or not _is_address(url):
        raise ModelSpecError(
            f"an OpenAI-compatible model is openai:NAME@URL, but got {text!r}; "
            "write it like `openai:qwen2.5-7b@http://127.0.0.1:8000/v1`"
        )
    return ModelSpec(Kind.OPENAI, name, url.rstrip("/"))


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, a port that is no number or too high
        return False
