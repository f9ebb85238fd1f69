"""The runner of Python callables: one warm process of their own, so that imports are paid for once."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .causes import cause_of_error, cause_of_exit, conclude
from .process_runner import ProcessRunner
from .processes import MARK, more_kills, oom_kills, recorded
from .proxy import MAX_MESSAGE
from .recorder import Recorder, guard_disk, write_config
from .records import Cause, Config, Failure, Outcome, Value
from .runner import Limits
from .sandbox import Child, Sandbox
from .shipping import in_memory, pickled
from .space import Choice, Float, Int, Parameter, Space
from .stream import Report
from .watch import Ending, Watch

GRACE = 2.0  # seconds that an objective has to ask `should_prune` before its worker is ended
# `-P` keeps the working folder off the path, where another package of our name may lie; then the caller's path and
# arguments hold.
_START = """
import json, sys
connection, payload, path, argv = map(json.loads, sys.argv[1:])
sys.path += [entry for entry in path if entry not in sys.path]
from luthier.trials.objective import serve
sys.path[:], sys.argv[:] = path, argv
serve(connection, payload)
"""
_KINDS: dict[str, type[Float | Int | Choice]] = {"Float": Float, "Int": Int, "Choice": Choice}


class CallableRunner(ProcessRunner):
    """Calls `objective(trial)` in a warm worker process, with a trial that has Optuna's words.

    The objective returns the target's value, or a mapping of metrics, or None when it reported the target. The
    worker is replaced after a crash, a timeout, and whatever else may have left it unwell; its helper processes
    (data loaders, pools) live as long as it does.

    Args:
        objective: any callable, also a lambda or a notebook's function.
        metric: the name that the returned value gets.
        space: what is known of the hyperparameters; the objective's own suggestions grow it (`suggested`).

    Raises:
        InputError: when the objective cannot be sent to another process.
    """

    def __init__(
        self,
        objective: Callable[[Any], Any],
        *,
        metric: str = "value",
        limits: Limits = Limits(),  # noqa: B008 - frozen
        space: Space | None = None,
        sandbox: Sandbox | None = None,
    ) -> None:
        super().__init__(metric, limits, sandbox)
        self.space = space
        self.suggested: dict[str, Parameter] = {}  # with its latest range, in the order of first suggestion
        self.used: dict[str, Value] = {}  # the hyperparameters that the last trial asked for
        self.user_attrs: dict[str, Any] = {}  # of the last trial
        self._payload = in_memory(pickled(objective))
        self._worker: _Worker | None = None
        self._count = 0

    def _run(self, config: Config, folder: Path, recorder: Recorder) -> Outcome:
        start, kills = time.monotonic(), oom_kills()
        number = int(folder.name) if folder.name.isdecimal() else self._count
        self._count += 1
        mark = self._worker.mark if self._worker else uuid.uuid4().hex
        with guard_disk(folder), recorded(folder, mark) as record:
            worker = self._worker or _Worker(self.sandbox, mark, self._payload, folder)
            self._worker = worker
            talk = _Conversation(worker.connection, recorder, self.metric)
            try:
                record(worker.child.pid)
                talk.begin(number, config, folder, self._seed)
                ending = self._watch(worker, recorder, talk)
            except BaseException:
                self._release()
                raise
            failure = talk.failure or _exit_failure(ending, worker.child, recorder, kills)
            if ending is not Ending.DONE or talk.broken or _is_unwell(talk.failure):
                self._release()
        self._learn(talk, config, folder)
        seconds, level = time.monotonic() - start, self.sandbox.level
        ending = Ending.PRUNED if talk.pruned else ending
        return conclude(
            recorder, ending, failure, metric=self.metric, limits=self.limits, seconds=seconds, isolation=level
        )

    def _watch(self, worker: _Worker, recorder: Recorder, talk: _Conversation) -> Ending:
        watch = Watch(worker.child, recorder, self.limits, self._closing, talk=talk, grace=GRACE)
        ending = watch.run()
        if ending is not Ending.DONE:
            worker.child.end()
        watch.drain()
        recorder.finish()
        recorder.conclude(talk.final)
        return ending

    def _learn(self, talk: _Conversation, config: Config, folder: Path) -> None:
        self.suggested.update(talk.suggested)
        self.used, self.user_attrs = talk.used, talk.attributes
        if talk.used and talk.used != config:
            write_config(folder, talk.used)

    def close(self) -> None:
        """See `Runner.close`."""
        super().close()
        with self._lock:
            if self._payload >= 0:
                os.close(self._payload)
                self._payload = -1

    def _release(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


class _Worker:
    """A started worker process and the socket to it."""

    def __init__(self, sandbox: Sandbox, mark: str, payload: int, folder: Path) -> None:
        self.mark = mark
        self.connection, theirs = socket.socketpair()
        with theirs:
            told = [json.dumps(fact) for fact in (theirs.fileno(), payload, sys.path, sys.argv)]
            command = [sys.executable, "-P", "-c", _START, *told]
            env = {"PYTHONUNBUFFERED": "1", **os.environ, MARK: mark}
            keep = (theirs.fileno(), payload)
            try:
                self.child: Child = sandbox.start(command, cwd=Path.cwd(), env=env, folder=folder, keep=keep)
            except BaseException:
                self.connection.close()
                raise

    def close(self) -> None:
        """End it and all that it started."""
        self.connection.close()
        self.child.close()


class _Conversation:
    """What a worker says during one trial (see `proxy`), as JSON lines of limited length."""

    def __init__(self, connection: socket.socket, recorder: Recorder, metric: str) -> None:
        self.over = False
        self.pruned = False
        self.broken = False  # the worker cannot be talked to any more
        self.failure: Failure | None = None
        self.final: dict[str, float] = {}
        self.suggested: dict[str, Parameter] = {}
        self.used: dict[str, Value] = {}
        self.attributes: dict[str, Any] = {}
        self._connection = connection
        self._recorder = recorder
        self._metric = metric
        self._rest = b""

    def fileno(self) -> int:
        """What to wait on."""
        return self._connection.fileno()

    def begin(self, number: int, config: Config, folder: Path, seed: int) -> None:
        """Tell the worker of its next trial."""
        self._say({"number": number, "config": dict(config), "folder": str(folder), "seed": seed})

    def hear(self) -> bool:
        """Take what the worker said; False once it can say no more."""
        try:
            data = self._connection.recv(MAX_MESSAGE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                report = self._take(json.loads(line))
            except (ValueError, TypeError, KeyError):
                self._give_up()
                break
            if report is not None:
                self._recorder.take(report)  # what its listeners raise is not the worker's fault
        if len(self._rest) > MAX_MESSAGE:
            self._give_up()
        return bool(data) and not self.over

    def _give_up(self) -> None:
        """Something else than `proxy` wrote to the socket."""
        self.over = self.broken = True
        self.failure = Failure(Cause.CRASH, "the worker process said what cannot be read")

    def _take(self, message: Mapping[str, Any]) -> Report | None:
        """Take one message; a report is returned."""
        match message:
            case {"report": [step, value]}:
                return Report(int(step), {self._metric: float(value)})
            case {"ask": "should_prune"}:
                self._say(self._recorder.stop_asked)
            case {"suggest": name, "kind": kind, "parameter": parameter, "value": value}:
                self.suggested[name] = _KINDS[kind](**_tupled(parameter))
                self.used[name] = value
            case {"attribute": [key, value]}:
                self.attributes[key] = value
            case {"done": done}:
                self.over = True
                self._end(done)
        return None

    def _end(self, done: Mapping[str, Any]) -> None:
        match done:
            case {"value": value}:
                self.final = {self._metric: value}
            case {"metrics": metrics}:
                self.final = dict(metrics)
            case {"pruned": True}:
                self.pruned = True
            case {"error": text}:
                self.failure = cause_of_error(text, "the objective raised an exception")

    def _say(self, message: Any) -> None:
        # A worker that is gone is noticed by who watches it.
        with contextlib.suppress(ConnectionError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")


def _exit_failure(ending: Ending, child: Child, recorder: Recorder, kills_before: int | None) -> Failure | None:
    if ending is not Ending.EXITED:
        return None
    # An objective that leaves its process in the middle has failed, whatever it says by its exit code.
    return cause_of_exit(child.poll() or 0, recorder.last_lines(), kernel_killed=more_kills(kills_before))


def _is_unwell(failure: Failure | None) -> bool:
    """Whether an exception may have left the process without memory, or with a broken graphics context."""
    return failure is not None and (failure.cause is Cause.OUT_OF_MEMORY or "CUDA" in failure.detail)


def _tupled(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in parameter.items()}
