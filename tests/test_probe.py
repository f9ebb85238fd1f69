"""The probe: perfect, random, broken and dead models get the figures they deserve."""

from __future__ import annotations

from typing import Any

import pytest

from luthier.models.choosing import letters_of
from luthier.models.errors import ModelDown
from luthier.models.fake import RandomChat, Scored, ScriptedChat
from luthier.models.probe import PROPOSALS, Share, cases, probe

GOOD = {"lr": 0.01, "units": 64, "optimizer": "adam", "words": "a long sentence"}


def knowing(messages: list[Any]) -> Any:
    """Answers every case right and proposes in range."""
    text = str(messages[-1].text)
    letters = letters_of(text)
    if not letters:
        return GOOD
    right = {case["moves"][case["right"]] for case in cases() if case["situation"] in text}
    return Scored({letter: 0.9 if move in right else 0.03 for letter, move in letters.items()})


def test_the_cases_are_whole_and_their_answers_spread() -> None:
    every = cases()
    assert len(every) >= 20
    assert all(len(set(case["moves"])) == 4 and case["situation"] for case in every)
    assert {case["right"] for case in every} == {0, 1, 2, 3}


def test_a_perfect_model() -> None:
    report = probe(ScriptedChat.of(knowing), name="perfect")
    assert (report.json, report.in_range) == (Share(PROPOSALS, PROPOSALS), Share(PROPOSALS, PROPOSALS))
    assert report.choosing == Share(len(cases()), len(cases()))
    assert report.trouble == ""


def test_a_random_model_is_near_a_quarter() -> None:
    report = probe(RandomChat(seed=3), name="random")
    assert report.choosing.right < len(cases()) * 0.6
    low, high = report.choosing.interval
    assert low < 0.25 < high or report.choosing.right < 5


def test_out_of_range_is_valid_json_and_not_in_range() -> None:
    def wild(messages: list[Any]) -> Any:
        return {**GOOD, "lr": 7.0} if not letters_of(str(messages[-1].text)) else Scored({"A": 1.0})

    report = probe(ScriptedChat.of(wild), name="wild")
    assert report.json.right == PROPOSALS
    assert report.in_range == Share(0, PROPOSALS)


def test_prose_instead_of_json_counts_against_it() -> None:
    report = probe(ScriptedChat.of(lambda messages: "I would lower it."), name="prose")
    assert report.json == Share(0, PROPOSALS)
    assert report.trouble


def test_a_dead_server_ends_the_probe_and_is_named() -> None:
    def down(messages: list[Any]) -> Any:
        raise ModelDown("the server does not answer; start it")

    report = probe(ScriptedChat.of(down), name="dead")
    assert report.choosing == Share(0, 0)
    assert "does not answer" in report.trouble
    assert [row[0] for row in report.rows()][-1] == "last trouble"


@pytest.mark.parametrize(("right", "asked"), [(0, 0), (0, 8), (5, 8), (8, 8)])
def test_the_interval_holds_the_share(right: int, asked: int) -> None:
    low, high = Share(right, asked).interval
    assert 0 <= low <= (right / asked if asked else 0.5) <= high <= 1 + 1e-9
