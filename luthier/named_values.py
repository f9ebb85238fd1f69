"""Options of the form NAME=VALUE between commas."""

from __future__ import annotations

from typing import Any


def named_values(option: str, text: str, example: str) -> dict[str, Any]:
    """What `lr=1e-2,layers=4` says, each value read as in a study file.

    Raises:
        InputError: it is not of that form, or names something twice; the message shows the example.
    """
    from .trials.errors import InputError, SpecError
    from .trials.yaml_file import parse_yaml

    found: dict[str, Any] = {}
    for part in filter(str.strip, text.split(",")):
        name, sign, value = (one.strip() for one in part.partition("="))
        wrong = f"{option} is NAME=VALUE between commas, but got {part.strip()!r}; write {option} {example}"
        if not name or not sign:
            raise InputError(wrong)
        if name in found:
            raise InputError(f"{option} names {name!r} twice; leave one out")
        try:
            found[name] = parse_yaml(value).data
        except SpecError:
            raise InputError(wrong) from None
    return found
