"""Chat models for tests and demonstrations: real LangChain models that need no language model."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr

from .choosing import YES_OR_NO, letters_of
from .tokens import approx_tokens


@dataclass(frozen=True)
class Scored:
    """An answer with the probabilities of its first token; the likeliest is its text."""

    probabilities: Mapping[str, float]


Scripted = str | Mapping[str, Any] | Scored | BaseException
Script = Callable[[list[BaseMessage]], Scripted]


class ScriptedChat(BaseChatModel):
    """Answers from a list, in order, or from a function of the messages.

    An answer is text, a mapping (becomes JSON), `Scored`, or an exception (is raised). `calls` keeps what was asked.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    speaks_openai: ClassVar[bool] = True

    answers: list[Any] = Field(default_factory=list)
    script: Any = None  # Script
    calls: list[tuple[list[BaseMessage], dict[str, Any]]] = Field(default_factory=list)
    finish: str = "stop"

    @classmethod
    def of(cls, answers: Sequence[Scripted] | Script) -> ScriptedChat:
        """A double that gives these answers."""
        return cls(script=answers) if callable(answers) else cls(answers=list(answers))

    @property
    def _llm_type(self) -> str:
        return "luthier-scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.calls.append((messages, kwargs))
        return as_result(self._answer(messages), messages, self.finish)

    def _answer(self, messages: list[BaseMessage]) -> Scripted:
        if self.script is not None:
            answer: Scripted = self.script(messages)
            return answer
        if not self.answers:
            raise IndexError(f"the script has no answer left for call {len(self.calls)}")
        return self.answers.pop(0)  # type: ignore[no-any-return]


class RandomChat(BaseChatModel):
    """Answers any schema with a random value of it, any choice with random probabilities; seeded."""

    speaks_openai: ClassVar[bool] = True

    seed: int = 0
    _rng: random.Random = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Seed the generator."""
        self._rng = random.Random(self.seed)

    @property
    def _llm_type(self) -> str:
        return "luthier-random"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        letters = letters_of(str(messages[-1].text))
        shape = kwargs.get("response_format", {}).get("json_schema", {}).get("schema")
        answer: Scripted = "yes"
        if shape is not None:
            answer = random_value(shape, self._rng)
        elif letters:
            answer = Scored({letter: self._rng.random() + 1e-6 for letter in letters})
        elif str(messages[-1].text).endswith(YES_OR_NO):
            answer = Scored({word: self._rng.random() + 1e-6 for word in ("yes", "no")})
        return as_result(answer, messages, "stop")


def favouring(word: str, strength: float = 0.9) -> Script:
    """A script that chooses the option holding `word`, under whatever letter it stands; else the first letter.

    Asked for a yes or a no, it says yes where `word` is in the question.
    """

    def script(messages: list[BaseMessage]) -> Scripted:
        text = str(messages[-1].text)
        if text.endswith(YES_OR_NO):
            yes = strength if word in text.splitlines()[-1] else 1 - strength
            return Scored({"yes": yes, "no": 1 - yes})
        letters = letters_of(text)
        liked = next((letter for letter, option in letters.items() if word in option), "A")
        others = [letter for letter in letters if letter != liked]
        return Scored({liked: strength} | {letter: (1 - strength) / len(others) for letter in others})

    return script


def random_value(shape: Mapping[str, Any], rng: random.Random) -> Any:
    """A random value of a JSON schema's simple parts: enum, bounds, object, array, text."""
    if "enum" in shape or "const" in shape:
        return rng.choice(list(shape.get("enum", [shape.get("const")])))
    low, high = shape.get("minimum", 0), shape.get("maximum", 1)
    match shape.get("type"):
        case "object":
            return {name: random_value(inner, rng) for name, inner in shape.get("properties", {}).items()}
        case "array":
            return [random_value(shape.get("items", {}), rng) for _ in range(shape.get("minItems", 1))]
        case "integer":
            return rng.randint(math.ceil(low), math.floor(high))
        case "number":
            return rng.uniform(low, high)
        case "boolean":
            return rng.random() < 0.5
    return "because"


def as_result(answer: Scripted, messages: list[BaseMessage], finish: str) -> ChatResult:
    """A scripted answer in ChatOpenAI's shape."""
    if isinstance(answer, BaseException):
        raise answer
    logprobs, text = None, answer if isinstance(answer, str) else ""
    if isinstance(answer, Scored):
        text = max(answer.probabilities, key=answer.probabilities.__getitem__)
        top = [{"token": token, "logprob": math.log(p)} for token, p in answer.probabilities.items() if p > 0]
        logprobs = {"content": [{"token": text, "logprob": math.log(answer.probabilities[text]), "top_logprobs": top}]}
    elif isinstance(answer, Mapping):
        text = json.dumps(dict(answer))
    asked = sum(approx_tokens(str(message.text)) for message in messages)
    said = approx_tokens(text)
    message = AIMessage(
        content=text,
        usage_metadata=UsageMetadata(input_tokens=asked, output_tokens=said, total_tokens=asked + said),
        response_metadata={"finish_reason": finish, "logprobs": logprobs},
    )
    return ChatResult(generations=[ChatGeneration(message=message)])
