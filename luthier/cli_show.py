"""`luthier show`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from .api import HOME
from .consoles import open_console
from .models.call_log import CallLog
from .page import summary_lines
from .picture import write_picture
from .predictor.gain import NO_MODEL
from .predictor.gain import spent as amount
from .predictor.workflow import WORKFLOWS
from .savings import long_lines, savings_beside
from .summary import summary_of
from .trial_table import TrialTable
from .trials.diagnosis import Diagnosis, diagnose
from .trials.errors import StudyError
from .trials.records import Trial
from .trials.study import Study
from .words import config, duration, number, printable, sparkline, strict_json

LOG_LINES = 15  # of a trial's log


def show_study(
    name: str,
    *,
    trial: int | None,
    graph: bool,
    trust: bool = False,
    beside: bool = False,
    savings: bool = False,
    html: Path | None,
    as_json: bool,
) -> None:
    """Print a study, one of its trials, the graph of its workflow, whom it trusts, or what its gates saved.

    Raises:
        StudyError: no such study or trial, or options that do not go together.
    """
    if beside and not trust:
        raise StudyError("--all pools the account of turns, so it needs --trust; give both")
    views = {"--trial": trial is not None, "--graph": graph, "--trust": trust, "--savings": savings}
    if len(given := [option for option, asked in views.items() if asked]) > 1:
        raise StudyError(f"show prints one thing at a time, but got {' and '.join(given)}; give one of them")
    study = Study.open(_folder(name))
    try:
        if trust:
            _print_trust(study, beside, as_json)
        elif graph:
            _print_graph(study, as_json)
        elif trial is not None:
            _print_trial(study, _find(study, trial), as_json)
        elif savings:
            _print_savings(study, as_json)
        else:
            _print_study(study, as_json)
        if html is not None:
            print(f"picture: {write_picture(study, html)}", file=sys.stderr if as_json else sys.stdout)
    finally:
        study.close()


def _folder(name: str) -> Path:
    place = Path(name)
    if (place / "study.db").exists():
        return place
    if (HOME / name / "study.db").exists():
        return HOME / name
    known = sorted(p.parent.name for p in HOME.glob("*/study.db"))
    have = f"here are: {', '.join(known)}" if known else f"there is none below {HOME.resolve()}"
    raise StudyError(f"no study named {name!r}; {have}; give a name or a study folder")


def _find(study: Study, number: int) -> Trial:
    for trial in study.trials:
        if trial.number == number:
            return trial
    raise StudyError(f"study {study.name!r} has no trial {number}; it has {len(study.trials)} (numbers start at 0)")


def _print_study(study: Study, as_json: bool) -> None:
    summary = summary_of(study, stopped="")
    if as_json:
        trials = [_as_dict(study, t) for t in study.trials]
        print(strict_json({"summary": summary.as_dict(), "trials": trials}))
        return
    console = open_console()
    console.print(TrialTable(study))
    for line in summary_lines(summary):
        console.print(line, highlight=False)


def _as_dict(study: Study, trial: Trial) -> dict[str, Any]:
    found = _diagnosis(study, trial)
    return {**asdict(trial), "diagnosis": {"verdict": found.verdict, "since": found.since, "evidence": found.evidence}}


def _energy(trial: Trial) -> str:
    used = trial.energy
    return "" if used is None else f", {used.joules:.4g} J of the whole machine ({used.measured_by})"


def _print_trial(study: Study, trial: Trial, as_json: bool) -> None:
    calls = _calls(study, trial.number)
    if as_json:
        print(strict_json({**_as_dict(study, trial), "calls": calls}))
        return
    found = _diagnosis(study, trial)
    rows = {
        "state": trial.state.value + (f" ({trial.failure.cause}: {trial.failure.detail})" if trial.failure else ""),
        study.metric: number(trial.value),
        "configuration": config(trial.config),
        "from": trial.source,
        "reason": trial.reason,
        "curve": sparkline([v for _, v in trial.trajectory.curve(study.metric)], width=60),
        "diagnosis": f"{found.verdict}: {found.evidence}",
        "time": f"{duration(trial.seconds)}, attempt {trial.attempt + 1}, isolation {trial.isolation}{_energy(trial)}",
        "metrics": config(trial.metrics),
        "folder": str(study.trial_folder(trial.number)),
    }
    console = open_console()
    for name, text in rows.items():
        console.print(f"[bold]{escape(name):>14}[/]  {escape(printable(text))}", highlight=False)
    for line in _drawn(trial):
        console.print(f"[bold]{'turn':>14}[/]  {escape(line)}", highlight=False)
    for said in trial.extra.get("agents", []):
        console.print(f"[bold]{escape(said['role']):>14}[/]  {escape(printable(said['text']))}", highlight=False)
    for call in calls:
        seconds = duration(amount(call.get("seconds")) or 0.0)
        spent = f"{call.get('tokens_in', 0)} + {call.get('tokens_out', 0)} tokens, {seconds}"
        console.print(f"[bold]{'call':>14}[/]  {escape(str(call.get('role')))}: {spent}", highlight=False)
    log = study.trial_folder(trial.number) / "log.txt"
    if log.exists():
        console.print(f"[bold]last lines of {escape(str(log))}[/]", highlight=False)
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]:
            console.print(escape(printable(line)), highlight=False)


def _drawn(trial: Trial) -> Iterator[str]:
    """Of each workflow that could have got the turn: its probability, and what was believed of it."""
    for arm in (trial.extra.get("turn") or {}).get("arms", []):
        model = "" if arm["model"] == NO_MODEL else f" by {arm['model']}"
        gain = f"gain {arm['ratio']:.3g} ({arm['low']:.3g} to {arm['high']:.3g}) times an average turn's"
        yield f"{arm['probability']:.2f} {arm['workflow']}{model}: {gain}, cost {arm['cost']:.3g} times the advisors'"


def _diagnosis(study: Study, trial: Trial) -> Diagnosis:
    """As the agents read it: against the study's best."""
    best = study.best
    return diagnose(trial, study.direction, study.metric, None if best is None else best.value)


def _calls(study: Study, number: int) -> list[dict[str, Any]]:
    return [asdict(call) for call in CallLog(study.folder / "calls.jsonl") if call.trial == number]


def _print_trust(study: Study, beside: bool, as_json: bool) -> None:
    from .trust import trust_of
    from .trust_page import print_trust

    trust = trust_of(study, beside=beside)
    if as_json:
        print(strict_json(trust.as_dict()))
    else:
        print_trust(trust, open_console())


def _print_savings(study: Study, as_json: bool) -> None:
    found = savings_beside(study)
    print(strict_json(asdict(found)) if as_json else "\n".join(long_lines(found)))


def _print_graph(study: Study, as_json: bool) -> None:
    name = next((str(t.extra["workflow"]) for t in reversed(study.trials) if "workflow" in t.extra), "advisors")
    if name not in WORKFLOWS:
        known = ", ".join(WORKFLOWS)
        raise StudyError(f"--graph prints built-in workflows ({known}), but the latest trial had one named {name!r}")
    workflow = WORKFLOWS[name]
    if as_json:
        print(strict_json({"workflow": workflow.model_dump(mode="json"), "mermaid": workflow.mermaid()}))
    else:
        print(workflow.text(), workflow.mermaid(), sep="\n\n")
