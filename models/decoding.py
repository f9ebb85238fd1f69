"""How a model draws its tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Decoding:
    """The decoding of one call. The defaults are greedy, so that equal prompts give equal answers."""

    temperature: float = 0.0  # 0 takes the likeliest token
    top_p: float = 1.0  # share of probability kept
    top_k: int = 0  # tokens kept; 0 keeps all
    repetition_penalty: float = 1.0  # 1 is none
    max_tokens: int = 256  # of the answer
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0 or self.repetition_penalty <= 0:
            raise ValueError(f"temperature >= 0, 0 < top_p <= 1, top_k >= 0, repetition_penalty > 0; got {self}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, but got {self.max_tokens}")

    def retried(self, attempt: int) -> Decoding:
        """The decoding of a further attempt: warmer, because a greedy model would only repeat itself."""
        if attempt == 0:
            return self
        return replace(self, temperature=max(self.temperature, 0.4 + 0.2 * attempt), seed=self.seed + attempt)

    def as_dict(self) -> dict[str, Any]:
        """The decoding as JSON-able data."""
        return asdict(self)
