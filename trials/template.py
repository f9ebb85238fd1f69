"""Command lines with placeholders, filled without a shell."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Mapping

from .errors import SpecError
from .records import Value

BUILT_IN = ("config", "trial", "seed")  # filled in by Luthier: the config file's path, the trial's folder, the seed
# `{{` and `}}` are braces; `{x}` is a value; `{x:--on|--off}` is a switch. Other braces stay as they are.
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(?P<name>[A-Za-z_]\w*)(?::(?P<on>-[^{}|]*)(?:\|(?P<off>-[^{}|]*))?)?\}")


def split(run: str) -> list[str]:
    """The words of a command line, by shlex.

    Raises:
        SpecError: when it is empty or a quotation is not closed.
    """
    try:
        words = shlex.split(run)
    except ValueError as error:
        raise SpecError(f"`run` must be a command line, but {run!r} is not ({error}); close the quotation") from error
    if not words:
        raise SpecError("`run` must be a command line, but it is empty; write it like `python train.py --lr {lr}`")
    return words


def names(words: list[str]) -> list[str]:
    """The placeholders' names, in order, each once."""
    return list(dict.fromkeys(m["name"] for word in words for m in _PLACEHOLDER.finditer(word) if m["name"]))


def fill(words: list[str], values: Mapping[str, Value]) -> list[str]:
    """The words with their values.

    A word that names something without a value (an inactive hyperparameter) is left out, together with the option
    before it if the two are a pair, as in `--momentum {momentum}`.
    """
    filled: list[str] = []
    for index, word in enumerate(words):
        text = fill_word(word, values)
        if text is not None:
            filled.append(text)
        elif index > 0 and _takes(words[index - 1], word):
            filled.pop()
    return filled


def fill_word(word: str, values: Mapping[str, Value]) -> str | None:
    """One word with its values; None when it names something without one, or is a switch that is off."""
    if any(name not in values for name in names([word])):
        return None
    switched_off = False

    def value_of(match: re.Match[str]) -> str:
        nonlocal switched_off
        if match["name"] is None:
            return match[0][0]
        value = values[match["name"]]
        if match["on"] is None:
            return spell(value)
        switched_off |= not value and match["off"] is None
        return match["on"] if value else match["off"] or ""

    text = _PLACEHOLDER.sub(value_of, word)
    return None if switched_off else text


def spell(value: Value) -> str:
    """A value as a word that reads back as the same value; a float has as many digits as that takes."""
    return repr(value) if isinstance(value, float) else str(value)


def _takes(option: str, word: str) -> bool:
    """Whether `word` is the value of the option before it."""
    return option.startswith("-") and "=" not in option and not names([option]) and not word.startswith(("-", "{{"))


def options(words: list[str]) -> list[str]:
    """The options whose value is a placeholder: `--lr` of `--lr {lr}` and of `--lr={lr}`, `lr` of `lr={lr}`."""
    found = [option for option, word in itertools.pairwise(words) if names([word]) and _takes(option, word)]
    for word in words:
        option, equals, value = word.partition("=")
        if equals and names([value]) and not names([option]):
            found.append(option)
    return list(dict.fromkeys(found))


def rename(words: list[str], renamed: Mapping[str, str]) -> list[str]:
    """The words with some of their `options` under another name."""
    declared = {option: renamed[option] for option in options(words) if option in renamed}
    return [_rename_word(word, declared) for word in words]


def _rename_word(word: str, renamed: Mapping[str, str]) -> str:
    option, equals, value = word.partition("=")
    return renamed.get(option, option) + equals + value
