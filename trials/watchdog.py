"""Stands between Luthier and a trial, and ends the trial when Luthier is gone, even by kill -9.

Run as a script of its own, `python -I -S watchdog.py LIFELINE COMMAND...`, so it imports nothing of Luthier and starts
in 15 ms. LIFELINE is the reading end of a pipe whose other end only Luthier holds: it ends with Luthier, whatever
ended that. As a *child subreaper* this process inherits every orphan below it, so a descendant that called
`setsid`, or whose parents are gone, is still found. Ends with the command's exit code, 128 + n for signal n.

Not covered: a trial that kills this process on purpose; its command then dies with it (parent death signal), and
Luthier looks for what is left by its environment.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36
END_SECONDS = 10.0  # a process that outlives SIGKILL for longer hangs in the kernel


def main(arguments: list[str]) -> int:
    """Run the command until it ends or the lifeline does; then end everything below. Returns the exit code."""
    lifeline, command = int(arguments[0]), arguments[1:]
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    ticks, wake = os.pipe()
    for end in (ticks, wake):
        os.set_blocking(end, False)
    # A handler makes Python write to the pipe when a child ends, which wakes `select` below.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    os.set_inheritable(lifeline, False)
    child = start(command)
    code = None
    while code is None:
        ready, _, _ = select.select([lifeline, ticks], [], [])
        if lifeline in ready:
            break
        os.read(ticks, 4096)
        code = reap(child)
    end_descendants()
    return 128 + signal.SIGKILL if code is None else code


def start(command: list[str]) -> int:
    """Start the command in a session of its own, to die with this process; its id."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def reap(child: int) -> int | None:
    """Collect every child that ended; the exit code of `child` if it is among them."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
                code = 128 - code if code < 0 else code
    return code


def end_descendants() -> None:
    """Kill and collect everything below this process."""
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        for pid in descendants():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def descendants() -> list[int]:
    """The ids of all processes below this one, from /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib takes longer to load than all else here
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = list(children.get(os.getpid(), ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def prctl(option: int, value: int) -> None:
    """Linux's `prctl`; nothing where there is none."""
    import ctypes

    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
