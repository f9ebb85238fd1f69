"""Counting tokens without a tokenizer: a lower bound, and a guess on the safe side."""

from __future__ import annotations

import math
import re

# Tokenizers of the GPT family split text like this before they merge bytes, and never merge across a split: a word
# with the one sign before it, up to three digits, a run of signs. Each piece is one token at least.
_PIECES = re.compile(r"(?:[^\w\r\n]|_)?[^\W\d_]+|\d{1,3}|[^\w\s]+|_+")

# For the guess every digit and sign counts alone, as in Qwen's and SmolLM's tokenizers, and a line's end does too.
_PARTS = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_|\n")
WORD_LETTERS = 6  # letters a token of an English word or a name in code
LONGEST_WORD = 16  # letters; beyond it stands no word but a hash or the like
RARE_LETTERS = 1.3  # letters a token there
RARE_BYTES = 1.5  # bytes a token in scripts other than Latin, at worst


def fewest_tokens(text: str) -> int:
    """How many tokens the text has at least. A server that counted fewer has cut it."""
    return len(_PIECES.findall(text))


def approx_tokens(text: str) -> int:
    """About how many tokens the text has; rather too many than too few (code and prose: 1.0 to 1.4 times)."""
    return sum(_most(part) for part in _PARTS.findall(text))


def _most(part: str) -> int:
    if not part.isascii():
        return math.ceil(len(part.encode()) / RARE_BYTES)
    return math.ceil(len(part) / (WORD_LETTERS if len(part) <= LONGEST_WORD else RARE_LETTERS))
