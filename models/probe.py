"""An honest one-minute probe of a model: what its JSON, its ranges, its choices and its speed are worth here."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from langchain_core.language_models import BaseChatModel

from .caller import Caller, Prompt
from .decoding import Decoding
from .errors import ModelError, NotJSON, OutOfRange

PROPOSALS = 8
TIME_LIMIT = 75.0  # seconds for the whole probe; what is left then is not asked
CALL_LIMIT = 30.0  # seconds for one question: a slow one must not eat the time of all others
SPEED_TOKENS = 48  # generated to measure the speed

SYSTEM = "You tune a training script. Choose the move that repairs what the situation shows."
ASK = (
    "Propose a configuration as JSON with exactly these keys: lr (a number from 0.0001 to 0.1), "
    'units (a whole number from 16 to 256), optimizer ("sgd" or "adam"). '
)
FORM = {  # what every JSON object of the right form has; ranges are judged apart
    "type": "object",
    "properties": {"lr": {"type": "number"}, "units": {"type": "integer"}, "optimizer": {"type": "string"}},
    "required": ["lr", "units", "optimizer"],
}


@dataclass(frozen=True)
class Share:
    """`right` of `asked`."""

    right: int
    asked: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval; 0 to 1 when nothing was asked."""
        if not self.asked:
            return 0.0, 1.0
        from scipy.stats import binomtest  # takes a second to import

        found = binomtest(self.right, self.asked).proportion_ci(method="wilson")
        return float(found.low), float(found.high)

    def as_dict(self) -> dict[str, float]:
        """Counts, share and interval."""
        low, high = self.interval
        return {**asdict(self), "share": self.right / self.asked if self.asked else math.nan, "low": low, "high": high}


@dataclass(frozen=True)
class Report:
    """What a probe measured. Speeds are tokens a second; None where the server counts none."""

    model: str
    json: Share  # proposals that are JSON of the right form, without a second try
    in_range: Share  # of those, inside their ranges
    choosing: Share  # diagnosis cases answered right, rotations averaged; a guess gets a quarter
    seconds_a_choice: float | None
    prompt_speed: float | None
    answer_speed: float | None
    trouble: str = ""  # the last failure, in its own words

    def as_dict(self) -> dict[str, Any]:
        """JSON-able data."""
        shares = {name: getattr(self, name).as_dict() for name in ("json", "in_range", "choosing")}
        return {**asdict(self), **shares}

    def rows(self) -> list[tuple[str, str, str]]:
        """What was measured, the figure, and its interval, for a table."""
        found = [
            _row("valid JSON", self.json),
            _row("of it, in range", self.in_range),
            _row("right choices of four (a guess: 25 %)", self.choosing),
            ("seconds a choice, all rotations", _plain(self.seconds_a_choice), ""),
            ("prompt tokens a second", _plain(self.prompt_speed), ""),
            ("answer tokens a second", _plain(self.answer_speed), ""),
        ]
        return [*found, ("last trouble", self.trouble, "")] if self.trouble else found


def probe(chat: BaseChatModel, *, name: str, said: Callable[[str], None] = lambda text: None) -> Report:
    """Ask a model what agents would ask it, for about a minute. Its failures are part of the figure."""
    caller = Caller(chat, name=name, timeout=CALL_LIMIT, retries=0)
    deadline = time.monotonic() + TIME_LIMIT
    trouble: list[str] = []
    valid, inside = _proposals(caller, deadline - TIME_LIMIT / 2, said, trouble)
    choosing, seconds = _choices(caller, deadline, said, trouble)
    said("speed")
    prompt_speed, answer_speed = _speeds(caller, trouble)
    last = trouble[-1] if trouble else ""
    return Report(name, valid, inside, choosing, seconds, prompt_speed, answer_speed, last)


def cases() -> list[dict[str, Any]]:
    """The built-in diagnosis cases: `situation`, four `moves`, the index of the `right` one."""
    return list(json.loads(files(__package__).joinpath("probe_cases.json").read_text(encoding="utf-8")))


def _speeds(caller: Caller, trouble: list[str]) -> tuple[float | None, float | None]:
    """Tokens a second of prompt and answer, from a long prompt with a short answer and the other way round."""
    schema = {"type": "object", "properties": {"words": {"type": "string"}}, "required": ["words"]}
    text = " ".join(f"Trial {i}: loss 0.{i}, learning rate 0.0{i}." for i in range(20))
    try:
        first = caller.choose(Prompt("probe", "Read this.", text, ""), ["yes", "no"], rotations=False)
        short = Prompt("probe", "", "Write a long sentence about learning rates.", "")
        began = time.monotonic()
        said = caller.ask(short, schema, Decoding(max_tokens=4 * SPEED_TOKENS))
    except ModelError as error:
        trouble.append(str(error))
        return None, None
    read = (first.tokens_in - first.cached) / first.seconds if first.seconds and first.tokens_in else None
    spent = time.monotonic() - began
    return read, said.tokens_out / spent if said.tokens_out else None


def _proposals(caller: Caller, deadline: float, said: Callable[[str], None], trouble: list[str]) -> tuple[Share, Share]:
    asked = valid = inside = 0
    for number in range(PROPOSALS):
        if time.monotonic() > deadline:
            break
        said(f"proposal {number + 1} of {PROPOSALS}")
        asked += 1
        try:
            decoding = Decoding(temperature=0.7, max_tokens=80, seed=number)
            found = caller.ask(Prompt("probe", "", f"{ASK}Make it unlike proposal {number}.", ""), FORM, decoding).value
        except (NotJSON, OutOfRange) as error:
            trouble.append(str(error))
            continue
        except ModelError as error:
            trouble.append(str(error))
            break
        valid += 1
        inside += _in_range(found)
    return Share(valid, asked), Share(inside, valid)


def _in_range(found: dict[str, Any]) -> bool:
    return bool(
        1e-4 <= float(found["lr"]) <= 0.1 and 16 <= int(found["units"]) <= 256 and found["optimizer"] in ("sgd", "adam")
    )


def _choices(
    caller: Caller, deadline: float, said: Callable[[str], None], trouble: list[str]
) -> tuple[Share, float | None]:
    right, times = 0, []
    every: Sequence[dict[str, Any]] = cases()
    for number, case in enumerate(every):
        if time.monotonic() > deadline:
            break
        said(f"choice {number + 1} of {len(every)}")
        try:
            found = caller.choose(Prompt("probe", SYSTEM, "", case["situation"]), case["moves"])
        except ModelError as error:
            trouble.append(str(error))
            break
        right += found.index == case["right"]
        times.append(found.seconds)
    return Share(right, len(times)), sum(times) / len(times) if times else None


def _row(what: str, share: Share) -> tuple[str, str, str]:
    low, high = share.interval
    return what, f"{share.right} of {share.asked}", f"{low:.0%} to {high:.0%}" if share.asked else "not asked"


def _plain(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"
