"""How to ask a model for the next trial: the ways on one set of cases, accuracy and seconds.

    python benchmarks/choosing.py --model embedded --json choosing.json

- `choose`: the product's choice. A rule narrows the options to those that do what the diagnoses ask for; each that is
  left gets a yes or a no from the model, a single one costs no call.
- `propose`: the product's proposal, shown the same candidates. Right when the proposal makes the right candidate's
  move (that hyperparameter, that way, at least half as far) and none of the wrong candidates'.
- `each`: a yes or a no to every option, after a sentence on what the diagnoses ask for.
- `rules`: no model. The first option that does what the diagnoses ask for, else the first.
- `letters`: options listed once, the letters rotate, log-probabilities are averaged: the product's way where no
  diagnosis asks for anything.
- `single`: its first rotation alone.
- `pair`: its first and third rotation, so that each option has two letters, two apart.

`single` and `pair` are read off the calls of `letters`, so they cost no time of their own. The others each read a
case for themselves: the static part of the prompt is warm, the rest is not. Finished cases are kept beside the JSON
file, so a killed run goes on where it stood; another prompt or other cases start anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from choosing_cases import Case, cases
from rich.console import Console
from rich.table import Table
from stats import sign_test

from luthier.agents.planner import choice, plan, rating
from luthier.agents.steps import suits, wanted
from luthier.models.call_log import Call, CallLog
from luthier.models.caller import Caller
from luthier.models.choosing import average, letter_logprobs, rotated
from luthier.models.errors import ModelError
from luthier.models.open import open_model
from luthier.models.probe import Share
from luthier.trials.records import Config
from luthier.trials.space import Space

METHODS = ("rules", "choose", "each", "letters", "propose")
DERIVED = {"single": (0,), "pair": (0, 2)}  # rotations of `letters`
OPTIONS = 4


@dataclass(frozen=True)
class Answer:
    """What one method did with one case."""

    case: str
    method: str
    right: bool
    seconds: float
    tokens: int  # of prompts, without what the server had at hand, and of answers
    probability: float | None = None  # given to the right option
    error: str = ""
    fingerprint: str = ""  # of model, prompt and case


class Heard(CallLog):
    """A call log that keeps the calls in memory."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def append(self, call: Call) -> None:
        """Keep one call."""
        self.calls.append(call)

    def take(self) -> list[Call]:
        """The calls since the last time."""
        taken, self.calls = self.calls, []
        return taken


def makes_move(config: Config, base: Config, target: Config, space: Space) -> bool:
    """Whether `config` goes from `base` the way that `target` goes, in each hyperparameter that `target` changes."""
    ways = {n: space[n].to_unit(target[n]) - space[n].to_unit(base[n]) for n in space if target[n] != base[n]}
    gone = {n: space[n].to_unit(config[n]) - space[n].to_unit(base[n]) for n in ways}
    return all(gone[n] * way > 0 and abs(gone[n]) >= abs(way) / 2 for n, way in ways.items())


def rules(case: Case, caller: Caller, heard: Heard) -> list[Answer]:
    """The first option that does what the diagnoses ask for; else the first."""
    return [Answer(case.id, "rules", _suited(case)[0] == case.answer, 0.0, 0)]


def choose(case: Case, caller: Caller, heard: Heard) -> list[Answer]:
    """The product's choice: the rule narrows, the model chooses among what is left."""
    made = plan(case.context, case.candidates, case.script.space, caller)
    return [_answer(case, "choose", made.probabilities, heard.take())]


def letters(case: Case, caller: Caller, heard: Heard) -> list[Answer]:
    """Letters under all rotations, and what fewer of them would have said."""
    prompt, options = choice([c.config for c in case.candidates], case.context, case.script.space)
    found = caller.choose(prompt, options)
    calls = [call for call in heard.take() if not call.error]
    answers = [_answer(case, "letters", found.probabilities, calls)]
    rows = [letter_logprobs(call.logprobs or (), OPTIONS) for call in calls]
    for name, turns in DERIVED.items():
        used = [row for turn in turns if (row := rows[turn]) is not None]
        if len(rows) == OPTIONS and len(used) == len(turns):
            answers.append(_answer(case, name, _averaged(used, turns), [calls[turn] for turn in turns]))
    return answers


def each(case: Case, caller: Caller, heard: Heard) -> list[Answer]:
    """A yes or a no to each option."""
    prompt, questions = rating([c.config for c in case.candidates], case.context, case.script.space)
    found = caller.rate(prompt, questions)
    return [_answer(case, "each", found.probabilities, heard.take())]


def propose(case: Case, caller: Caller, heard: Heard) -> list[Answer]:
    """The product's proposal, with the same candidates to take or leave."""
    space, best = case.script.space, case.context.best
    assert best is not None
    made = plan(case.context, case.candidates, space, caller, mode="propose")
    moves = [makes_move(made.config, best.config, c.config, space) for c in case.candidates]
    right = moves[case.answer] and sum(moves) == 1
    calls = heard.take()
    return [Answer(case.id, "propose", right, sum(c.seconds for c in calls), _tokens(calls))]


ASK: Mapping[str, Callable[[Case, Caller, Heard], list[Answer]]] = {
    "rules": rules,
    "choose": choose,
    "each": each,
    "letters": letters,
    "propose": propose,
}


def run(chosen: Sequence[Case], methods: Sequence[str], caller: Caller, heard: Heard, kept: Kept) -> Iterator[Answer]:
    """Every answer, the kept ones too; method by method, so that the static part of a prompt stays warm."""
    for method in methods:
        for case in chosen:
            mark = fingerprint(caller.name, method, case)
            found = kept.of(case.id, method, mark)
            if not found:
                found = [Answer(**{**asdict(a), "fingerprint": mark}) for a in _asked(method, case, caller, heard)]
                kept.add(found)
            yield from found


def _asked(method: str, case: Case, caller: Caller, heard: Heard) -> list[Answer]:
    heard.take()
    try:
        return ASK[method](case, caller, heard)
    except ModelError as error:
        calls = heard.take()
        seconds = sum(c.seconds for c in calls)
        return [Answer(case.id, method, False, seconds, _tokens(calls), error=type(error).__name__)]


def fingerprint(model: str, method: str, case: Case) -> str:
    """What an answer depends on: the model, how it is asked and what it is asked."""
    prompt, options = choice([c.config for c in case.candidates], case.context, case.script.space)
    source = Path(__file__).parents[1] / "agents" / "prompts" / "planner.md"
    parts = [model, method, prompt.static, prompt.dynamic, *options]
    parts.append(source.read_text() if method in ("choose", "each", "propose") else "")
    parts += [str(_suited(case))] if method in ("choose", "rules") else []
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Kept:
    """Answers as JSON lines; a half-written last line is passed over."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[tuple[str, str], list[Answer]] = {}
        for line in path.read_text().splitlines() if path is not None and path.exists() else ():
            try:
                rows = [Answer(**row) for row in json.loads(line)]
            except (json.JSONDecodeError, TypeError):
                continue  # the process was killed while it wrote this line: the case is asked again
            self._found[rows[0].case, rows[0].method] = rows

    def of(self, case: str, method: str, mark: str) -> list[Answer]:
        """The answers of a method (and of those read off it) to a case, if they were given to the same question."""
        rows = self._found.get((case, method), [])
        return rows if rows and rows[0].fingerprint == mark else []

    def add(self, rows: list[Answer]) -> None:
        """Keep the answers to one case."""
        self._found[rows[0].case, rows[0].method] = rows
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps([asdict(row) for row in rows]) + "\n")


def summary(answers: Sequence[Answer]) -> list[dict[str, float | int | str]]:
    """A row a method: accuracy with its interval, seconds and uncached tokens a decision, right ones a minute."""
    rows: list[dict[str, float | int | str]] = []
    for method in dict.fromkeys(a.method for a in answers):
        own = [a for a in answers if a.method == method]
        hits, seconds = sum(a.right for a in own), sum(a.seconds for a in own)
        low, high = Share(hits, len(own)).interval
        rows.append(
            {
                "method": method,
                "cases": len(own),
                "accuracy": hits / len(own),
                "low": low,
                "high": high,
                "seconds": seconds / len(own),
                "tokens": sum(a.tokens for a in own) / len(own),
                "errors": sum(bool(a.error) for a in own),
                "right_a_minute": 60 * hits / seconds if seconds else math.inf,
            }
        )
    return rows


def comparisons(answers: Sequence[Answer], against: str = "choose") -> list[dict[str, float | int | str]]:
    """Each method against `against` on the cases that both have: who alone was right, and the p-value."""
    by = {(a.method, a.case): a.right for a in answers}
    rows: list[dict[str, float | int | str]] = []
    for method in dict.fromkeys(a.method for a in answers):
        shared = [c for m, c in by if m == method and (against, c) in by]
        if method == against or not shared:
            continue
        ours = sum(by[against, c] and not by[method, c] for c in shared)
        theirs = sum(by[method, c] and not by[against, c] for c in shared)
        rows.append(
            {
                "method": method,
                "cases": len(shared),
                f"only_{against}": ours,
                "only_it": theirs,
                "p": sign_test(ours, theirs),
            }
        )
    return rows


def table(answers: Sequence[Answer]) -> Table:
    """The summary as a person reads it."""
    found = Table(
        "method", "cases", "right (95 % interval)", "s a decision", "uncached tokens", "errors", "right a minute"
    )
    for row in summary(answers):
        share = f"{row['accuracy']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        found.add_row(
            str(row["method"]), str(row["cases"]), share, f"{row['seconds']:.1f}", f"{row['tokens']:.0f}",
            str(row["errors"]), f"{row['right_a_minute']:.1f}",
        )  # fmt: skip
    return found


def by_situation(answers: Sequence[Answer], method: str = "choose") -> Table:
    """Where a method is right and where it is not."""
    found = Table("situation", "cases", f"right by {method}")
    own = [a for a in answers if a.method == method]
    for name in dict.fromkeys(a.case.split("/")[2] for a in own):
        hits = [a.right for a in own if a.case.split("/")[2] == name]
        found.add_row(name, str(len(hits)), f"{sum(hits) / len(hits):.2f}")
    return found


def _suited(case: Case) -> list[int]:
    """The places of the options that do what the diagnoses ask for; all of them where none does."""
    assert case.context.best is not None
    base, space, asked = case.context.best.config, case.script.space, wanted(case.context)
    places = range(len(case.candidates))
    return [i for i in places if suits(case.candidates[i].config, base, space, asked)] or list(places)


def _answer(case: Case, method: str, probabilities: Sequence[float], calls: Sequence[Call]) -> Answer:
    best = max(range(OPTIONS), key=probabilities.__getitem__)
    seconds = sum(call.seconds for call in calls)
    return Answer(case.id, method, best == case.answer, seconds, _tokens(calls), probabilities[case.answer])


def _averaged(rows: Sequence[Sequence[float]], turns: Sequence[int]) -> list[float]:
    """Mean log-probability of each option over some rotations, as probabilities."""
    totals = [0.0] * OPTIONS
    for row, turn in zip(rows, turns, strict=True):
        for logprob, option in zip(row, rotated(OPTIONS, turn).values(), strict=True):
            totals[option] += logprob / len(rows)
    return average([totals])


def _tokens(calls: Sequence[Call]) -> int:
    return sum(call.tokens_in - call.cached + call.tokens_out for call in calls)


def main() -> None:
    """Parse the command line, ask, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="a model string")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated: " + ", ".join(METHODS))
    parser.add_argument("--split", choices=("test", "tune"), default="test")
    parser.add_argument("--every", type=int, default=1, help="only every n-th case")
    parser.add_argument("--json", type=Path, help="where the answers and the summary are written")
    args = parser.parse_args()
    methods = args.methods.split(",")
    if unknown := set(methods) - set(METHODS):
        parser.error(f"a method is one of {', '.join(METHODS)}, but got {', '.join(sorted(unknown))}")
    model = open_model(args.model)
    if model is None:
        parser.error("a model is needed, but got none")
    heard = Heard()
    caller = Caller(model, name=args.model, log=heard)
    kept = Kept(args.json.with_suffix(".jsonl") if args.json else None)
    console, began, answers = Console(), time.monotonic(), list[Answer]()
    for answer in run(cases(args.split)[:: args.every], methods, caller, heard, kept):
        answers.append(answer)
        console.print(f"{time.monotonic() - began:6.0f} s  {answer.method:8} {answer.case:40} {answer.right}")
    console.print(table(answers), by_situation(answers, "choose" if "choose" in methods else methods[0]))
    if args.json:
        found = {"model": args.model, "summary": summary(answers), "against_choose": comparisons(answers)}
        args.json.write_text(json.dumps({**found, "answers": [asdict(a) for a in answers]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
