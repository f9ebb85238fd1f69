"""Sending a callable to another process: lambdas, notebooks' functions and modules that only we have loaded too."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from .errors import InputError


def pickled(objective: Callable[[Any], Any]) -> bytes:
    """The objective as bytes that a fresh process can load.

    Raises:
        InputError: when it holds something that cannot be sent.
    """
    import cloudpickle

    try:
        with _by_value(objective):
            return bytes(cloudpickle.dumps(objective))
    except Exception as error:
        raise InputError(
            f"an objective must be sendable to a worker process, but {getattr(objective, '__name__', objective)!r} is "
            f"not ({error}); create what it cannot take along (locks, files, connections) inside it"
        ) from error


@contextlib.contextmanager
def _by_value(objective: Any) -> Iterator[None]:
    """Let cloudpickle take the objective's whole module along where the worker could not import it."""
    import cloudpickle

    while isinstance(objective, functools.partial):
        objective = objective.func
    name = getattr(objective, "__module__", None) or type(objective).__module__
    module = sys.modules.get(name)
    if module is None or name == "__main__" or _is_importable(name, getattr(module, "__file__", None)):
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _is_importable(name: str, file: str | None) -> bool:
    """Whether `import name` would lead to this file in a fresh process; a loaded module proves nothing."""
    path, spec, parts = None, None, name.split(".")
    for end in range(1, len(parts) + 1):
        dotted = ".".join(parts[:end])
        spec = next((found for finder in sys.meta_path if (found := finder.find_spec(dotted, path))), None)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    return spec is not None and (file is None or spec.origin == file)


def in_memory(data: bytes) -> int:
    """A file descriptor with the data, of a file that is on no disk."""
    fd = os.memfd_create("luthier-objective")
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(data)
    return fd
