"""The benchmark of choosing: its cases, its statistics, and what it makes of models that know all or nothing."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from luthier.agents.planner import choice
from luthier.agents.steps import difference
from luthier.models.caller import Caller
from luthier.models.choosing import letters_of
from luthier.models.fake import Scored, ScriptedChat, favouring
from luthier.models.probe import Share

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import choosing
import choosing_cases
import stats

TEST, TUNE = choosing_cases.cases("test"), choosing_cases.cases("tune")


def test_there_are_a_hundred_cases_with_balanced_places() -> None:
    assert len(TEST) >= 100
    places = Counter(case.answer for case in TEST)
    assert max(places.values()) - min(places.values()) <= 1
    assert len({case.id for case in TEST}) == len(TEST)
    assert [case.candidates for case in choosing_cases.cases("test")] == [case.candidates for case in TEST]


@pytest.mark.parametrize("word", ["raise", "lower"])
def test_following_a_word_is_little_better_than_chance(word: str) -> None:
    """The share that a picker would reach who takes any option with the word; 0.25 is chance."""

    def has(case: choosing_cases.Case, place: int) -> bool:
        base = case.context.best
        assert base is not None
        return difference(case.candidates[place].config, base.config, case.script.space).startswith(word)

    reached = []
    for case in TEST:
        taken = [place for place in range(4) if has(case, place)] or list(range(4))
        reached.append((case.answer in taken) / len(taken))
    assert sum(reached) / len(reached) < 0.36


def test_the_cases_that_are_measured_share_no_script_with_those_that_prompts_are_worded_on() -> None:
    assert not {case.script.name for case in TEST} & {case.script.name for case in TUNE}
    names = [{*case.script.space} for case in (TEST[0], TUNE[0])]
    assert not names[0] & names[1]


@pytest.mark.parametrize("case", [*TEST, *TUNE], ids=lambda case: case.id)
def test_a_case_is_what_it_says(case: choosing_cases.Case) -> None:
    space = case.script.space
    assert case.expected in (None, case.verdict)
    keys = {space.key(candidate.config) for candidate in case.candidates}
    assert len(keys) == 4
    assert not keys & {space.key(trial.config) for trial in case.trials}
    assert all(space.contains(candidate.config) for candidate in case.candidates)
    base = case.context.best
    assert base is not None
    target = case.candidates[case.answer].config
    assert choosing.makes_move(target, base.config, target, space)
    assert not choosing.makes_move(base.config, base.config, target, space)


ANSWERS: dict[str, set[str]] = {}  # a prompt's context -> the worded right moves of the cases that have it
for _case in [*TEST, *TUNE]:
    _prompt, _options = choice([c.config for c in _case.candidates], _case.context, _case.script.space)
    ANSWERS.setdefault(_prompt.dynamic, set()).add(_options[_case.answer])


def knowing(messages: list[BaseMessage]) -> Any:
    """A model that finds the right option, and still says A far too often."""
    text = str(messages[-1].text)
    options = letters_of(text)
    right = next(answers for dynamic, answers in ANSWERS.items() if dynamic in text)
    weights = {
        letter: (3.0 if option in right else 1.0) * (2.0 if letter == "A" else 1.0)
        for letter, option in options.items()
    }
    return Scored({letter: weight / sum(weights.values()) for letter, weight in weights.items()})


def say_a(messages: list[BaseMessage]) -> Any:
    return Scored({"A": 0.97, "B": 0.01, "C": 0.01, "D": 0.01})


def answers_of(script: Any, methods: list[str], kept: Path | None = None, cases: Any = TEST) -> list[choosing.Answer]:
    heard = choosing.Heard()
    caller = Caller(ScriptedChat.of(script), name="m", log=heard, sleep=lambda seconds: None)
    return list(choosing.run(cases, methods, caller, heard, choosing.Kept(kept)))


def shares(answers: list[choosing.Answer]) -> dict[str, Any]:
    return {str(row["method"]): row["accuracy"] for row in choosing.summary(answers)}


def test_a_model_that_knows_is_always_right_by_rotation_in_spite_of_its_favourite_letter() -> None:
    assert shares(answers_of(knowing, ["letters"])) == {"letters": 1, "single": 1, "pair": 1}


def test_a_model_that_only_says_a_is_at_chance_and_its_favour_cancels() -> None:
    found = answers_of(say_a, ["letters"])
    assert set(shares(found).values()) == {0.25}
    assert all(a.probability == pytest.approx(0.25) for a in found if a.method == "letters")


def test_a_yes_to_the_right_option_alone_is_right() -> None:
    case = TEST[0]
    _, options = choice([c.config for c in case.candidates], case.context, case.script.space)
    assert shares(answers_of(favouring(options[case.answer]), ["each"], cases=[case])) == {"each": 1}
    assert shares(answers_of(favouring(options[case.answer - 1]), ["each"], cases=[case])) == {"each": 0}


def test_the_product_asks_only_about_what_does_what_is_wanted() -> None:
    """A model that answers nothing but yes to everything is right where one option alone suits, at no cost."""
    found = answers_of(lambda messages: Scored({"yes": 0.9, "no": 0.1}), ["rules", "choose"])
    free = [a for a in found if a.method == "choose" and a.tokens == 0]
    assert 60 <= len(free) < len(TEST)
    rules = {a.case: a.right for a in found if a.method == "rules"}
    assert all(a.right == rules[a.case] for a in free)


def test_a_proposal_is_right_by_its_move_and_a_failure_is_counted() -> None:
    cases = {case.id: case for case in TEST[:8]}
    right = [{"reason": "r", "config": dict(case.candidates[case.answer].config)} for case in cases.values()]
    wrong = [{"reason": "r", "config": dict(case.candidates[case.answer - 1].config)} for case in cases.values()]

    for given_answers, expected in ((right, True), (wrong, False)):
        model = ScriptedChat.of(given_answers)
        heard = choosing.Heard()
        caller = Caller(model, name="m", log=heard, retries=0)
        found = list(choosing.run(list(cases.values()), ["propose"], caller, heard, choosing.Kept(None)))
        assert all(a.error or a.right is expected for a in found)
    assert [a.error for a in answers_of(["nonsense"] * 30, ["propose"], cases=TEST[:2])] == ["NotJSON", "NotJSON"]


def test_a_killed_run_goes_on_where_it_stood(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    first = answers_of(say_a, ["letters"], path, TEST[:6])
    path.write_text(path.read_text() + '[{"case": "half')
    assert answers_of([], ["letters"], path, TEST[:6]) == first  # no answer is left to give: none was asked for
    rows = [json.loads(line) for line in path.read_text().splitlines()[:6]]
    rows[0][0]["fingerprint"] = "another prompt"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    again = answers_of(knowing, ["letters"], path, TEST[:6])
    assert [a.fingerprint for a in again] == [a.fingerprint for a in first]
    assert again[0].probability != first[0].probability
    assert again[3:] == first[3:]


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(0, 0, 0.0, 1.0), (8, 8, 0.676, 1.0), (0, 8, 0.0, 0.324), (59, 104, 0.471, 0.659)]
)
def test_the_interval_is_wilson_s(hits: int, n: int, low: float, high: float) -> None:
    assert Share(hits, n).interval == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize(("won", "lost", "p"), [(0, 0, 1.0), (5, 0, 0.0625), (0, 5, 0.0625), (35, 10, 0.000247)])
def test_the_paired_p_value_is_the_exact_sign_test_s(won: int, lost: int, p: float) -> None:
    assert stats.sign_test(won, lost) == pytest.approx(p, rel=1e-2)


def test_methods_are_compared_on_the_cases_that_both_have() -> None:
    def answer(case: str, method: str, right: bool) -> choosing.Answer:
        return choosing.Answer(case, method, right, 1.0, 10)

    rows = choosing.comparisons(
        [answer("a", "letters", True), answer("b", "letters", False), answer("a", "pair", False)], against="letters"
    )
    assert rows == [{"method": "pair", "cases": 1, "only_letters": 1, "only_it": 0, "p": 1.0}]
