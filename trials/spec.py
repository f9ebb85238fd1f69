"""The study file: what to run, which metric to improve, over which space, within which budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from .config_file import check_name
from .errors import SpecError
from .expression import Expression
from .placeholders import check_command, check_placeholders
from .records import Direction
from .space import Space
from .space_yaml import PlacedError, placed, space_from_dict, space_to_dict, unknown_key
from .stream import Parser
from .yaml_file import Place, read_yaml

__all__ = [
    "Budget", "CallSpec", "DataSpec", "MetricSpec", "StudySpec", "load_spec", "space_from_dict", "space_to_dict",
    "spec_from_dict", "validated",
]  # fmt: skip

Model = TypeVar("Model", bound=BaseModel)


def _as_text(value: Any) -> Any:
    # `OMP_NUM_THREADS: 2` means the text; a bool could mean "true", "True" or "1", so it stays wrong.
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_as_text)]


class _Checked(BaseModel):
    # Strict: `trials: true` is a slip, not 1.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class MetricSpec(_Checked):
    """The metric to improve. Its name must not start with `test`: agents never see test metrics."""

    name: str = Field(min_length=1, examples=["name: val_loss"])
    direction: Direction = Field(strict=False, examples=["direction: minimize"])


class Budget(_Checked):
    """When to stop: whichever comes first."""

    trials: int = Field(default=10, ge=1, examples=["trials: 10"])
    hours: float | None = Field(default=None, gt=0, examples=["hours: 1"])
    tokens: int | None = Field(default=None, ge=1, examples=["tokens: 100000"])  # of the model, in and out
    failures: int | None = Field(default=None, ge=1, examples=["failures: 5"])  # failed trials, over the whole study


Facts = dict[str, Annotated[float, Field(allow_inf_nan=False)]]


class DataSpec(_Checked):
    """What is known of the data, in numbers: the memory takes tasks whose data are near for more alike."""

    data: Facts = Field(default={}, examples=["data: {rows: 1797, columns: 64, classes: 10}"])


class NamedSpec(_Checked):
    """What a study is called, and what it improves."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$", max_length=100, examples=["name: digits"])
    metric: MetricSpec = Field(examples=["metric: {name: val_loss, direction: minimize}"])


class CallSpec(DataSpec):
    """What a study file and `luthier.tune` both say."""

    seed: int = Field(default=0, ge=0, examples=["seed: 0"])
    timeout: float | None = Field(default=None, gt=0, examples=["timeout: 600"])  # seconds a trial
    memory: float | None = Field(default=None, gt=0, examples=["memory: 8"])  # GiB a trial
    noise: int | None = Field(default=None, ge=0, examples=["noise: 2"])  # extra runs of trial 0
    audits: float = Field(default=0.05, ge=0, le=1, examples=["audits: 0.05"])  # share of skips that run anyway


class StudySpec(NamedSpec, CallSpec):
    """A study file. Field names are its keys."""

    run: str = Field(examples=["run: python train.py --lr {lr}"])
    space: dict[str, Any] = Field(examples=["space: {lr: {float: [1.0e-5, 0.1], log: true}}"])
    constraints: list[str] = Field(default=[], examples=['constraints: ["units * layers <= 1024"]'])
    budget: Budget = Field(default=Budget(), examples=["budget: {trials: 10, hours: 1}"])
    model: str | None = Field(default=None, examples=["model: embedded"])
    python: str | None = Field(default=None, examples=["python: .venv/bin/python"])  # what `python` in `run` means
    stop_early: bool = Field(default=True, examples=["stop_early: true"])
    patterns: dict[str, str] = Field(default={}, examples=["patterns: {loss: 'loss=(\\S+)'}"])  # one group each
    config_file: str | None = Field(
        default=None, examples=["config_file: config.json"]
    )  # written into the trial's folder
    env: dict[str, Text] = Field(default={}, examples=['env: {LR: "{lr}"}'])
    workflow: str | None = Field(default=None, examples=["workflow: planner-critic"])
    gate: bool = Field(default=True, examples=["gate: true"])  # may leave out the model, and skip trials

    def to_space(self) -> Space:
        """The space with its constraints.

        Raises:
            SpecError or SpaceError: naming the hyperparameter, the rule and the value.
        """
        return Space(space_from_dict(self.space), tuple(self.constraints))


def load_spec(path: Path, check: Callable[[StudySpec], None] = lambda spec: None) -> StudySpec:
    """Read and check a study file, its command included.

    Args:
        check: of what this folder knows nothing of, such as workflows; it raises as `placed` does.

    Raises:
        SpecError: one message with the file, the line, the rule, the value and the remedy.
    """
    path = Path(path)
    document = read_yaml(path)
    try:
        spec = spec_from_dict(document.data)
        check_command(spec.run, path.resolve().parent, python=spec.python, env=spec.env)
        check(spec)
    except PlacedError as error:
        line = document.line(error.place)
        raise SpecError(f"{path}{'' if line is None else f', line {line}'}: {error}") from error
    return spec


def spec_from_dict(data: Any) -> StudySpec:
    """A study file's data, shape and meaning checked.

    Raises:
        SpecError: one message with the rule, the value and the remedy.
    """
    if not isinstance(data, Mapping):
        found = "nothing" if data is None else type(data).__name__
        raise PlacedError(f"a study file holds keys and values, but this holds {found}; begin with `name: my-study`")
    spec = validated(StudySpec, data)
    _check_space(spec)
    check_placeholders(spec.space, run=spec.run, env=spec.env, config_file=spec.config_file)
    _check_metric(spec.metric.name)
    _check_files(spec)
    return spec


def validated(model: type[Model], data: Mapping[str, Any]) -> Model:
    """`model(**data)`, with pydantic's errors as one message of ours.

    Raises:
        SpecError: for the first error; an unknown key goes first, since it often explains the others.
    """
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        errors = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        place: Place = errors[0]["loc"]
        raise PlacedError(_message(model, place, errors[0]), place) from None


def _message(model: type[BaseModel], place: Place, error: ErrorDetails) -> str:
    kind, value, said = error["type"], error["input"], error["msg"]
    owner, key = _owner(model, place)
    name = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        where = f"`{name.rpartition('.')[0]}`" if len(place) > 1 else "the study file"
        return unknown_key(place[-1], tuple(owner.model_fields), where)
    example = next(iter(owner.model_fields[key].examples or []), "") if key in owner.model_fields else ""
    remedy = f"write it like `{example}`" if example else "correct it"
    if kind == "missing":
        return f"`{name}` is missing; {remedy}"
    if isinstance(value, dict) and list(value.values()) == [None]:
        return f"`{name}` must be text, but YAML reads {{{next(iter(value))}}} as a mapping; put it in quotes"
    rule = said[0].lower() + said[1:]
    return f"`{name}` is wrong: {rule}, but got {value!r}; {remedy}"


def _owner(model: type[BaseModel], place: Place) -> tuple[type[BaseModel], str]:
    # The model and field in which a place lies: ("budget", "trials") lies in Budget.
    key = str(place[0]) if place else ""
    field = model.model_fields.get(key)
    inner = field.annotation if field else None
    if len(place) > 1 and isinstance(inner, type) and issubclass(inner, BaseModel):
        return _owner(inner, place[1:])
    return model, key


def _check_space(spec: StudySpec) -> None:
    parameters = space_from_dict(spec.space)
    for i, text in enumerate(spec.constraints):
        with placed("constraints", i):
            Expression(text)
    with placed("space"):
        Space(parameters)
    with placed("constraints"):
        spec.to_space()


def _check_metric(name: str) -> None:
    if name.startswith("test"):
        raise PlacedError(
            f"agents never see test metrics, so they cannot tune on {name!r}; split off validation data, or give the "
            "metric another name in the script or in `patterns`",
            ("metric", "name"),
        )


def _check_files(spec: StudySpec) -> None:
    for name, pattern in spec.patterns.items():
        with placed("patterns", name):
            Parser({name: pattern})
    if spec.config_file is not None:
        with placed("config_file"):
            check_name(spec.config_file)
