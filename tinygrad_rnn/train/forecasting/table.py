"""Tables of series, read from files by pandas and checked before anything is learnt from them."""

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError, kind
from .cells import EMPTY, dates, is_number, numbers, pandas
from .dated import in_order


class Table(NamedTuple):
    """One frame of numbers a series, and what had to be guessed or mended on the way.

    A frame's index holds dates in even steps (a DatetimeIndex with a frequency), or the numbers
    from 0 where the file has no dates. A file with a single series has the id "".
    """

    frames: dict[str, Any]
    notes: list[str]

    @property
    def frame(self) -> Any:
        """The frame of a single series."""
        if len(self.frames) != 1:
            raise DataError(f"the file holds {len(self.frames)} series; choose one by its id")
        return next(iter(self.frames.values()))


def read_table(
    path: str | Path,
    columns: str | Sequence[str] | None = None,
    *,
    date_column: str | None = None,
    id_column: str | None = None,
    future: Sequence[str] = (),
    gaps: str = "error",
    separator: str | None = None,
    decimal: str | None = None,
    date_format: str | None = None,
    timezone: str | None = None,
) -> Table:
    """Read columns of numbers, and their dates, from a CSV file with a header line.

    Comma, semicolon, tab and bar as separators, decimal commas and points, thousands, UTF-8 and
    UTF-16 with and without BOM, Excel's `sep=` line and Windows' own encoding are understood.
    Without `columns` the last one of numbers is taken, without `date_column` the first that
    holds dates. `id_column` parts the rows into several series. The dates' frequency is inferred
    (`pandas.infer_freq`); dates missing between, and empty cells, are an error or, with
    `gaps="interpolate"`, filled along a straight line and noted. Dates with an offset are given in
    `timezone`, else in UTC; those without are taken to be in `timezone`. Newest first is reversed.
    The columns in `future` may go on in rows where all others are empty, which stay NaN there.
    Raises DataError naming file, line, column, what was expected and what to do.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "sales.csv"
    >>> rows = ["month;sold", "2001-01;1,5", "2001-02;2", "2001-03;4"]
    >>> _ = path.write_text(os.linesep.join(rows))
    >>> frame = read_table(path, decimal=",").frame
    >>> frame["sold"].tolist(), frame.index.freqstr
    ([1.5, 2.0, 4.0], 'MS')
    """
    path = _checked(path, gaps, decimal)
    notes: list[str] = []
    rows = _rows(path, separator, notes)
    wanted = [columns] if isinstance(columns, str) else list(columns or ())
    for name in (*wanted, date_column, id_column):
        if name is not None and name not in rows.columns:
            raise DataError(
                f"{path}: no column {name!r}; the columns are {', '.join(rows.columns)}"
            )
    if date_column is None:
        date_column = _date_column(rows, {*wanted, id_column})
        if date_column is None:
            notes.append("no column of dates; rows are numbered (years: name it, --date-column)")
    wanted = wanted or [_last_of_numbers(path, rows, {date_column, id_column})]
    y = pandas().DataFrame({c: numbers(str(path), c, rows[c], decimal) for c in wanted})
    parts = {"": rows.index}
    if id_column is not None:
        parts = {str(k): lines for k, lines in rows.groupby(id_column, sort=False).groups.items()}
    frames = {}
    for key, lines in parts.items():
        where = str(path) if id_column is None else f"{path}, {id_column} {key}"
        frame, cells = y.loc[lines], None if date_column is None else rows.loc[lines, date_column]
        if cells is not None:
            assert date_column is not None
            index = dates(where, date_column, cells, date_format, timezone)
            frame = in_order(where, frame, index, notes)
        frames[key] = _filled(where, frame, future, gaps, notes)
    return Table(frames, notes)


def _checked(path: str | Path, gaps: str, decimal: str | None) -> Path:
    """The path; DataError for options that `read_table` does not have."""
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"read_table: path must name a CSV file, got {kind(path)}")
    if gaps not in ("error", "interpolate"):
        raise DataError(f"read_table: gaps must be 'error' or 'interpolate', got {gaps!r}")
    if decimal not in (None, ".", ","):
        raise DataError(f"read_table: decimal must be '.' or ',', got {decimal!r}")
    return Path(path)


def _last_of_numbers(path: Path, rows: Any, taken: set[str | None]) -> str:
    """The last column whose first cell is a number."""
    found = [c for c in rows.columns if c not in taken and is_number(rows[c].iloc[0])]
    if not found:
        raise DataError(
            f"{path}: no column of numbers among {', '.join(rows.columns)}; name one "
            "(--column), or the separator of the cells (--separator)"
        )
    return str(found[-1])


def _text(path: Path, notes: list[str]) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    if raw[:4] in (b"PK\3\4", b"\xd0\xcf\x11\xe0"):
        raise DataError(f"{path}: is an Excel workbook; save its sheet as CSV and give that")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            if encoding == "cp1252":
                notes.append("the file is not UTF-8; it was read as Windows text (cp1252)")
            return text
    raise DataError(f"{path}: is not a text file in UTF-8, UTF-16 or Windows' encoding")


def _rows(path: Path, separator: str | None, notes: list[str]) -> Any:
    """All cells as text under a checked header; the index holds the line in the file."""
    lines = _text(path, notes).splitlines(keepends=True)
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:
        separator, lines[0] = separator or lines[0][4], "\n"
    shown = [line for line in lines if line.strip()][:5]
    if not shown:
        raise DataError(f"{path}: is empty; needs a header line and at least one row")
    if separator is None:
        cells = {c: [len(row) for row in csv.reader(shown, delimiter=c)] for c in ";\t|,"}
        separator = max(cells, key=lambda c: (min(cells[c]) > 1, max(cells[c])))
    if len(separator) != 1:
        raise DataError(f"read_table: separator must be one character, got {separator!r}")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    rows: dict[int, list[str]] = {}
    try:
        for row in reader:
            rows[reader.line_num] = [c.strip() for c in row]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: quotes do not match ({error})") from None
    while rows and not any(rows[max(rows)]):
        del rows[max(rows)]
    full = {k: row for k, row in rows.items() if any(row) or len(row) > 1}
    (first, header), *body = full.items()
    empty = [k for k, row in rows.items() if k > first and not row]
    if len(header) == 1 and empty:  # of one column an empty line is an empty cell
        body = sorted([*body, *((k, [""]) for k in empty)])
    elif empty:
        notes.append(f"{len(empty)} empty lines were left out, the first is line {empty[0]}")
    if all(is_number(h) or _is_date(h) for h in header):
        raise DataError(f"{path}, line {first}: holds values; needs a header line with names")
    for h in header:
        if header.count(h) > 1:
            raise DataError(f"{path}, line {first}: two columns are called {h!r}; rename one")
    for k, row in body:
        if len(row) != len(header):
            raise DataError(
                f"{path}, line {k}: {len(row)} cells under a header of {len(header)} columns; put "
                f"cells that hold {separator!r} in quotes, and take titles and totals out"
            )
    if not body:
        raise DataError(f"{path}: needs a header line and at least one row, has no row")
    return pandas().DataFrame(dict(body).values(), columns=header, index=dict(body).keys())


def _is_date(cell: str) -> bool:
    """Whether a cell is one of the dates that have three numbers: no name of a column is."""
    return re.fullmatch(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?", cell) is not None


def _date_column(rows: Any, taken: set[str | None]) -> str | None:
    """The first column whose first cell is a date and no number."""
    for name in rows.columns:
        cell = rows[name].iloc[0]
        if name in taken or is_number(cell) or cell.strip().lower() in EMPTY:
            continue
        try:
            dates("", name, rows[name].iloc[:1], None, None)
        except DataError as error:
            if "both" in str(error):
                return str(name)
            continue
        return str(name)
    return None


def _filled(where: str, frame: Any, future: Sequence[str], gaps: str, notes: list[str]) -> Any:
    """The frame without gaps: DataError, or a straight line from value to value."""
    end = len(frame)
    if future:  # the targets may end before
        known = frame.drop(columns=list(future)).notna().any(axis=1).to_numpy()
        end -= int(known[::-1].argmax())
    missing = frame.isna()
    missing.iloc[end:, [c not in future for c in frame.columns]] = False
    dated = pandas().api.types.is_datetime64_any_dtype(frame.index)
    if missing.to_numpy().any():
        k, c = np.argwhere(missing.to_numpy())[0]
        what = f"{frame.index[k]}" if dated else f"line {frame.index[k]}"
        n = int(missing.any(axis=1).sum())
        if gaps == "error":
            raise DataError(
                f"{where}, {what}: column {frame.columns[c]!r} is empty or the row is missing, "
                f"the first of {n} gaps; fill them, or let them be filled (--gaps interpolate)"
            )
        if missing.iloc[0].any() or missing.iloc[end - 1].any() or missing.iloc[-1].any():
            raise DataError(
                f"{where}: the first or last row has an empty cell, which cannot be interpolated; "
                "cut it off"
            )
        notes.append(f"{n} gaps filled along straight lines, the first at {what}")
        known = frame.interpolate(method="time" if dated else "linear", limit_area="inside")
        frame = frame.where(~missing, known)
    return frame if dated else frame.reset_index(drop=True)
