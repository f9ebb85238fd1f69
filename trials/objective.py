"""The worker process: it holds the objective and calls it once for each trial it is told of."""

from __future__ import annotations

import gc
import mmap
import os
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from .proxy import Channel, ProxyTrial

MAX_ERROR = 100_000  # characters of a traceback that are sent


def serve(connection: int, payload: int) -> None:
    """Answer each trial on the socket `connection` until it is closed. `payload` holds the cloudpickled objective."""
    channel = Channel(socket.socket(fileno=connection))
    objective: Callable[[ProxyTrial], Any] | None = None
    while (task := channel.receive()) is not None:
        # Loaded with the first trial, so that an objective that cannot be loaded is that trial's failure.
        try:
            objective = objective or _load(payload)
            done = _call(objective, task, channel)
        except BaseException as error:
            done = _failed(error)
        sys.stdout.flush()
        sys.stderr.flush()
        channel.send(done=done)


def _load(payload: int) -> Callable[[ProxyTrial], Any]:
    import cloudpickle

    with mmap.mmap(payload, 0, access=mmap.ACCESS_READ) as view:
        loaded: Callable[[ProxyTrial], Any] = cloudpickle.loads(view)
    return loaded


def _call(objective: Callable[[ProxyTrial], Any], task: dict[str, Any], channel: Channel) -> dict[str, Any]:
    os.environ["LUTHIER_TRIAL"] = task["folder"]
    os.environ["LUTHIER_SEED"] = str(task["seed"])
    result = objective(ProxyTrial(channel, task["number"], task["config"]))
    if result is None:
        return {"metrics": {}}
    if isinstance(result, Mapping):
        return {"metrics": {str(name): float(value) for name, value in result.items()}}
    if not isinstance(result, Real) and not hasattr(result, "__float__"):
        raise TypeError(f"an objective must return a number, or a mapping of metrics to numbers, but got {result!r}")
    return {"value": float(result)}


def _failed(error: BaseException) -> dict[str, Any]:
    # By name, so that Optuna need not be loaded here; nothing of ours raises it.
    if any(kind.__name__ == "TrialPruned" for kind in type(error).__mro__):
        return {"pruned": True}
    text = "".join(traceback.format_exception(error))
    sys.stderr.write(text)  # into the trial's log
    # The frames hold what filled the memory, perhaps a graphics card's.
    traceback.clear_frames(error.__traceback__)
    error.__traceback__ = None
    gc.collect()
    return {"error": text[-MAX_ERROR:]}
