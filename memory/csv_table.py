"""A table of past runs: its columns as hyperparameters, its rows as trials."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..trials.records import Cause, Failure, State, Trial, Value
from ..trials.space import Choice, Float, Int, Parameter, Space
from .errors import ImportFault

DELIMITERS = ",;\t|"
LOG_FROM = 100.0  # high / low of a positive column from which its range is logarithmic: two orders of magnitude
MOST_CHOICES = 50  # different texts of a hyperparameter; a column with more is a name or a time of the run
_ABSENT = {"", "na", "n/a", "nan", "null"}  # what programs write for no value, in lower case
_INT = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One line of the table that is not empty."""

    line: int  # of the file, counted from 1
    cells: dict[str, str]  # by column, without blanks around


@dataclass(frozen=True)
class Table:
    """The rows of a file, oldest first."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    comma: bool  # whether numbers have a decimal comma

    def spelled(self, cell: str) -> str:
        """A number as Python spells it; any other text as it is."""
        dotted = cell.replace(",", ".", 1)
        return dotted if self.comma and _NUMBER.fullmatch(dotted) else cell


def read_table(path: Path) -> Table:
    """Read a file of delimited text with a header.

    Raises:
        ImportFault: naming the line and the column.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImportFault(f"{path}: a table must be UTF-8 text, but {error}; save it as UTF-8") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: tuple[str, ...] = ()
    rows = []
    try:
        for cells in ([cell.strip() for cell in cells] for cells in reader):
            if not any(cells):
                continue
            if not header:
                header = _header(path, cells)
            elif len(cells) != len(header):
                rule = f"a row must have {len(header)} cells, as the header has, but has {len(cells)}"
                hint = f"mend it, or quote cells that hold {delimiter!r}"
                raise ImportFault(f"{path}, line {reader.line_num}: {rule}; {hint}")
            else:
                rows.append(Row(reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise ImportFault(f"{path}, line {reader.line_num}: a row must be delimited text, but {error}") from error
    if not rows:
        raise ImportFault(f"{path}: a table needs a header and at least one row, but has none; check the file")
    return Table(path, header, tuple(rows), comma=delimiter != ",")


def columns_of(table: Table, metric: str, columns: Sequence[str] | None) -> list[str]:
    """The columns that are hyperparameters: those named, or all but the metric's.

    Raises:
        ImportFault: a column is not in the table, or is the metric's.
    """
    for name in (metric, *(columns or ())):
        if name not in table.header:
            near = get_close_matches(name, table.header, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"columns: {', '.join(table.header)}"
            raise ImportFault(f"{table.path}: a column must be in the header, but {name!r} is not; {hint}")
    if columns and metric in columns:
        raise ImportFault(f"{table.path}: the metric must be no hyperparameter, but {metric!r} is named as both")
    found = [name for name in dict.fromkeys(columns or table.header) if name != metric]
    # A column in which nothing stands says nothing yet.
    found = [name for name in found if any(not _absent(row.cells[name]) for row in table.rows)]
    if not found:
        raise ImportFault(f"{table.path}: a table needs a column besides the metric, but has only {metric!r}")
    return found


def space_of(table: Table, names: Mapping[str, str]) -> Space:
    """The guessed space: whole numbers are int, other numbers float, anything else is a choice.

    Args:
        names: what the hyperparameter of each column is called.

    Raises:
        ImportFault: a column cannot be a hyperparameter.
    """
    return Space({name: _parameter(table, column) for column, name in names.items()})


def trials_of(table: Table, space: Space, names: Mapping[str, str], metric: str) -> list[Trial]:
    """The rows as trials, numbered from 0. A row without a metric is a failed one.

    Raises:
        ImportFault: a metric is no number.
    """
    return [_trial(table, row, number, space, names, metric) for number, row in enumerate(table.rows)]


def _header(path: Path, cells: list[str]) -> tuple[str, ...]:
    for at, name in enumerate(cells):
        if not name:
            raise ImportFault(f"{path}: every column needs a name, but column {at + 1} has none; name it")
        if name in cells[:at]:
            raise ImportFault(f"{path}: columns must have different names, but {name!r} is there twice; rename one")
    return tuple(cells)


def _absent(cell: str) -> bool:
    return cell.lower() in _ABSENT


def _parameter(table: Table, name: str) -> Parameter:
    cells = [(row, table.spelled(row.cells[name])) for row in table.rows if not _absent(row.cells[name])]
    texts = {cell for _, cell in cells}
    if {cell.lower() for cell in texts} <= {"true", "false"}:
        return Choice((False, True))
    if not all(map(_NUMBER.fullmatch, texts)):
        return _choice(table, name, [(row, row.cells[name]) for row, _ in cells])
    numbers = [_number(table, row, name, cell) for row, cell in cells]
    low, high = min(numbers), max(numbers)
    whole = all(map(_INT.fullmatch, texts))
    if low == high:
        return Choice((int(cells[0][1]) if whole else low,))
    log = low > 0 and high / low >= LOG_FROM
    ends = sorted(map(int, texts)) if whole else []
    return Int(ends[0], ends[-1], log=log) if whole else Float(low, high, log=log)


def _choice(table: Table, name: str, cells: list[tuple[Row, str]]) -> Choice:
    texts = tuple(dict.fromkeys(cell for _, cell in cells))
    if len(texts) <= MOST_CHOICES:
        return Choice(texts)
    row, odd = next((row, cell) for row, cell in cells if not _NUMBER.fullmatch(table.spelled(cell)))
    raise ImportFault(
        f"{table.path}, line {row.line}, column {name!r}: a hyperparameter must have numbers alone or at most "
        f"{MOST_CHOICES} different texts, but this has {len(texts)}, {odd!r} among them; mend it, or name the "
        "columns that are hyperparameters"
    )


def _number(table: Table, row: Row, name: str, cell: str) -> float:
    try:
        number = float(cell)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ImportFault(f"{table.path}, line {row.line}, column {name!r}: a number must be finite, but got {cell!r}")
    return number


def _trial(table: Table, row: Row, number: int, space: Space, names: Mapping[str, str], metric: str) -> Trial:
    cells = {name: row.cells[column] for column, name in names.items() if not _absent(row.cells[column])}
    config = {name: _value(space[name], cell, table.spelled(cell)) for name, cell in cells.items()}
    value, failure = _outcome(table, row, metric)
    state = State.COMPLETE if failure is None else State.FAILED
    return Trial(number=number, config=config, state=state, value=value, failure=failure)


def _value(parameter: Parameter, cell: str, spelled: str) -> Value:
    if isinstance(parameter, Choice):
        return parameter.clip(cell)
    return int(spelled) if isinstance(parameter, Int) else float(spelled)


def _outcome(table: Table, row: Row, metric: str) -> tuple[float | None, Failure | None]:
    cell = table.spelled(row.cells[metric])
    if cell.lower() == "nan" or _INFINITE.fullmatch(cell):
        return None, Failure(Cause.NAN, f"{metric} was {cell}")
    if _absent(cell):
        return None, Failure(Cause.NO_METRIC, f"line {row.line} has no {metric}")
    if not _NUMBER.fullmatch(cell):
        place = f"{table.path}, line {row.line}, column {metric!r}"
        raise ImportFault(f"{place}: the metric must be a number or empty, but got {cell!r}; mend or empty the cell")
    return _number(table, row, metric, cell), None
