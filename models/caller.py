"""The one narrow seam before a language model: ask it for a value, or let it choose."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from .call_log import Call, CallLog, plain
from .calling import Answer, arguments, invoke, worded
from .choosing import MAX_OPTIONS, average, letter_line, letter_logprobs, list_options, rotated, softmax, vote, yes_odds
from .decoding import Decoding
from .errors import EmptyAnswer, ModelDown, ModelError, ModelTimeout, NotJSON, OutOfRange, Truncated
from .faults import as_model_error
from .schemas import read_json

BACKOFF = 0.5  # seconds before the first retry, doubled for each further one
_MENDABLE = (EmptyAnswer, NotJSON, OutOfRange, Truncated, ModelDown)


@dataclass(frozen=True)
class Prompt:
    """A prompt in the order that a prompt cache wants: what never changes first."""

    role: str  # planner, critic, coder: for the log
    system: str
    static: str
    dynamic: str

    def messages(self, last: str = "") -> list[BaseMessage]:
        """System and human message; `last` goes to the very end."""
        body = "\n\n".join(part for part in (self.static, self.dynamic, last) if part)
        return [SystemMessage(self.system), HumanMessage(body)] if self.system else [HumanMessage(body)]


@dataclass(frozen=True)
class Reply:
    """A checked answer and what it cost, all attempts together."""

    value: dict[str, Any]
    text: str
    tokens_in: int
    tokens_out: int
    seconds: float
    attempts: int


@dataclass(frozen=True)
class Selection:
    """A choice among options and what it cost, all rotations together."""

    index: int
    probabilities: list[float]  # shape (n_options,), sum 1
    seconds: float
    tokens_in: int
    cached: int  # tokens of the prompts that the server had at hand
    voted: bool  # by votes, because the server gives no log-probabilities


@dataclass
class _Bill:
    """What a question has cost so far, and how long it may still take."""

    deadline: float  # time.monotonic
    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0

    def left(self) -> float:
        return self.deadline - time.monotonic()


class Caller:
    """A model with a time limit, retries, a log and a bill.

    The limit covers a whole question: every attempt, every rotation and the pauses between them.

    Args:
        model: any LangChain chat model.
        name: the model string, for messages and the log.
        log: where each call is written; None writes nothing.
        timeout: seconds for one question.
        retries: further attempts after an answer that can be mended (down, empty, no JSON, out of range, cut short).
    """

    def __init__(
        self,
        model: BaseChatModel,
        *,
        name: str,
        log: CallLog | None = None,
        timeout: float = 120.0,
        retries: int = 2,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if timeout <= 0 or retries < 0:
            raise ValueError(f"timeout > 0 and retries >= 0 must hold, but got {timeout=}, {retries=}")
        self.model, self.name, self.log = model, name, log
        self.timeout, self.retries = timeout, retries
        self.tokens = 0  # spent so far, in and out
        self.seconds = 0.0  # spent so far
        self.trial: int | None = None  # written into the log with each call
        self._sleep = sleep
        self._votes = False  # learnt at the first choice: this server gives no log-probabilities
        self._lock = threading.Lock()

    def ask(self, prompt: Prompt, schema: Mapping[str, Any], decoding: Decoding | None = None) -> Reply:
        """A JSON object that matches `schema`.

        A refused answer is asked for again, warmer and with the reason; one cut short, with twice the tokens.

        Raises:
            ModelError: of the last attempt; nothing is tried beyond `retries` or the time limit.
        """
        began, bill = time.monotonic(), self._bill()
        decoding, refusal = decoding or Decoding(), ""
        for attempt in range(self.retries + 1):
            try:
                answer = self._call(prompt, refusal, schema, decoding.retried(attempt), False, bill)
                value = read_json(answer.text, schema)
                return Reply(value, answer.text, bill.tokens_in, bill.tokens_out, time.monotonic() - began, attempt + 1)
            except _MENDABLE as error:
                self._pause(attempt, error, bill)
                if isinstance(error, Truncated):
                    decoding = replace(decoding, max_tokens=decoding.max_tokens * 2)
                if isinstance(error, NotJSON | OutOfRange):
                    refusal = f"Your last answer was refused: {error}."
        raise AssertionError("the last attempt returns or raises")

    def choose(self, prompt: Prompt, options: Sequence[str], rotations: bool = True) -> Selection:
        """The option that the model finds likeliest, over all rotations of the letters that stand for them.

        Of equally likely options the first wins. A single option costs no call.

        Raises:
            ModelError: as for `ask`.
        """
        if not 1 <= len(options) <= MAX_OPTIONS:
            raise ValueError(f"there must be 1 to {MAX_OPTIONS} options, but got {len(options)}")
        if len(options) == 1:
            return Selection(0, [1.0], 0.0, 0, 0, False)
        began, bill = time.monotonic(), self._bill()
        listed = replace(prompt, dynamic=f"{prompt.dynamic}\n\n{list_options(options)}".lstrip())
        turns = range(len(options) if rotations else 1)
        probabilities = None if self._votes else self._score(listed, len(options), turns, bill)
        if probabilities is None:
            self._votes = True
            probabilities = vote([self._letter(listed, len(options), turn, bill) for turn in turns], len(options))
        best = max(range(len(options)), key=probabilities.__getitem__)
        return Selection(best, probabilities, time.monotonic() - began, bill.tokens_in, bill.cached, voted=self._votes)

    def rate(self, prompt: Prompt, questions: Sequence[str]) -> Selection:
        """The question that the model answers with "yes" most surely, each put by itself at the prompt's end.

        No option sees another, so no order has to be averaged out, and there is no letter to look up. A single question
        costs no call; of equally sure ones the first wins.

        Raises:
            ModelError: as for `ask`.
        """
        if not questions:
            raise ValueError("a choice needs at least one option, but there is none")
        if len(questions) == 1:
            return Selection(0, [1.0], 0.0, 0, 0, False)
        began, bill = time.monotonic(), self._bill()
        scores = [self._yes(prompt, question, bill) for question in questions]
        probabilities = softmax(scores)
        best = max(range(len(scores)), key=scores.__getitem__)
        return Selection(best, probabilities, time.monotonic() - began, bill.tokens_in, bill.cached, voted=self._votes)

    def _yes(self, prompt: Prompt, question: str, bill: _Bill) -> float:
        """Log-odds of yes; from a server without log-probabilities 0 for no and 1 for yes."""
        if not self._votes:
            answer = self._patiently(prompt, question, Decoding(max_tokens=1), bill)
            if (odds := yes_odds(answer.logprobs or ())) is not None:
                return odds
            self._votes = True
        return float(
            self._word(replace(prompt, dynamic=f"{prompt.dynamic}\n\n{question}"), ("yes", "no"), bill) == "yes"
        )

    def _score(self, prompt: Prompt, count: int, turns: range, bill: _Bill) -> list[float] | None:
        rows = []
        for turn in turns:
            answer = self._patiently(prompt, letter_line(count, turn), Decoding(max_tokens=1), bill)
            row = letter_logprobs(answer.logprobs or (), count)
            if row is None:
                return None
            rows.append(row)
        return average(rows)

    def _letter(self, prompt: Prompt, count: int, turn: int, bill: _Bill) -> str:
        question = replace(prompt, dynamic=f"{prompt.dynamic}\n\n{letter_line(count, turn)}")
        return self._word(question, list(rotated(count, turn)), bill)

    def _word(self, question: Prompt, words: Sequence[str], bill: _Bill) -> str:
        """One of `words`, as the model's own answer."""
        schema = {"type": "object", "properties": {"answer": {"enum": list(words)}}, "required": ["answer"]}
        limit = Decoding(max_tokens=16)
        for attempt in range(self.retries + 1):
            try:
                text = self._call(question, "", schema, limit.retried(attempt), False, bill).text
                return str(read_json(text, schema)["answer"])
            except _MENDABLE as error:
                self._pause(attempt, error, bill)
        raise AssertionError("the last attempt returns or raises")

    def _patiently(self, prompt: Prompt, last: str, decoding: Decoding, bill: _Bill) -> Answer:
        """A scored call; a server that is down is asked again."""
        for attempt in range(self.retries + 1):
            try:
                return self._call(prompt, last, None, decoding, True, bill)
            except ModelDown as error:
                self._pause(attempt, error, bill)
        raise AssertionError("the last attempt returns or raises")

    def _bill(self) -> _Bill:
        return _Bill(time.monotonic() + self.timeout)

    def _pause(self, attempt: int, error: ModelError, bill: _Bill) -> None:
        """Wait before the next attempt, or raise when there is none."""
        pause = BACKOFF * 2**attempt if isinstance(error, ModelDown) else 0.0
        if attempt >= self.retries or bill.left() <= pause:
            raise error
        if pause:
            self._sleep(pause)

    def _call(
        self, prompt: Prompt, last: str, schema: Mapping[str, Any] | None, decoding: Decoding, scored: bool, bill: _Bill
    ) -> Answer:
        """One call, logged and billed."""
        messages, began = prompt.messages(last), time.monotonic()
        call = Call(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            role=prompt.role,
            model=self.name,
            messages=plain(messages),
            schema=schema,
            decoding=decoding.as_dict(),
            scored=scored,
            trial=self.trial,
        )
        try:
            answer = self._invoke(messages, schema, decoding, scored, bill.left())
        except ModelError as error:
            self._record(replace(call, error=type(error).__name__, message=str(error)), began, bill)
            raise
        filled = replace(
            call,
            content=answer.text,
            logprobs=answer.logprobs,
            finish=answer.finish,
            tokens_in=answer.tokens_in,
            tokens_out=answer.tokens_out,
            cached=answer.cached,
        )
        self._record(filled, began, bill)
        if answer.finish == "length" and not scored:
            raise Truncated(f"{self.name} was cut off at {decoding.max_tokens} tokens; allow more, or ask for less")
        return answer

    def _invoke(
        self,
        messages: list[BaseMessage],
        schema: Mapping[str, Any] | None,
        decoding: Decoding,
        scored: bool,
        seconds: float,
    ) -> Answer:
        if seconds <= 0:
            raise ModelTimeout(f"{self.name} used up the {self.timeout:g} s of one question; use a smaller model")
        given = arguments(self.model, decoding, schema, scored, seconds)
        try:
            return invoke(self.model, worded(self.model, messages, schema), given, seconds)
        except Exception as error:
            # A foreign model may raise anything, and the night must not stop for it; the cause stays attached.
            raise as_model_error(error, self.name) from error

    def _record(self, call: Call, began: float, bill: _Bill) -> None:
        seconds = time.monotonic() - began
        bill.tokens_in += call.tokens_in
        bill.tokens_out += call.tokens_out
        bill.cached += call.cached
        with self._lock:
            self.tokens += call.tokens_in + call.tokens_out
            self.seconds += seconds
        if self.log is not None:
            self.log.append(replace(call, seconds=round(seconds, 4)))
