"""Drafts a study file from a training script, by reading it: the script never runs."""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .draft_argparse import read_argparse
from .draft_click import read_click
from .draft_constants import read_constants, read_environment
from .draft_metrics import Metric, find_metrics
from .draft_options import Option, Reading, called, parse_script
from .draft_ranges import is_cost, is_known, is_setting, suggest
from .draft_typer import read_typer
from .errors import SpaceError, SpecError
from .records import Direction, Value
from .space import Choice, Parameter, Space
from .space_yaml import space_to_dict
from .spec import StudySpec, spec_from_dict
from .yaml_file import parse_yaml, to_yaml

TRIALS = 10  # of a draft's budget


@dataclass(frozen=True)
class Draft:
    """A drafted study file, and what its author should look at."""

    yaml: str
    doubts: list[str]
    spec: StudySpec


def draft(script: Path, folder: Path | None = None) -> Draft:
    """Draft a study file that stands in `folder` (the script's own by default) and runs `script`.

    Read are argparse, click and typer options, environment variables and plain constants, in this order: the first
    that a script has.

    Raises:
        SpecError: when the script cannot be read, or nothing in it can be tuned.
    """
    script = Path(script)
    tree = parse_script(script)
    reading = _read(tree)
    if reading is None:
        raise SpecError(_nothing(script))
    doubts = list(reading.doubts)
    kept, ranges = _choose(reading, tree, doubts)
    if not ranges:
        raise SpecError(f"{_nothing(script)}: " + "; ".join(doubts or ["there is nothing about training"]))
    path = os.path.relpath(script.resolve(), (folder or script.parent).resolve())
    text = _write(script, path, reading, kept, ranges, _constraints(ranges, doubts), _metric(tree, doubts))
    return Draft(text, doubts, spec_from_dict(parse_yaml(text).data))


def _read(tree: ast.Module) -> Reading | None:
    readers = (read_argparse, read_click, read_typer, read_environment, read_constants)
    return next((found for reader in readers if (found := reader(tree)) is not None), None)


def _nothing(script: Path) -> str:
    return (
        f"a draft needs something to tune, but in {script} I found no argparse, click or typer option, environment "
        "variable or constant with a range; give it options such as `--lr`, or write study.yaml by hand"
    )


def _choose(reading: Reading, tree: ast.Module, doubts: list[str]) -> tuple[list[Option], dict[str, Parameter]]:
    """The options for the command line, and the ranges of those that are tuned; doubts are added."""
    kept: list[Option] = []
    ranges: dict[str, Parameter] = {}
    left: dict[str, list[str]] = {"setting": [], "cost": [], "plain": []}
    for option in (_with_compared(option, tree) for option in reading.options):
        if re.search(r"(^|_)(seed|random_state)_?$", option.name.lower()) and option.kind == "int":
            kept.append(_seeded(option, doubts))
            continue
        why = _why_left(option, reading.style)
        parameter, doubt = (None, "") if why else suggest(option)
        if why and not option.required:
            left[why].append(option.said)
        if doubt and (parameter is not None or not option.required):
            doubts.append(doubt)
        if parameter is not None and option.name not in ranges:
            ranges[option.name] = parameter
            kept.append(option)
        elif option.required:
            kept.append(_placeholder_for(option, doubts))
    _say_left(left, doubts)
    return kept, ranges


def _why_left(option: Option, style: str) -> str:
    if is_cost(option.name):
        return "cost"
    if is_setting(option.name):
        return "setting"
    # A lower-case or unknown constant is more often the script's business than a hyperparameter.
    plain = style in ("constants", "configurator") and not is_known(option.name)
    return (
        "plain" if plain and (option.said != option.said.upper() or option.kind == "str") and not option.choices else ""
    )


def _say_left(left: dict[str, list[str]], doubts: list[str]) -> None:
    why = {
        "cost": "it sets what a trial costs",
        "setting": "not about training",
        "plain": "no name of a hyperparameter that I know",
    }
    doubts += [f"left as in the script ({why[kind]}): {', '.join(names)}" for kind, names in left.items() if names]


def _seeded(option: Option, doubts: list[str]) -> Option:
    doubts.append(f"{option.said} gets Luthier's own seed, so that repeated runs measure the noise")
    return replace(option, argument=option.argument.replace(f"{{{option.name}}}", "{seed}"))


def _placeholder_for(option: Option, doubts: list[str]) -> Option:
    word = option.name.upper()
    doubts.append(f"{option.said} is required: put its value in place of {word} in `run`")
    return replace(option, argument=option.argument.replace(f"{{{option.name}}}", word))


def _with_compared(option: Option, tree: ast.Module) -> Option:
    """A text option with the choices that the script compares it with, as in `if args.optimizer == "sgd"`."""
    if option.kind != "str" or option.choices or option.obstacle or is_setting(option.name):
        return option
    found = list(dict.fromkeys(value for value in _compared(option, tree)))
    if isinstance(option.default, str) and option.default not in found:
        found.append(option.default)
    return replace(option, choices=tuple(found)) if len(found) > 1 else option


def _compared(option: Option, tree: ast.Module) -> list[Value]:
    names = {option.name, option.said.lstrip("-").replace("-", "_")}
    texts: list[Value] = []
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=[ast.Constant(value=str() as text)]) if called(left) in names:
                texts.append(text)
            case ast.Compare(
                left=left, comparators=[ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items)]
            ):
                if called(left) in names:
                    texts += [i.value for i in items if isinstance(i, ast.Constant) and isinstance(i.value, str)]
            case ast.Subscript(value=ast.Dict(keys=keys), slice=index) if called(index) in names:
                texts += [k.value for k in keys if isinstance(k, ast.Constant) and isinstance(k.value, str)]
            case ast.Match(subject=subject, cases=cases) if called(subject) in names:
                patterns = [p for case in cases for p in ast.walk(case.pattern) if isinstance(p, ast.MatchValue)]
                texts += [str(p.value.value) for p in patterns if isinstance(p.value, ast.Constant)]
    return texts


def _constraints(ranges: dict[str, Parameter], doubts: list[str]) -> list[str]:
    """What attention needs: a width that its heads divide."""
    found = []
    heads = [n for n in ranges if re.search(r"heads?$", n)]
    widths = [n for n in ranges if re.search(r"(^|_)(n_embd?|d_model|embed_dim|hidden_size|hidden_dim)$", n)]
    if heads and widths:
        rule = f"{widths[0]} % {heads[0]} == 0"
        try:
            Space(ranges, (rule,))
        except SpaceError:
            return []
        found.append(rule)
        doubts.append(f"the constraint `{rule}` is a guess: attention usually needs it")
    optimizer = ranges.get("optimizer")
    if "momentum" in ranges and isinstance(optimizer, Choice) and "sgd" in optimizer.choices:
        doubts.append('if momentum counts only for sgd, add `when: optimizer == "sgd"` to it')
    return found


def _metric(tree: ast.Module, doubts: list[str]) -> Metric:
    found = find_metrics(tree)
    if not found:
        doubts.append("I found no reported metric: call `luthier.report(step, val_loss=...)` in the script")
        return Metric("val_loss")
    best = found[0]
    others = [m.name for m in found[1:]]
    if best.direction is None:
        doubts.append(f"I took {best.name} as something to minimize; say `maximize` if larger is better")
    elif best.pattern or others:
        also = f" (also found: {', '.join(others)})" if others else ""
        doubts.append(f"the metric is guessed: {best.name}, {best.direction.value}{also}")
    if best.on_test:
        doubts.append("the script seems to report only test metrics: tune on validation data, or the test is spoiled")
    if best.on_train:
        doubts.append("the script seems to report only training metrics, which reward overfitting: report validation")
    if best.name.startswith("test"):
        best = Metric(re.sub(r"^test", "val", best.name))
        doubts.append(f"agents never see test metrics: report {best.name}, from data that the test does not use")
    return best


def _write(
    script: Path,
    path: str,
    reading: Reading,
    kept: Sequence[Option],
    ranges: dict[str, Parameter],
    constraints: list[str],
    metric: Metric,
) -> str:
    direction = metric.direction or Direction.MINIMIZE
    data: dict[str, object] = {"name": _study_name(script), "run": _command(path, reading, kept)}
    if reading.style == "environment":
        data["env"] = {option.said: option.argument for option in kept}
    data["metric"] = {"name": metric.name, "direction": direction.value}
    lines = [f"{key}: {to_yaml(value)}" for key, value in data.items()]
    lines += ["space:", *(f"  {name}: {to_yaml(entry)}" for name, entry in space_to_dict(ranges).items())]
    if constraints:
        lines.append(f"constraints: {to_yaml(constraints)}")
    if metric.pattern:
        named = {metric.name: metric.pattern} | ({"step": metric.step} if metric.step else {})
        lines += ["patterns:", *(f"  {name}: {to_yaml(pattern)}" for name, pattern in named.items())]
    return "\n".join([*lines, f"budget: {{trials: {TRIALS}}}", ""])


def _study_name(script: Path) -> str:
    # `train.py` says little; the folder around it says more.
    name = script.resolve().parent.name if script.stem in ("train", "main", "run", "__main__") else script.stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-._")[:100] or "study"


def _command(path: str, reading: Reading, kept: Sequence[Option]) -> str:
    module = ["-m", "luthier.trials.constants"] if reading.style == "constants" else []
    words = ["python", *module, shlex.quote(path), *([reading.command] if reading.command else [])]
    if reading.style != "environment":
        # What stands alone goes first: some parsers read options only after it.
        ordered = sorted(kept, key=lambda option: option.argument.startswith(("-", "{" + option.name + ":")))
        words += [option.argument for option in ordered]
    return " ".join(words)
