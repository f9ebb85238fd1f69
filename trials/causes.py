"""What became of a trial, told from how it ended, its last lines and its metrics."""

from __future__ import annotations

import difflib
import math
import signal
from collections.abc import Mapping

from .recorder import Recorder
from .records import Cause, Failure, Outcome, State
from .runner import Limits
from .watch import Ending

MAX_DETAIL = 4_000  # characters of evidence
NOT_FOUND_CODE = 127  # a shell's exit code for a command that it did not find
KILLED_CODE = 128 + signal.SIGKILL  # how the sandboxes and shells pass on a kill

# What Python, C++, PyTorch, JAX, TensorFlow and the C library say; the last is PyTorch's data loader's.
MEMORY_SIGNS = (
    "MemoryError",
    "OutOfMemoryError",
    "out of memory",
    "std::bad_alloc",
    "RESOURCE_EXHAUSTED",
    "not enough memory",
    "can't allocate memory",
    "Cannot allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "is killed by signal: Killed",
)


def conclude(
    recorder: Recorder,
    ending: Ending,
    failure: Failure | None,
    *,
    metric: str,
    limits: Limits,
    seconds: float,
    isolation: str,
) -> Outcome:
    """The outcome of a trial; `failure` is what its own process said, None when it ended well or was ended."""
    pruned = recorder.stop_asked or ending is Ending.PRUNED
    failure = _cause_of_ending(ending, limits) or (None if pruned else failure)
    if failure is None and not (pruned and metric not in recorder.metrics):
        failure = cause_of_value(metric, recorder.metrics)
    state = State.FAILED if failure else State.PRUNED if pruned else State.COMPLETE
    return Outcome(
        state=state,
        value=None if failure else recorder.metrics.get(metric),
        metrics=dict(recorder.metrics),
        trajectory=recorder.trajectory(),
        failure=failure,
        seconds=seconds,
        isolation=isolation,
    )


def _cause_of_ending(ending: Ending, limits: Limits) -> Failure | None:
    match ending:
        case Ending.TIMEOUT:
            return Failure(Cause.TIMEOUT, f"ran longer than the limit of {limits.seconds:g} s")
        case Ending.MEMORY:
            return Failure(Cause.OUT_OF_MEMORY, f"used more memory than the limit of {limits.memory_gib:g} GiB")
        case Ending.CLOSED:
            return Failure(Cause.INTERRUPTED, "the runner was closed while the trial ran")
    return None


def cause_of_exit(code: int, last: str, *, kernel_killed: bool) -> Failure:
    """The failure of a command that ended with `code` (not 0) and `last` as its last lines.

    `kernel_killed`: whether the kernel's out-of-memory killer may have struck while it ran.
    """
    if code == NOT_FOUND_CODE:
        return Failure(Cause.NOT_FOUND, _cut(last) or "the command ended with exit code 127")
    if code == KILLED_CODE and kernel_killed:
        return Failure(Cause.OUT_OF_MEMORY, _cut(f"killed by the kernel, out of memory\n{last}"))
    return cause_of_error(last, f"ended with {_name(code)}")


def cause_of_error(last: str, summary: str) -> Failure:
    """The failure of a trial that raised or ended badly: out of memory where the last lines say so, else a crash."""
    cause = Cause.OUT_OF_MEMORY if any(sign in last for sign in MEMORY_SIGNS) else Cause.CRASH
    return Failure(cause, _cut(f"{summary}\n{last}"))


def cause_of_value(metric: str, metrics: Mapping[str, float]) -> Failure | None:
    """What is wrong with the final metrics of a trial that ended well; None when nothing is."""
    if metric in metrics:
        value = metrics[metric]
        return None if math.isfinite(value) else Failure(Cause.NAN, f"the final {metric} is {value}")
    if not metrics:
        return Failure(
            Cause.NO_METRIC,
            f"{metric!r} was never reported; call `luthier.report({metric}=value)` in the script, "
            "or give `patterns` a regular expression for what it prints",
        )
    near = difflib.get_close_matches(metric, list(metrics), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; name one of those, or report {metric!r}"
    return Failure(Cause.NO_METRIC, f"{metric!r} was never reported, only {', '.join(sorted(metrics))}{hint}")


def _name(code: int) -> str:
    # Negative codes are Python's word for a signal, 128 + n the shells'.
    number = -code if code < 0 else code - 128
    try:
        return f"{signal.Signals(number).name} (exit code {code})"
    except ValueError:
        return f"exit code {code}"


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= MAX_DETAIL else "..." + text[-MAX_DETAIL:]
