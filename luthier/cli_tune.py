"""`luthier tune`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from .api import HOME, run_study, runner_of, study_of
from .confirm import Confirmation, confirm
from .consoles import open_console
from .ctrl_c import stoppable
from .graphs.events import Event, Listener
from .live import LiveView
from .page import print_summary
from .picture import write_picture
from .plain import PlainView
from .remember import Remember, remember_gain
from .summary import summary_of
from .trials.runner import Runner
from .trials.space_yaml import placed
from .trials.spec import Budget, StudySpec, load_spec
from .trials.study import DATABASE, Study
from .words import strict_json

NOTHING_TO_CONFIRM = "--confirm ran nothing: no trial came near the default, or none has a value"


def run_file(
    file: Path,
    *,
    trials: int | None,
    model: str | None,
    workflow: str | None,
    seed: int | None,
    folder: Path | None,
    seeds: int,
    remember: Remember,
    evolve: bool,
    gate: bool,
    new: bool,
    as_json: bool,
) -> None:
    """Tune a study file to the end of its budget, confirm on fresh seeds, print the summary, write the picture.

    With `as_json` standard output holds one JSON object and progress goes to standard error.
    """
    spec = load_spec(file, _check_workflow)
    budget = spec.budget if trials is None else spec.budget.model_copy(update={"trials": trials})
    place = folder or HOME / spec.name
    study = study_of(spec, unfinished(place, budget) if new else place, seed)
    runner = runner_of(spec, file.resolve().parent)
    named = model or spec.model
    kept = "every finished trial is kept, and the same command goes on from here"
    with closing(study), closing(runner), stoppable(kept) as check, study.lock():
        with _view(study, as_json) as listen:
            reason = run_study(
                study,
                runner,
                budget=budget,
                model=named,
                workflow=workflow or spec.workflow,
                noise=spec.noise,
                stop_early=spec.stop_early,
                listen=_both(listen, check),
                remember=remember,
                data=spec.data,
                evolve=evolve,
                gate=gate and spec.gate,
                audits=spec.audits,
                place=file.resolve().parent,
            )
        confirmed = _confirm(study, runner, seeds)
        if seeds and confirmed is None:
            print(f"note: {NOTHING_TO_CONFIRM}", file=sys.stderr)
        if confirmed and (wrong := remember_gain(study, confirmed, remember, file.resolve().parent, spec.data)):
            print(f"note: {wrong}", file=sys.stderr)
        picture = write_picture(study, study.folder / "report.html")
        summary = summary_of(study, stopped=reason.value, confirmation=confirmed)
        if as_json:
            print(strict_json(summary.as_dict()))
        else:
            print_summary(summary, study, picture, open_console())


def _check_workflow(spec: StudySpec) -> None:
    from .graphs.loop import check_workflow

    with placed("workflow"):
        check_workflow(spec.workflow)


def unfinished(folder: Path, budget: Budget) -> Path:
    """The first of NAME, NAME-2, NAME-3, ... that holds no study, or one that would go on."""
    for number in count(1):
        place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        if not (place / DATABASE).exists() or _goes_on(place, budget):
            return place
    raise AssertionError("numbers do not end")


def _goes_on(place: Path, budget: Budget) -> bool:
    """Whether neither a budget nor the space of a study is used up."""
    from .graphs.budgets import spent, stop_reason
    from .graphs.candidates import exhausted

    with closing(Study.open(place)) as study:
        trials = study.finished
        return stop_reason(spent(study, trials), budget) is None and not exhausted(study, trials)


@contextmanager
def _view(study: Study, as_json: bool) -> Iterator[Listener]:
    console = open_console(stderr=as_json)
    if console.is_terminal and not as_json:
        live = LiveView(study.name, study.metric, study.direction, console)
        live.seen(study.finished)
        with live:
            yield live
    else:
        stream = sys.stderr if as_json else sys.stdout
        plain = PlainView(study.metric, study.direction, lambda line: print(line, file=stream, flush=True))
        plain.seen(study.finished)
        yield plain


def _both(listen: Listener, check: Callable[[], None]) -> Listener:
    def heard(event: Event) -> None:
        listen(event)
        check()

    return heard


def _confirm(study: Study, runner: Runner, seeds: int) -> Confirmation | None:
    if not seeds:
        return None
    console = open_console(stderr=True)
    with console.status("") as status:

        def said(name: str, i: int, n: int) -> None:
            text = f"running {name} again on a fresh seed ({i} of {n})"
            status.update(text) if console.is_terminal else print(text, file=sys.stderr, flush=True)

        return confirm(study, runner, seeds=seeds, said=said)
