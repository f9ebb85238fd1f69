"""`replay:FOLDER`: a model that answers from a call log, so that a run repeats without its model."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path
from typing import Any, ClassVar

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr, ValidationError

from . import errors
from .call_log import Call, CallLog, call_key, plain
from .errors import ModelError, ModelMissing, ModelSpecError

FILE = "calls.jsonl"


class ReplayChat(BaseChatModel):
    """Answers each prompt as it was answered in the log, failures included.

    A prompt that was asked several times gets its answers in order, then the last one again.
    """

    speaks_openai: ClassVar[bool] = True

    path: Path
    _calls: dict[str, list[Call]] = PrivateAttr(default_factory=dict)
    _served: dict[str, int] = PrivateAttr(default_factory=lambda: defaultdict(int))
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def open(cls, folder: Path) -> ReplayChat:
        """The log of a study folder, or a log file.

        Raises:
            ModelSpecError: when there is no log, or it holds no call.
        """
        folder = folder.expanduser()
        path = folder / FILE if folder.is_dir() else folder
        try:
            return cls(path=path)
        except ValidationError as error:
            # pydantic wraps a ValueError that is raised while an object is made; ours is inside.
            raise ModelSpecError(str(error.errors()[0]["ctx"]["error"])) from error

    def model_post_init(self, context: Any, /) -> None:
        """Read the log."""
        if not self.path.is_file():
            raise ModelSpecError(f"`replay:` needs a study folder with {FILE}, but there is none at {self.path}")
        for call in CallLog(self.path):
            self._calls.setdefault(call.key, []).append(call)
        if not self._calls:
            raise ModelSpecError(f"{self.path} holds no model call; name the folder of a study that used a model")

    @property
    def _llm_type(self) -> str:
        return "luthier-replay"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"path": str(self.path)}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        shape = kwargs.get("response_format", {}).get("json_schema", {}).get("schema")
        return _result(self._next(call_key(plain(messages), shape, bool(kwargs.get("logprobs")))))

    def _next(self, key: str) -> Call:
        with self._lock:
            calls = self._calls.get(key)
            if calls is None:
                raise ModelMissing(
                    f"{self.path} holds no answer to this prompt; replay needs the same study, seed and prompts"
                )
            turn = self._served[key]
            self._served[key] += 1
        return calls[min(turn, len(calls) - 1)]


def _result(call: Call) -> ChatResult:
    if call.error:
        kind = getattr(errors, call.error, ModelError)
        raise kind(call.message)
    message = AIMessage(
        content=call.content,
        usage_metadata=UsageMetadata(
            input_tokens=call.tokens_in,
            output_tokens=call.tokens_out,
            total_tokens=call.tokens_in + call.tokens_out,
            input_token_details={"cache_read": call.cached},
        ),
        response_metadata={
            "model_name": call.model,
            "finish_reason": call.finish,
            "logprobs": None if call.logprobs is None else {"content": call.logprobs},
        },
    )
    return ChatResult(generations=[ChatGeneration(message=message)])
