"""Steps in words: what one configuration changes against another, short enough for an option of a choice."""

from __future__ import annotations

from ..trials.records import Config, Value
from ..trials.space import Choice, Space
from .render import approx_tokens

OPTION_TOKENS = 30  # of one worded candidate; each uncached hundred costs 2 s on two cores


def difference(config: Config, base: Config, space: Space, tokens: int = OPTION_TOKENS) -> str:
    """`raise lr 0.001 to 0.01, optimizer adam to sgd`, the widest changes first, in at most `tokens` tokens."""
    changes = sorted(_changed(config, base, space), key=lambda name: -_width(name, config, base, space))
    if not changes:
        return "repeat it unchanged"
    words = [_change(name, config, base, space) for name in changes]
    for shown in range(len(words), 0, -1):
        rest = len(words) - shown
        text = ", ".join(words[:shown]) + (f", and {rest} more" if rest else "")
        if approx_tokens(text) <= tokens:
            return text
    return f"{len(words)} changes, the widest in {changes[0]}"[: 3 * tokens]


def spell(value: Value | None) -> str:
    """A value with three significant digits; `off` for an inactive hyperparameter."""
    return "off" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _changed(config: Config, base: Config, space: Space) -> list[str]:
    return [name for name in space if config.get(name) != base.get(name)]


def _change(name: str, config: Config, base: Config, space: Space) -> str:
    old, new = base.get(name), config.get(name)
    verb = ""
    if old is not None and new is not None and not isinstance(space[name], Choice):
        verb = "raise " if new > old else "lower "  # type: ignore[operator]
    return f"{verb}{name} {spell(old)} to {spell(new)}"


def _width(name: str, config: Config, base: Config, space: Space) -> float:
    """How far a change goes, in shares of the (log) range; another choice, or on and off, is as far as can be."""
    old, new = base.get(name), config.get(name)
    if old is None or new is None or isinstance(space[name], Choice):
        return 1.0
    return abs(space[name].to_unit(new) - space[name].to_unit(old))
