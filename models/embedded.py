"""`embedded`: a small model in this process, as a LangChain chat model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable

from .catalogue import CATALOGUE, DEFAULT, path_of, present
from .errors import ModelSpecError
from .runtime import Runtime, check_file, runtime_for
from .schemas import json_reader

_PASSED_ON = ("temperature", "top_p", "top_k", "max_tokens", "seed", "response_format", "logprobs", "top_logprobs")


class EmbeddedChat(BaseChatModel):
    """llama.cpp behind LangChain's interface.

    Call arguments are OpenAI's (`temperature`, `top_p`, `max_tokens`, `seed`, `response_format`, `logprobs`,
    `top_logprobs`, `timeout` in seconds) plus `top_k` and `repeat_penalty`. What comes back is ChatOpenAI's too:
    log-probabilities in `response_metadata["logprobs"]["content"]`, tokens in `usage_metadata`.
    """

    speaks_openai: ClassVar[bool] = True

    path: Path
    n_ctx: int = 4096  # tokens of prompt and answer together

    @classmethod
    def open(cls, name: str = "", *, n_ctx: int = 4096) -> EmbeddedChat:
        """The model of a path, of a catalogue name, or the default one.

        Raises:
            ModelSpecError: not here; the message says how to fetch it.
        """
        from importlib.util import find_spec

        from .runtime import INSTALL

        if find_spec("xllamacpp") is None:
            raise ModelSpecError(f"`embedded` needs xllamacpp, which is not installed; run: {INSTALL}")
        entry = name or DEFAULT
        if entry in CATALOGUE:
            if not present(entry):
                raise ModelSpecError(f"{entry} is not on this machine yet; run: luthier models pull {entry}")
            return cls(path=path_of(entry), n_ctx=n_ctx)
        path = Path(name).expanduser()
        check_file(path)
        return cls(path=path, n_ctx=n_ctx)

    @property
    def _llm_type(self) -> str:
        return "luthier-embedded"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"path": str(self.path), "n_ctx": self.n_ctx}

    @property
    def runtime(self) -> Runtime:
        """The process's runtime for this file, loaded at the first use."""
        return runtime_for(self.path, self.n_ctx)

    def get_num_tokens(self, text: str) -> int:
        """The exact number of tokens in a text."""
        return self.runtime.count(text)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        body: dict[str, Any] = {"messages": convert_to_openai_messages(messages), "cache_prompt": True}
        body |= {key: kwargs[key] for key in _PASSED_ON if kwargs.get(key) is not None}
        body["repeat_penalty"] = kwargs.get("repeat_penalty", 1.0)
        if stop:
            body["stop"] = stop
        return chat_result(self.runtime.chat(body, kwargs.get("timeout")), self.path.stem)

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[Any, Any]:
        """The model bound to a JSON schema or a pydantic class, and read as such.

        Raises:
            NotImplementedError: for `include_raw`.
        """
        if include_raw:
            raise NotImplementedError(
                "include_raw=True is not offered here; bind `response_format` and read the message"
            )
        shape, reader = json_reader(schema)
        wrapped = {"type": "json_schema", "json_schema": {"name": "answer", "schema": shape}}
        return self.bind(response_format=wrapped) | reader


def chat_result(answer: dict[str, Any], model: str) -> ChatResult:
    """An OpenAI-shaped answer as LangChain's."""
    choice, usage = answer["choices"][0], answer.get("usage", {})
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    timings = answer.get("timings", {})
    message = AIMessage(
        content=choice["message"].get("content") or "",
        usage_metadata=UsageMetadata(
            input_tokens=usage.get("prompt_tokens", 0),
            output_tokens=usage.get("completion_tokens", 0),
            total_tokens=usage.get("total_tokens", 0),
            input_token_details={"cache_read": cached},
        ),
        response_metadata={
            "model_name": model,
            "finish_reason": choice.get("finish_reason"),
            "logprobs": choice.get("logprobs"),
            "timings": {
                key: timings[key] for key in ("prompt_ms", "prompt_n", "predicted_ms", "predicted_n") if key in timings
            },
        },
    )
    return ChatResult(generations=[ChatGeneration(message=message)])
