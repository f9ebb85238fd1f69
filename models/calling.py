"""How each kind of chat model is told decoding, schema and time limit; and how its answer is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from .choosing import TOP
from .decoding import Decoding
from .errors import ModelTimeout
from .schemas import is_number

GRACE = 2.0  # seconds beyond the limit, in which a model that keeps it by itself may say so better


@dataclass(frozen=True)
class Answer:
    """What a call brought, in one shape for all models."""

    text: str
    finish: str  # stop, length ...
    logprobs: list[dict[str, Any]] | None  # OpenAI's `logprobs.content`
    tokens_in: int
    tokens_out: int
    cached: int  # tokens of the prompt that the server had at hand


def speaks_openai(model: BaseChatModel) -> bool:
    """Whether call arguments may be given in OpenAI's words. Others get none: some refuse what they do not know."""
    if getattr(model, "speaks_openai", False):
        return True
    return any(parent.__name__ == "BaseChatOpenAI" for parent in type(model).__mro__)


def arguments(
    model: BaseChatModel, decoding: Decoding, schema: Mapping[str, Any] | None, scored: bool, seconds: float
) -> dict[str, Any]:
    """Call arguments for a model that speaks OpenAI's words; empty for another."""
    if not speaks_openai(model):
        return {}
    given: dict[str, Any] = {
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "max_tokens": decoding.max_tokens,
        "seed": decoding.seed,
        "timeout": seconds,
    }
    given |= _beyond_openai(model, decoding)
    if schema is not None:
        named = {"name": "answer", "schema": dict(schema), "strict": True}
        given["response_format"] = {"type": "json_schema", "json_schema": named}
    return given | ({"logprobs": True, "top_logprobs": TOP} if scored else {})


def worded(model: BaseChatModel, messages: list[BaseMessage], schema: Mapping[str, Any] | None) -> list[BaseMessage]:
    """The messages; for a model that cannot be given a schema, with the schema in words."""
    if schema is None or speaks_openai(model):
        return messages
    rule = f"Answer with one JSON object and nothing else. It must match this JSON schema:\n{json.dumps(dict(schema))}"
    return [*messages[:-1], HumanMessage(f"{messages[-1].text}\n\n{rule}")]


def invoke(model: BaseChatModel, messages: list[BaseMessage], given: Mapping[str, Any], seconds: float) -> Answer:
    """Call a model, and give up after `seconds` whether it ends by itself or not.

    The call runs in a thread of its own, so that the limit holds for a model that knows none and Ctrl-C works at
    once. A thread given up on is a daemon: it cannot keep the process alive.

    Raises:
        ModelTimeout: too late. Whatever else the model raised is raised here.
    """
    results: SimpleQueue[AIMessage | BaseException] = SimpleQueue()

    def work() -> None:
        try:
            results.put(model.invoke(messages, **given))
        except BaseException as error:  # handed over, and raised below
            results.put(error)

    context = copy_context()
    Thread(target=context.run, args=(work,), daemon=True, name="luthier-model-call").start()
    try:
        found = results.get(timeout=seconds + GRACE)
    except Empty:
        raise ModelTimeout(
            f"the model gave no answer in {seconds:.3g} s; use a smaller model or a longer limit"
        ) from None
    if isinstance(found, BaseException):
        raise found
    return read(found)


def read(message: AIMessage) -> Answer:
    """A LangChain message as an answer. What a server gives in another shape counts as missing: no count is 0."""
    meta = message.response_metadata
    usage: Mapping[str, Any] = message.usage_metadata or {}
    logprobs = meta.get("logprobs") or {}
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    return Answer(
        text=str(message.text).encode(errors="replace").decode(),  # half a character (a lone surrogate) fits no file
        finish=str(meta.get("finish_reason") or meta.get("done_reason") or ""),
        logprobs=content if isinstance(content, list) else None,
        tokens_in=_count(usage.get("input_tokens")),
        tokens_out=_count(usage.get("output_tokens")),
        cached=_count((usage.get("input_token_details") or {}).get("cache_read")),
    )


def _count(found: Any) -> int:
    return int(found) if is_number(found) and found >= 0 else 0


def _beyond_openai(model: BaseChatModel, decoding: Decoding) -> dict[str, Any]:
    """What OpenAI's words lack: named as vLLM does for its servers, and only where it differs from none."""
    if getattr(model, "speaks_openai", False):
        return {"top_k": decoding.top_k, "repeat_penalty": decoding.repetition_penalty}
    extra: dict[str, Any] = {}
    if decoding.top_k:
        extra["top_k"] = decoding.top_k
    if decoding.repetition_penalty != 1.0:
        extra["repetition_penalty"] = decoding.repetition_penalty
    return {"extra_body": extra} if extra else {}
