"""How a note words values: cut short, for a note is read and has a limit; rows and evidence keep the values whole."""

from __future__ import annotations

from ..trials.records import Config

MOST = 1_000  # characters of one value or name
MOST_OF_CONFIG = 4_000  # characters of a configuration, so that a failure's note holds three of them


def cut(value: object, most: int = MOST) -> str:
    """A value as text of at most `most` characters; one that is cut says how long it was."""
    text = str(value)
    if len(text) <= most:
        return text
    end = f"... ({len(text):,} characters)"
    return text[: most - len(end)] + end


def config_words(config: Config) -> str:
    """A configuration in words: `lr=0.1, units=64`."""
    return cut(", ".join(f"{cut(name)}={cut(value)}" for name, value in config.items()), MOST_OF_CONFIG)
