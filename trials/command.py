"""The runner of commands: any script, in any language, unmodified."""

from __future__ import annotations

import copy
import os
import re
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from . import config_file as files
from . import template
from .causes import cause_of_exit, conclude
from .errors import SpecError
from .process_runner import ProcessRunner
from .processes import MARK, more_kills, oom_kills, recorded
from .recorder import Recorder, guard_disk
from .records import Cause, Config, Direction, Failure, Outcome, State, Value
from .runner import Limits
from .sandbox import Child, Sandbox
from .stream import Parser
from .watch import Ending, Watch

TRIAL = "LUTHIER_TRIAL"  # environment variable: the trial's folder
_NAME = re.compile(r"-{0,2}[A-Za-z0-9][\w.-]*")  # of an option or a key
SEED = "LUTHIER_SEED"  # environment variable: the run's seed


class CommandRunner(ProcessRunner):
    """Starts a command for each trial, without a shell, in `cwd`, the study file's folder.

    Args:
        spec_run: the command line, with `{lr}` for a hyperparameter's value, `{config}` for the configuration file
            `{trial}` for the trial's folder and `{seed}` for the run's seed. `{x:--on|--off}` is one word or the
            other for a true or false `x`;
            without `|--off` it is left out when false. An inactive hyperparameter is left out with its option.
        metric: the target's name; its last reported value is the trial's.
        direction: which way it improves, for whoever holds the runner alone.
        python: what `python` as the first word means; the interpreter that runs Luthier if None.
        patterns: a metric's name to a regular expression with one group, for scripts that only print.
        config_file: a name ending in .json, .yaml or .toml, written into the trial's folder.
        env: environment variables, whose values may hold placeholders too.
        known: the space's names if given; another placeholder is then refused.

    Raises:
        SpecError: on a command line, a pattern, a file name or a placeholder that cannot be used.
    """

    def __init__(
        self,
        spec_run: str,
        *,
        cwd: Path,
        metric: str,
        direction: Direction = Direction.MINIMIZE,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        python: str | None = None,
        patterns: Mapping[str, str] | None = None,
        config_file: str | None = None,
        env: Mapping[str, str] | None = None,
        sandbox: Sandbox | None = None,
        known: Iterable[str] | None = None,
    ) -> None:
        super().__init__(metric, limits, sandbox, patterns)
        Parser(patterns)  # so that a wrong pattern shows before the first trial
        self.direction = direction
        self.cwd = cwd.resolve()
        self._words = template.split(spec_run)
        self._python = python
        self._config_file = config_file
        self._env = dict(env or {})
        self._keys: dict[str, str] = {}  # names in the configuration file that differ from the space's
        self._names = None if known is None else tuple(known)
        if config_file is not None:
            files.check_name(config_file)
        self._check_placeholders()

    def command(self, config: Config, folder: Path) -> list[str]:
        """The words that a trial starts with."""
        words = template.fill(self._words, self._values(config, folder))
        if words and words[0] == "python":
            words[0] = self._interpreter()
        return words

    @property
    def script(self) -> Path | None:
        """The first Python file that the command names, where it lies; None where it names none."""
        word = next((word for word in self._words if word.endswith(".py") and "{" not in word), None)
        return None if word is None else self.cwd / word

    @property
    def declared(self) -> list[str]:
        """The options and configuration keys that stand for hyperparameters: all that a repair may rename."""
        keys = () if self._config_file is None else (self._names or ())
        return [*template.options(self._words), *keys]

    @property
    def words(self) -> tuple[str, ...]:
        """The command line's words, placeholders as they are written: names that a repair may not take again."""
        return tuple(self._words)

    def with_edit(self, extra: Mapping[str, str]) -> CommandRunner:
        """A runner like this one, with options or configuration keys under other names: a repair of the launch.

        `extra` maps an option that carries a hyperparameter (`--lrate` in `--lrate {lr}`) to the option that the
        script knows, or, with a configuration file, a hyperparameter's name to the script's key. Nothing else of
        the command can be changed so.

        Raises:
            SpecError: when a name is not such an option or key, or its new name is no option or is taken.
        """
        edited = copy.copy(self)
        edited._closing, edited._lock = threading.Event(), threading.RLock()
        for old, new in extra.items():
            if old not in self.declared:
                raise SpecError(
                    f"a repair may rename only {', '.join(self.declared) or 'nothing here'}, but got {old!r}"
                )
            if not _NAME.fullmatch(new) or old.startswith("-") != new.startswith("-") or new in self._words:
                raise SpecError(f"a repair's new name must be a free name like {old!r}, but got {new!r}")
        edited._words = template.rename(self._words, extra)
        edited._keys = {**self._keys, **extra}
        return edited

    def _run(self, config: Config, folder: Path, recorder: Recorder) -> Outcome:
        command, env, mark = self.command(config, folder), self._environment(config, folder), uuid.uuid4().hex
        if self._config_file is not None:
            with guard_disk(folder):
                files.write(folder / self._config_file, {self._keys.get(n, n): v for n, v in config.items()})
        missing = self._missing(command, env)
        if missing is not None:
            return Outcome(State.FAILED, failure=Failure(Cause.NOT_FOUND, missing), isolation=self.sandbox.level)
        start, kills = time.monotonic(), oom_kills()
        with guard_disk(folder), recorded(folder, mark) as record:
            child = self.sandbox.start(command, cwd=self.cwd, env={**env, MARK: mark}, folder=folder)
            try:
                record(child.pid)
                watch = Watch(child, recorder, self.limits, self._closing)
                ending = watch.run()
                child.end()
                watch.drain()
                recorder.finish()
            finally:
                child.close()
        failure = _failure(child, recorder, kills) if ending is Ending.EXITED else None
        seconds = time.monotonic() - start
        level = self.sandbox.level
        return conclude(
            recorder, ending, failure, metric=self.metric, limits=self.limits, seconds=seconds, isolation=level
        )

    def _release(self) -> None:
        """Nothing of a command outlives its trial."""

    def _values(self, config: Config, folder: Path) -> dict[str, Value]:
        built_in: dict[str, Value] = {"trial": str(folder), "seed": self._seed}
        if self._config_file is not None:
            built_in["config"] = str(folder / self._config_file)
        return {**built_in, **config}

    def _environment(self, config: Config, folder: Path) -> dict[str, str]:
        values = self._values(config, folder)
        own = {name: template.fill_word(text, values) for name, text in self._env.items()}
        # Unbuffered, so that what a Python script prints is seen while it runs.
        base = {"PYTHONUNBUFFERED": "1", **os.environ, TRIAL: str(folder), SEED: str(self._seed)}
        return {**base, **{name: text for name, text in own.items() if text is not None}}

    def _interpreter(self) -> str:
        if self._python is None:
            return sys.executable
        # A path such as `.venv/bin/python` is meant from the study file's folder.
        return str(self.cwd / self._python) if os.sep in self._python else self._python

    def _missing(self, command: list[str], env: Mapping[str, str]) -> str | None:
        """Why the command cannot be found; None when it can."""
        if not self.cwd.is_dir():
            return f"the study file's folder {self.cwd} is gone; put it back"
        if not command:
            return "nothing is left of the command, for all its hyperparameters are inactive; begin it with a program"
        path = str(self.cwd / command[0]) if os.sep in command[0] else command[0]
        if shutil.which(path, path=env.get("PATH")) is not None:
            return None
        rule = "is not executable; chmod +x it" if Path(path).is_file() else "was not found; check `run` and $PATH"
        return f"the command {command[0]!r} {rule}"

    def _check_placeholders(self) -> None:
        known = self._names
        used = [*template.names(self._words), *template.names(list(self._env.values()))]
        if "config" in used and self._config_file is None and "config" not in (known or ()):
            raise SpecError(
                "{config} is the configuration file's path, but there is none; add `config_file: config.yaml`"
            )
        for name in used:
            if known is not None and name not in known and name not in template.BUILT_IN:
                near = get_close_matches(name, known, n=1)
                hint = f"did you mean {{{near[0]}}}?" if near else "add it to the space, or write {{ }} for real braces"
                raise SpecError(f"a placeholder must name a hyperparameter, but {{{name}}} is none; {hint}")


def _failure(child: Child, recorder: Recorder, kills_before: int | None) -> Failure | None:
    code = child.poll()
    if not code:
        return None
    return cause_of_exit(code, recorder.last_lines(), kernel_killed=more_kills(kills_before))
