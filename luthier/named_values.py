"""Options of the form NAME=VALUE between commas."""

from __future__ import annotations

from typing import Any


def named_values(option: str, text: str, example: str) -> dict[str, Any]:
    """What `lr=0.01,layers=4` says, each value read as YAML.

    Raises:
        InputError: it is not of that form; the message shows the example.
    """
    import yaml

    from .trials.errors import InputError

    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise InputError(f"{option} is NAME=VALUE between commas, but got {wrong[0]!r}; write {option} {example}")
    try:
        return {name.strip(): yaml.safe_load(value) for name, _, value in pairs}
    except yaml.YAMLError:
        raise InputError(f"{option} is NAME=VALUE between commas, but got {text!r}") from None
