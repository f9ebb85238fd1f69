"""`luthier.tune`: the main job, from Python and from the command line alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .choose_model import default_model
from .gates import gates_of
from .graphs.events import Event, Listener, StopReason, Warned, ignore
from .remember import Remember, memory_of
from .trials.errors import SpecError
from .trials.records import Direction
from .trials.runner import Limits, Runner
from .trials.space import Choice, Float, Int, Parameter, Space
from .trials.spec import (
    Budget,
    CallSpec,
    NamedSpec,
    StudySpec,
    space_from_dict,
    space_to_dict,
    spec_from_dict,
    validated,
)
from .trials.study import Study

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from .trials.advisor import Advisor

HOME = Path(".luthier")  # study folders live here, below the current folder
NOTHING: Mapping[str, float] = {}
EVOLVE_SECONDS = 300.0  # after a study; the embedded model takes about a minute a note


def tune(
    run: Callable[..., float] | str | Sequence[str],
    space: Space | Mapping[str, Parameter] | Mapping[str, Mapping[str, Any]] | None = None,
    *,
    name: str = "study",
    metric: str = "value",
    direction: str = "minimize",
    constraints: Sequence[str] = (),
    trials: int = 10,
    hours: float | None = None,
    model: str | BaseChatModel | None = None,
    workflow: str | None = None,
    seed: int = 0,
    noise: int | None = None,
    stop_early: bool = True,
    timeout: float | None = None,
    memory: float | None = None,
    patterns: Mapping[str, str] | None = None,
    folder: str | Path | None = None,
    advisors: Sequence[Advisor] | None = None,
    remember: Remember = True,
    data: Mapping[str, float] | None = None,
    evolve: bool = False,
    gate: bool = True,
    audits: float = 0.05,
    on_event: Listener = ignore,
) -> Study:
    """Tune an objective or a command and return its study. The same call again goes on where it stopped.

    Args:
        run: an Optuna objective `f(trial) -> float`, or a command with placeholders such as
            `"python train.py --lr {lr}"`.
        space: the hyperparameters; optional for an objective, whose space grows from what it suggests (trial 0 is
            then the midpoint).
        metric: the metric to improve; an objective's return value is named `value` unless told otherwise.
        trials: how many trials, trial 0 (the default configuration) included.
        hours: stop after this many hours of training, over all runs of the study.
        model: `embedded`, `ollama:NAME`, `openai:NAME@URL`, `replay:FOLDER`, `none`, or a LangChain chat model;
            by default the embedded one where it is installed and pulled, else none.
        noise: extra runs of trial 0, to know the noise; by default two, and fewer where the hours are short.
        timeout: seconds a trial may take. memory: GiB a trial may hold.
        patterns: for a command that only prints: metric name -> regular expression with one group.
        folder: where the study lives; `.luthier/NAME` by default.
        remember: start from what past studies taught and keep this one, in the user's memory or in the file named;
            False does neither.
        data: facts of the data in numbers, such as `{"rows": 1797, "columns": 64}`; the memory takes tasks whose data
            are near for more alike.
        workflow: which one carries every trial; by default gate 1 chooses one for each by what it earned.
        gate: leave out the model where it does not earn its turns, and trials that are not worth running; False runs
            everything, by `planner-critic` with a model.
        audits: the share of skipped trials that run all the same, to know what skipping costs.
        evolve: have the model work over what the memory learnt, for five minutes at most, when the budget is spent.

    Raises:
        InputError: the space, the command or the folder cannot be used; the message says what to do.
        ModelSpecError: the model string is not understood.
    """
    budget = validated(Budget, {"trials": trials, "hours": hours})
    told = {"seed": seed, "timeout": timeout, "memory": memory, "noise": noise, "audits": audits}
    said = validated(CallSpec, {"data": {} if data is None else data, **told})
    named = validated(NamedSpec, {"name": name, "metric": {"name": metric, "direction": direction}})
    place = Path(folder) if folder is not None else HOME / named.name
    limits = Limits(seconds=said.timeout, memory_gib=said.memory)
    known = _as_space(space, constraints)
    runner, spec = _runner_for(run, known, name, metric, named.metric.direction, limits, dict(patterns or {}))
    study = Study.open_or_create(
        place, name=name, space=known, metric=metric, direction=named.metric.direction, seed=said.seed, spec=spec
    )
    try:
        with study.lock():
            run_study(
                study,
                runner,
                budget=budget,
                model=model,
                workflow=workflow,
                noise=said.noise,
                stop_early=stop_early,
                advisors=advisors,
                listen=on_event,
                remember=remember,
                data=said.data,
                evolve=evolve,
                gate=gate,
                audits=said.audits,
            )
    finally:
        runner.close()
    return study


def run_study(
    study: Study,
    runner: Runner,
    *,
    budget: Budget,
    model: str | BaseChatModel | None = None,
    workflow: str | None = None,
    noise: int | None = None,
    stop_early: bool = True,
    advisors: Sequence[Advisor] | None = None,
    listen: Callable[[Event], None] = ignore,
    remember: Remember = True,
    data: Mapping[str, float] = NOTHING,
    evolve: bool = False,
    gate: bool = True,
    audits: float = 0.05,
    place: Path | None = None,
) -> StopReason:
    """Open the model and the memory, then run the loop until the budget is spent.

    Args:
        data: what is known of the study's data: rows, columns, ...
        place: the folder in which trials run; the present one if not given.
    """
    from .graphs.loop import tune_study
    from .models.open import open_model

    if model is None:
        model, lacking = default_model()
        if lacking is not None:
            listen(Warned(lacking))
    chat = open_model(model)
    name = model if isinstance(model, str) else type(model).__name__
    with memory_of(study, remember, place or Path.cwd(), listen, data) as memory:
        return tune_study(
            study,
            runner,
            budget=budget,
            model=chat,
            model_name=name,
            workflow=workflow,
            advisors=advisors,
            listen=listen,
            noise=noise,
            stop_early=stop_early,
            memory=memory,
            evolve=EVOLVE_SECONDS if evolve else 0.0,
            gates=gates_of(study, audits, listen) if gate else None,
        )


def runner_of(spec: StudySpec, cwd: Path) -> Runner:
    """The runner that a study file asks for; commands start in `cwd`, the study file's folder."""
    from .trials.command import CommandRunner

    return CommandRunner(
        spec.run,
        cwd=cwd,
        metric=spec.metric.name,
        direction=spec.metric.direction,
        limits=Limits(seconds=spec.timeout, memory_gib=spec.memory),
        python=spec.python,
        patterns=spec.patterns,
        config_file=spec.config_file,
        env=spec.env,
        known=list(spec.space),
    )


def study_of(spec: StudySpec, folder: Path, seed: int | None = None) -> Study:
    """The study of a study file, opened or created in `folder`."""
    return Study.open_or_create(
        folder,
        name=spec.name,
        space=spec.to_space(),
        metric=spec.metric.name,
        direction=spec.metric.direction,
        seed=spec.seed if seed is None else seed,
        spec=json.loads(spec.model_dump_json()),
    )


def _as_space(space: Any, constraints: Sequence[str]) -> Space | None:
    if space is None or isinstance(space, Space):
        return space
    if not isinstance(space, Mapping):
        raise SpecError(
            f"a space must be a mapping of names to ranges, but got {space!r}; write `{{'lr': Float(0, 1)}}`"
        )
    for name, given in space.items():
        if not isinstance(given, Mapping | Float | Int | Choice):
            raise SpecError(f"{name!r} must be a range, such as Float(0, 1) or {{'float': [0, 1]}}, but got {given!r}")
    plain = {k: v for k, v in space.items() if isinstance(v, Mapping)}
    return Space({**space, **space_from_dict(plain)}, tuple(constraints))


def _runner_for(
    run: Callable[..., float] | str | Sequence[str],
    space: Space | None,
    name: str,
    metric: str,
    direction: Direction,
    limits: Limits,
    patterns: dict[str, str],
) -> tuple[Runner, dict[str, Any]]:
    if callable(run):
        from .trials.worker import CallableRunner

        return CallableRunner(run, metric=metric, limits=limits, space=space), {
            "callable": getattr(run, "__name__", "?")
        }
    if space is None:
        raise SpecError("a command needs a space, but got none; pass `space={...}` with a range for each placeholder")
    import shlex

    spec = spec_from_dict(
        {
            "name": name,
            "run": run if isinstance(run, str) else shlex.join(run),
            "metric": {"name": metric, "direction": direction},
            "space": space_to_dict(space),
            "constraints": list(space.constraints),
            "timeout": limits.seconds,
            "memory": limits.memory_gib,
            "patterns": patterns,
        }
    )
    return runner_of(spec, Path.cwd()), json.loads(spec.model_dump_json())
