"""Series read from CSV files, and cut in time order."""

import csv
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from ..op import Array


class Series(NamedTuple):
    """Values in time order, a label for each, and the column they came from."""

    values: Array
    labels: list[str]
    name: str


def read_csv(path: str | Path, column: str | None = None, date_column: str | None = None) -> Series:
    """Read one column of numbers from a CSV file with a header line.

    Without `column` the last one is taken that holds numbers; with `date_column`
    its cells become the labels, and they must be in order without a gap. Raises
    DataError naming file, line and cell for a missing file, unknown column, empty
    cell, text, NaN or infinite number, or a date that is missing or out of order.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not a text file in UTF-8") from None
    if len(rows) < 2:
        raise DataError(f"{path}: needs a header line and at least one row, has {len(rows)} lines")
    header, body = [h.strip() for h in rows[0]], rows[1:]
    for line, row in enumerate(body, 2):
        if len(row) != len(header):
            raise DataError(
                f"{path}, line {line}: {len(row)} cells under a header of {len(header)} columns"
            )
    name = column if column is not None else _number_column(path, header, body[0])
    values = _numbers(path, name, _cells(path, header, body, name))
    labels = [str(k) for k in range(len(values))]
    if date_column is not None:
        labels = _cells(path, header, body, date_column)
        _check_dates(path, labels)
    return Series(values, labels, name)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number_column(path: Path, header: list[str], row: list[str]) -> str:
    found = [h for h, cell in zip(header, row, strict=True) if _is_number(cell)]
    if not found:
        raise DataError(f"{path}: no column of numbers among {', '.join(header)}; name one")
    return found[-1]


def _cells(path: Path, header: list[str], body: list[list[str]], name: str) -> list[str]:
    if name not in header:
        raise DataError(f"{path}: no column {name!r}; the columns are {', '.join(header)}")
    k = header.index(name)
    return [row[k].strip() for row in body]


def _numbers(path: Path, name: str, cells: list[str]) -> Array:
    for line, cell in enumerate(cells, 2):
        if not cell:
            raise DataError(
                f"{path}, line {line}: column {name!r} is empty; fill the gap or cut the series"
            )
        if not _is_number(cell):
            raise DataError(f"{path}, line {line}: column {name!r} holds {cell!r}, not a number")
        if not math.isfinite(float(cell)):
            raise DataError(f"{path}, line {line}: column {name!r} holds {cell}, not finite")
    return np.array([float(c) for c in cells])


def _months(label: str) -> tuple[str, float] | None:
    """A date as unit and number: years and months count in months, days in days."""
    if re.fullmatch(r"\d{4}", label):
        return "month", 12.0 * int(label)
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", label):
        return "month", 12.0 * int(label[:4]) + int(label[5:])
    try:
        return "day", float(np.datetime64(label[:10], "D").astype(int))
    except ValueError:
        return None


def _check_dates(path: Path, labels: list[str]) -> None:
    """Raise unless dates ascend in even steps (a third of a step's play: months, leap years)."""
    times = []
    for line, label in enumerate(labels, 2):
        time = _months(label)
        if time is None:
            raise DataError(
                f"{path}, line {line}: {label!r} is no date; write YYYY, YYYY-MM or YYYY-MM-DD"
            )
        times.append(time[1])
    steps = np.diff(times)
    if not len(steps):
        return
    usual = float(np.median(steps))
    for line, step in enumerate(steps, 3):
        if step <= 0:
            raise DataError(
                f"{path}, line {line}: {labels[line - 2]} comes after {labels[line - 3]}"
            )
        if abs(step - usual) > usual / 3:
            raise DataError(
                f"{path}, line {line}: a gap between {labels[line - 3]} and {labels[line - 2]}; "
                "fill it or cut the series"
            )


class Split(NamedTuple):
    """A series cut in time order: to learn from, to stop by, to be judged on."""

    train: Array
    val: Array
    test: Array


def split(values: Array, val: int, test: int) -> Split:
    """Cut the last `test` values off, and the `val` before them; the rest is for training.

    >>> [len(part) for part in split(np.arange(10.0), 2, 3)]
    [5, 2, 3]
    """
    n = len(values) - val - test
    if val < 1 or test < 1 or n < 1:
        raise DataError(
            f"split: {len(values)} values cannot be cut into training, {val} for validation and "
            f"{test} for the test"
        )
    return Split(values[:n], values[n : n + val], values[n + val :])


def windows(values: Array, lookback: int, horizon: int) -> tuple[Array, Array]:
    """All pairs of `lookback` values and the `horizon` that follow: (n, lookback), (n, horizon).

    >>> x, y = windows(np.arange(5.0), 3, 1)
    >>> x.tolist(), y.tolist()
    ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0], [4.0]])
    """
    if lookback < 1 or horizon < 1:
        raise DataError(f"windows: lookback {lookback} and horizon {horizon} must be at least 1")
    if len(values) < lookback + horizon:
        raise DataError(
            f"windows: a series of {len(values)} values is shorter than one window of "
            f"{lookback} + {horizon}; use a shorter lookback or horizon"
        )
    both = np.lib.stride_tricks.sliding_window_view(values, lookback + horizon)
    return both[:, :lookback].copy(), both[:, lookback:].copy()
