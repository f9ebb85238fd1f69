"""Choosing by letters, or by a yes or no to each option: what is asked, and how answers are averaged. Pure functions.

A small model favours a letter whatever stands behind it. So the options are listed once, by number, and only the
last line says which letter stands for which option; it rotates, and the log-probabilities are averaged, which
cancels the favour. All before that line stays in the server's prompt cache.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from .schemas import is_number

MAX_OPTIONS = len(string.ascii_uppercase)
TOP = 20  # likeliest tokens asked for, OpenAI's limit
YES_OR_NO = "Answer yes or no."  # the end of a question about one option
UNLIKELIEST = -500.0  # nats, about the least whose exponential is a normal number with `UNLISTED` below it
UNLISTED = 1.0  # nats below the last listed token, for a letter that is not among the likeliest

_LINE = re.compile(r"^Letters: (.+)\. Answer with one letter\.$", re.MULTILINE)


def list_options(options: Sequence[str]) -> str:
    """The options, numbered from 1, a line each."""
    return "Options:\n" + "\n".join(f"{i}. {' '.join(option.split())}" for i, option in enumerate(options, start=1))


def letter_line(count: int, rotation: int) -> str:
    """The last line: letter i stands for option i + rotation, around the end."""
    pairs = (f"{letter} = option {option + 1}" for letter, option in rotated(count, rotation).items())
    return f"Letters: {', '.join(pairs)}. Answer with one letter."


def rotated(count: int, rotation: int) -> dict[str, int]:
    """Letter -> option index, from 0."""
    return {string.ascii_uppercase[i]: (i + rotation) % count for i in range(count)}


def letters_of(prompt: str) -> dict[str, str]:
    """Letter -> the option's text, read back from a prompt; empty where nothing is to choose."""
    line = _LINE.search(prompt)
    if line is None:
        return {}
    texts = dict(re.findall(r"^(\d+)\. (.+)$", prompt, re.MULTILINE))
    return {letter: texts[number] for letter, number in re.findall(r"([A-Z]) = option (\d+)", line.group(1))}


def letter_logprobs(content: Sequence[Mapping[str, Any]], count: int) -> list[float] | None:
    """Normalised log-probabilities of the first `count` letters, shape (count,), from the answer's first token.

    Args:
        content: OpenAI's `logprobs.content`. Tokens that differ only in case of blanks around them are added up.

    Returns:
        None when not one letter is among the likeliest tokens.
    """
    top = _likeliest(content)
    mass = dict.fromkeys(string.ascii_uppercase[:count], 0.0)
    for token, logprob in top:
        letter = token.strip()
        if letter in mass:
            mass[letter] += math.exp(logprob)
    if not any(mass.values()):
        return None
    floor = math.exp(min(logprob for _, logprob in top) - UNLISTED)
    total = sum(m or floor for m in mass.values())
    return [math.log((m or floor) / total) for m in mass.values()]


def yes_odds(content: Sequence[Mapping[str, Any]]) -> float | None:
    """Log-odds of "yes" against "no" as the answer's first token, in nats; None when neither is among the likeliest.

    Args:
        content: OpenAI's `logprobs.content`. Tokens that differ only in case or blanks are added up.
    """
    top = _likeliest(content)
    mass = {"yes": 0.0, "no": 0.0}
    for token, logprob in top:
        word = token.strip().lower()
        if word in mass:
            mass[word] += math.exp(logprob)
    if not any(mass.values()):
        return None
    floor = math.exp(min(logprob for _, logprob in top) - UNLISTED)
    return math.log(mass["yes"] or floor) - math.log(mass["no"] or floor)


def _likeliest(content: Any) -> list[tuple[str, float]]:
    """The first token's alternatives with their log-probabilities, those that are some.

    Servers write what they like here: OpenAI gives -9999 to what is very unlikely, others null, NaN or a wrong shape.
    """
    first = content[0] if isinstance(content, Sequence) and content else None
    if not isinstance(first, Mapping):
        return []
    listed = first.get("top_logprobs") or [first]
    entries = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
    pairs = ((str(entry.get("token")), entry.get("logprob", math.nan)) for entry in entries)
    return [(token, min(float(value), 0.0)) for token, value in pairs if is_number(value) and value > UNLIKELIEST]


def softmax(scores: Sequence[float]) -> list[float]:
    """Shares that sum to 1, shape as given."""
    best = max(scores)
    weights = [math.exp(score - best) for score in scores]
    return [weight / sum(weights) for weight in weights]


def average(rows: Sequence[Sequence[float]]) -> list[float]:
    """Probabilities of the options, shape (count,): the softmax of the mean over rotations.

    Args:
        rows: row r holds the letters' log-probabilities under rotation r.
    """
    count = len(rows[0])
    totals = [0.0] * count
    for rotation, row in enumerate(rows):
        for logprob, option in zip(row, rotated(count, rotation).values(), strict=True):
            totals[option] += logprob / len(rows)
    return softmax(totals)


def vote(letters: Sequence[str], count: int) -> list[float]:
    """Each option's share of the votes, shape (count,); vote r was given under rotation r."""
    shares = [0.0] * count
    for rotation, letter in enumerate(letters):
        shares[rotated(count, rotation)[letter]] += 1 / len(letters)
    return shares
