"""Counting tokens without a tokenizer: a lower bound, and a guess on the safe side."""

from __future__ import annotations

import math
import re

# Tokenizers of the GPT family split text so before they merge bytes, and never merge across a split: a run of
# letters, up to three digits, a run of signs. Each piece is one token at least.
_PIECES = re.compile(r"[^\W\d_]+|\d{1,3}|[^\w\s]+|_+")
BYTES_A_TOKEN = 3.0  # English has 4 to 5; numbers and code come down to 2.5


def fewest_tokens(text: str) -> int:
    """How many tokens the text has at least. A server that counted fewer has cut it."""
    return len(_PIECES.findall(text))


def approx_tokens(text: str) -> int:
    """About how many tokens the text has; rather too many than too few."""
    return max(fewest_tokens(text), math.ceil(len(text.encode()) / BYTES_A_TOKEN))
