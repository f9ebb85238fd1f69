"""Steps in words: what one configuration changes against another, and what a diagnosis asks for.

That `min_samples_leaf` regularises need not be known to a small model: each change is glossed with what it does, in the
very words in which a remedy is put, so that what is left to the model is to match and weigh.
"""

from __future__ import annotations

from ..trials.diagnosis import Verdict
from ..trials.glosses import REMEDIES, gloss
from ..trials.records import Cause, Config, Value
from ..trials.space import Choice, Space
from .context import Context, TrialRow
from .render import approx_tokens

OPTION_TOKENS = 30  # of one worded candidate; each uncached hundred costs 2 s on two cores


def difference(config: Config, base: Config, space: Space, tokens: int = OPTION_TOKENS) -> str:
    """`raise lr 0.001 to 0.01 (larger steps), optimizer adam to sgd`, the widest changes first.

    In at most `tokens` tokens: first the glosses go, then the smallest changes.
    """
    changes = _widest_first(config, base, space)
    if not changes:
        return "repeat it unchanged"
    bare = [_change(name, config, base, space) for name in changes]
    effects = [gloss(name, way) if (way := _way(name, config, base, space)) else "" for name in changes]
    full = [f"{words} ({effect})" if effect else words for words, effect in zip(bare, effects, strict=True)]
    for shown in range(len(changes), 0, -1):
        rest = len(changes) - shown
        for words in (full, bare):
            text = ", ".join(words[:shown]) + (f", and {rest} more" if rest else "")
            if approx_tokens(text) <= tokens:
                return text
    return f"{len(changes)} changes, the widest in {changes[0]}"[: 3 * tokens]


def wanted(context: Context) -> str:
    """What the diagnoses of the best and of the latest trial ask for, a sentence each; "" when nothing."""
    lines = []
    if context.best is not None and (remedy := _remedy(context.best)):
        lines.append(f"The best trial is {_ill(context.best)}: that wants {remedy}.")
    latest = context.latest
    if latest is not None and latest.value is None:
        remedy = _remedy(latest)
        wants = f": that wants {remedy}" if remedy else ""
        lines.append(f"Trial {latest.number} failed ({_ill(latest)}){wants}; do not go further that way.")
    return " ".join(lines)


def suits(config: Config, base: Config, space: Space, asked: str) -> bool:
    """Whether a step's widest change of a known effect is what is asked, and its opposite is not asked as well."""
    ways = [(name, _way(name, config, base, space)) for name in _widest_first(config, base, space)]
    main = next(((name, way) for name, way in ways if way and gloss(name, way)), None)
    return main is not None and gloss(*main) in asked and gloss(main[0], -main[1]) not in asked


def spell(value: Value | None) -> str:
    """A value with three significant digits; `off` for an inactive hyperparameter."""
    return "off" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _remedy(row: TrialRow) -> str:
    return next((remedy for ill, remedy in REMEDIES.items() if _ill(row) == ill), "")


def _ill(row: TrialRow) -> str:
    """The verdict without its step; for a crash its cause, which the evidence begins with."""
    if row.verdict == Verdict.CRASHED:
        return next((cause.value for cause in Cause if row.evidence.startswith(cause.value)), row.verdict)
    return row.verdict.partition(" since")[0]


def _widest_first(config: Config, base: Config, space: Space) -> list[str]:
    changed = [name for name in space if config.get(name) != base.get(name)]
    return sorted(changed, key=lambda name: -_width(name, config, base, space))


def _way(name: str, config: Config, base: Config, space: Space) -> int:
    """1 where a change raises, -1 where it lowers, 0 where it is neither: another choice, on or off."""
    old, new = base.get(name), config.get(name)
    if old is None or new is None or isinstance(space[name], Choice):
        return 0
    return 1 if new > old else -1  # type: ignore[operator]


def _change(name: str, config: Config, base: Config, space: Space) -> str:
    verb = {1: "raise ", -1: "lower ", 0: ""}[_way(name, config, base, space)]
    return f"{verb}{name} {spell(base.get(name))} to {spell(config.get(name))}"


def _width(name: str, config: Config, base: Config, space: Space) -> float:
    """How far a change goes, in shares of the (log) range; another choice, or on and off, is as far as can be."""
    old, new = base.get(name), config.get(name)
    if old is None or new is None or isinstance(space[name], Choice):
        return 1.0
    return abs(space[name].to_unit(new) - space[name].to_unit(old))
