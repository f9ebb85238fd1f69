"""Where a trial's processes live, so that none of them outlives the trial or Luthier.

Levels, the better first:

- `bubblewrap`: a process namespace of its own, which the kernel ends as a whole with the watchdog or the trial.
- `watchdog`: a small process that notices Luthier's death and ends all descendants; see `watchdog.py`. Where both
  are killed at once, only the command itself dies with them; the next run ends what it started (`end_recorded`).

By default both leave files and network as they are, for the script is the user's own. `Bubblewrap(strict=True)` is
for code that a model wrote or edited.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from .errors import InputError
from .processes import END_SECONDS, MARK, end_marked, end_tree

WATCHDOG = Path(__file__).with_name("watchdog.py")
PROBE_SECONDS = 10.0  # to see whether bubblewrap works here
TMP_BYTES = 2 * 2**30  # of a strict sandbox's /tmp
FILE_BYTES = 20 * 2**30  # of one file in a strict sandbox
PROCESSES = 4096  # of the user, in a strict sandbox; the kernel does not hold root to it
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTHONUNBUFFERED")
DEVICES = ("nvidia*", "dri", "kfd")  # graphics cards, below /dev


class Child:
    """A started command. `pid` is the watchdog's: all of the command's processes are its descendants."""

    def __init__(self, popen: subprocess.Popen[bytes], lifeline: int, mark: str) -> None:
        assert popen.stdout is not None
        assert popen.stderr is not None
        self.pid = popen.pid
        self.stdout: IO[bytes] = popen.stdout
        self.stderr: IO[bytes] = popen.stderr
        self._popen = popen
        self._lifeline = lifeline
        self._mark = mark

    def poll(self) -> int | None:
        """The exit code, 128 + n for signal n, once the command and all it started have ended; None before."""
        code = self._popen.poll()
        return code if code is None or code >= 0 else 128 - code

    def wait(self, seconds: float) -> int | None:
        """Like `poll`, after waiting for at most so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
        return self.poll()

    def end(self) -> None:
        """End whatever still runs of it, and return when nothing is left. What it wrote can still be read."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self.wait(END_SECONDS) is None:
            end_tree(self.pid)
            self._popen.wait()
        # A watchdog that was killed itself could not do its work.
        if self._popen.returncode < 0:
            end_marked(self._mark)

    def close(self) -> None:
        """End it, and close its streams."""
        self.end()
        self.stdout.close()
        self.stderr.close()


class Sandbox(ABC):
    """Starts commands so that they, and all that they start, end with the trial and with Luthier."""

    level: str

    @abstractmethod
    def wrap(self, command: Sequence[str], cwd: Path, folder: Path) -> list[str]:
        """The command that runs `command` inside this sandbox."""
        ...

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """The part of the environment that the command may see."""
        return dict(env)

    def start(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], folder: Path, keep: Sequence[int] = ()
    ) -> Child:
        """Start a command without a shell, its output on pipes and its input empty.

        `folder` is the trial's own, always writable; `keep` are file descriptors that the command inherits; `env`
        holds the run's mark under `processes.MARK`.

        Raises:
            OSError: when the watchdog itself cannot be started.
        """
        theirs, ours = os.pipe()
        argv = [sys.executable, "-I", "-S", str(WATCHDOG), str(theirs), *self.wrap(command, cwd, folder)]
        try:
            popen = subprocess.Popen(
                argv,
                cwd=cwd,
                env=self.environment(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(theirs, *keep),
                start_new_session=True,  # Ctrl-C at a terminal is for Luthier, which then ends the trial
                bufsize=0,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return Child(popen, ours, env[MARK])


class Watchdog(Sandbox):
    """The watchdog alone; needs Linux, no rights and no programs."""

    level = "watchdog"

    def wrap(self, command: Sequence[str], cwd: Path, folder: Path) -> list[str]:
        """The command as it is."""
        return list(command)


class Bubblewrap(Sandbox):
    """The watchdog, and below it a process namespace that dies with it.

    With `strict`: the file system is read-only but for the trial's folder and a capped /tmp, there is no network,
    nothing of /run and only a clean environment; files and processes are limited. It does not hide what the user
    may read, and does not limit memory (`Limits.memory_gib` does).
    """

    level = "bubblewrap"

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict

    def wrap(self, command: Sequence[str], cwd: Path, folder: Path) -> list[str]:
        """The command below `bwrap`."""
        argv = ["bwrap", "--unshare-pid", "--die-with-parent"]
        if self.strict:
            return [*argv, *_strict_view(cwd, folder), "--", *_limits(), *command]
        return [*argv, "--dev-bind", "/", "/", "--proc", "/proc", "--", *command]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """All of it, or what a strict sandbox keeps."""
        return _clean(env) if self.strict else dict(env)


def best_sandbox() -> Sandbox:
    """The best sandbox that really works here, found by trying it once a process."""
    return Bubblewrap() if works(strict=False) else Watchdog()


def strict_sandbox() -> Sandbox:
    """The sandbox for code that a model wrote or edited.

    Raises:
        InputError: where bubblewrap is absent or may not work.
    """
    if not works(strict=True):
        raise InputError(
            "code that a model edited runs only in a sandbox, but bubblewrap does not work here; "
            "install it (apt install bubblewrap) and allow user namespaces, or do without edits"
        )
    return Bubblewrap(strict=True)


@functools.cache
def works(*, strict: bool) -> bool:
    """Whether bubblewrap starts a command here: containers often forbid it although it is installed."""
    if shutil.which("bwrap") is None or (strict and shutil.which("prlimit") is None):
        return False
    here = Path.cwd()
    try:
        child = Bubblewrap(strict=strict).start(["true"], cwd=here, env={**os.environ, MARK: "probe"}, folder=here)
    except OSError:
        return False
    try:
        return child.wait(PROBE_SECONDS) == 0
    finally:
        child.close()


def _strict_view(cwd: Path, folder: Path) -> list[str]:
    view = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run"]
    view += ["--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--unshare-net", "--unshare-ipc", "--chdir", str(cwd)]
    for device in (path for pattern in DEVICES for path in sorted(Path("/dev").glob(pattern))):
        view += ["--dev-bind-try", str(device), str(device)]
    # What lies below /tmp would vanish behind the new one.
    for needed in (cwd, Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[1]):
        view += ["--ro-bind-try", str(needed), str(needed)]
    return [*view, "--bind", str(folder), str(folder)]


def _limits() -> list[str]:
    return ["prlimit", f"--fsize={FILE_BYTES}", f"--nproc={PROCESSES}", "--core=0", "--"]


def _clean(env: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in env.items() if name in KEPT_VARIABLES or name.startswith("LUTHIER_")}
    return {**kept, "HOME": "/tmp"}
