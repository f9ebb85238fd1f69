"""`ollama:NAME`: langchain-ollama's ChatOllama that never believes a prompt that was cut without a word.

Ollama opens a small context by default and drops what does not fit, silently. So each call opens a context that is
large enough, and the count of prompt tokens that comes back is compared with ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import httpx
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_ollama import ChatOllama
from pydantic import BaseModel, Field, PrivateAttr

from .errors import ModelTimeout, PromptTooLong
from .tokens import approx_tokens, fewest_tokens

# A server that is up takes a connection at once. The whole call is bounded by `timeout`; this ends only a dead one.
_WAIT = httpx.Timeout(600.0, connect=5.0)  # seconds
_CONNECTIONS = httpx.Limits(max_keepalive_connections=0)  # so that no socket is left when the process ends
TEMPLATE_TOKENS = 64  # the chat template's own marks, and more for each message
_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "repeat_penalty": "repeat_penalty",
    "seed": "seed",
    "max_tokens": "num_predict",
}


class OllamaChat(ChatOllama):
    """ChatOllama that takes OpenAI's call arguments and notices truncation.

    Call arguments and answers are those of `EmbeddedChat`. Reasoning models answer without their thoughts, because a
    token limit would end in the middle of them; give a ChatOllama of your own to change that.
    """

    speaks_openai: ClassVar[bool] = True

    least_ctx: int = 4096  # tokens; the context grows by doubling, because each new size reloads the model
    reasoning: bool | str | None = False
    sync_client_kwargs: dict[str, Any] | None = Field(
        default_factory=lambda: {"timeout": _WAIT, "limits": _CONNECTIONS}
    )
    _longest: int | None = PrivateAttr(default=None)

    @property
    def longest(self) -> int:
        """The context length that the model was trained for, in tokens; a large number where the server is silent."""
        if self._longest is None:
            info: Mapping[str, Any] = self._client.show(self.model).modelinfo or {}
            found = (int(v) for key, v in info.items() if key.endswith(".context_length"))
            self._longest = next(found, 2**20)
        return self._longest

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        given = self._translated(messages, kwargs)
        result = super()._generate(messages, stop, run_manager, **given)
        generation = result.generations[0]
        info = generation.generation_info = dict(generation.generation_info or {})
        self._check_count(messages, int(info.get("prompt_eval_count") or 0), given["options"]["num_ctx"])
        info["finish_reason"] = info.get("done_reason")
        info["logprobs"] = _openai_logprobs(info.get("logprobs"))
        return result

    def _translated(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> dict[str, Any]:
        """OpenAI's call arguments in Ollama's words, with a context that holds prompt and answer."""
        given = dict(kwargs)
        options: dict[str, Any] = dict(self._chat_params([])["options"])  # what the object was made with
        options |= dict(given.pop("options", {}))
        options |= {theirs: given.pop(ours) for ours, theirs in _OPTIONS.items() if ours in given}
        options["num_ctx"] = self._context(messages, options)
        deadline = given.pop("timeout", None)
        return {**given, "options": options, "luthier_seconds": deadline}

    def _context(self, messages: list[BaseMessage], options: Mapping[str, Any]) -> int:
        asked = sum(approx_tokens(str(m.text)) + TEMPLATE_TOKENS for m in messages)
        wanted = asked + max(int(options.get("num_predict") or 256), 0)
        size = max(int(options.get("num_ctx") or 0), self.least_ctx)
        while size < wanted:
            size *= 2
        surely = sum(fewest_tokens(str(m.text)) for m in messages)
        if size > self.least_ctx and surely > self.longest:
            raise PromptTooLong(
                f"the prompt has at least {surely} tokens, but {self.model} holds {self.longest}; "
                "shorten it, or use a model with a longer context"
            )
        return size

    def _check_count(self, messages: list[BaseMessage], counted: int, num_ctx: int) -> None:
        surely = sum(fewest_tokens(str(m.text)) for m in messages)
        held = min(num_ctx, self.longest)  # the server opens no more than the model was trained for
        # Old servers leave the count out, or count only what was not cached: then there is nothing to compare.
        if counted and (counted < surely or counted >= held):
            raise PromptTooLong(
                f"Ollama cut the prompt: it read {counted} tokens of at least {surely}, and {self.model} holds {held}; "
                "shorten it, or use a model with a longer context"
            )

    def _iterate_over_stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        seconds = kwargs.pop("luthier_seconds", None)
        ends = None if seconds is None else time.monotonic() + seconds
        for chunk in super()._iterate_over_stream(messages, stop, **kwargs):
            # Leaving the loop closes the connection, and with it ends the generation on the server.
            if ends is not None and time.monotonic() > ends:
                raise ModelTimeout(f"ollama:{self.model} took longer than {seconds:.3g} s; use a smaller model")
            yield chunk


def _openai_logprobs(found: Any) -> dict[str, Any] | None:
    """Ollama's list of log-probabilities in OpenAI's shape."""
    if not found:
        return None
    return {"content": [entry.model_dump() if isinstance(entry, BaseModel) else dict(entry) for entry in found]}
