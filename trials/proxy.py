"""The trial as an objective sees it, inside the worker process: Optuna's `Trial`, as far as objectives use it."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .records import Value
from .space import Choice, Float, Int, Parameter

MAX_MESSAGE = 1_000_000  # bytes; an attribute or an error beyond it is refused or cut


class Channel:
    """JSON values over a socket, one a line. The worker's end, which may wait."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def send(self, **message: Any) -> None:
        """Send one message.

        Raises:
            ValueError: when it is too long.
        """
        line = json.dumps(message).encode() + b"\n"
        if len(line) > MAX_MESSAGE:
            raise ValueError(f"a message has at most {MAX_MESSAGE} bytes, but this has {len(line)}; store it in a file")
        self._connection.sendall(line)

    def receive(self) -> Any:
        """The next message; None when the other end is closed."""
        line = self._file.readline()
        return json.loads(line) if line else None


class ProxyTrial:
    """A trial with Optuna's words: `suggest_*`, `report`, `should_prune`, `set_user_attr`.

    A suggestion that the configuration does not know takes the (log) middle of its range; Luthier learns of the
    range, and tunes it from the next trial on.
    """

    def __init__(self, channel: Channel, number: int, config: dict[str, Value]) -> None:
        self.number = number
        self.params: dict[str, Any] = {}
        self.user_attrs: dict[str, Any] = {}
        self._channel = channel
        self._config = config

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A real number in [low, high], on a grid of `step` if given."""
        if low == high:
            return float(self._fixed(name, low))
        return float(self._suggest(name, Float(low, high, log=log, step=step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number in [low, high], on a grid of `step`."""
        if low == high:
            return int(self._fixed(name, low))
        return int(self._suggest(name, Int(low, high, log=log, step=step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices. What is neither number, text nor truth value is known to Luthier by its text."""
        known = tuple(c if isinstance(c, float | int | str | bool) else str(c) for c in choices)
        value = self._suggest(name, Choice(known))
        self.params[name] = next(
            c for c, k in zip(choices, known, strict=True) if k == value and type(k) is type(value)
        )
        return self.params[name]

    def report(self, value: float, step: int) -> None:
        """Report the objective's value at a step."""
        self._channel.send(report=[int(step), float(value)])

    def should_prune(self) -> bool:
        """Whether the trial should end now, by raising `optuna.TrialPruned`."""
        self._channel.send(ask="should_prune")
        return bool(self._channel.receive())

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep a JSON-able value with the trial."""
        self._channel.send(attribute=[key, value])
        self.user_attrs[key] = value

    def _suggest(self, name: str, parameter: Parameter) -> Value:
        known = name in self._config
        value = parameter.clip(self._config[name]) if known else parameter.from_unit(0.5)
        # The same name again means the same value, as in Optuna.
        self._config[name] = self.params[name] = value
        self._channel.send(suggest=name, kind=type(parameter).__name__, parameter=asdict(parameter), value=value)
        return value

    def _fixed(self, name: str, value: float) -> float:
        """A range of one value, which there is nothing to tune about."""
        self.params[name] = value
        return value
