"""What all ways into and out of the memory share: how progress is told, and what foreign names become."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Progress = Callable[[int, int], None]  # how much is done, of how much


def silent(done: int, total: int) -> None:
    """Progress that nobody wants to see."""


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """What hyperparameters are called here, where a name must be an identifier: `layer.0` is `layer_0`."""
    found: dict[str, str] = {}
    for name in sorted(set(names)):  # so that two names for which one would do are told apart in the same way each time
        stem = "".join(mark if f"_{mark}".isidentifier() else "_" for mark in name)
        plain = stem = stem if stem.isidentifier() else f"_{stem}"
        number = 2
        while plain in found.values():
            plain, number = f"{stem}_{number}", number + 1
        found[name] = plain
    return found
