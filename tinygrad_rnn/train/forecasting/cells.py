"""Cells of a table, text as it was read, to numbers and dates; pandas does the parsing."""

import re
import warnings
from typing import Any

import numpy as np

from ...errors import DataError

EMPTY = {"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?"}
_PLAIN = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_INFINITE = r"[+-]?inf(inity)?"
# decimal point with commas (or spaces, apostrophes) between thousands, and the other way about
_POINT = r"[+-]?\d{1,3}([,\u2019']\d{3})+(\.\d*)?"
_COMMA = r"[+-]?(\d+|\d{1,3}([.\u2019']\d{3})+)(,\d*)?([eE][+-]?\d+)?"


def pandas() -> Any:
    """pandas, or an ImportError that names the extra it comes with."""
    try:
        import pandas
    except ImportError:
        raise ImportError(
            "tables are read by pandas: pip install 'tinygrad_rnn[forecast]'"
        ) from None
    return pandas


def is_number(cell: str) -> bool:
    """Whether a cell holds a number in some notation.

    >>> [is_number(c) for c in ("1.5", "-1.234,5", "1e3", "2000-01", "")]
    [True, True, True, False, False]
    """
    cell = tight(cell).lower()
    return any(re.fullmatch(p, cell) for p in (_PLAIN, _POINT, _COMMA, _INFINITE))


def tight(cell: str) -> str:
    """A cell without the spaces around it and between its thousands."""
    return re.sub(r"(?<=\d)[\s\u00a0\u202f](?=\d{3}(\D|$))", "", cell.strip())


def numbers(where: str, name: str, cells: Any, decimal: str | None = None) -> Any:
    """Cells of a column as float64, those in EMPTY as NaN.

    `decimal` is "." or ","; without it the column's own cells tell. Raises DataError
    naming the line for what is no number or not finite, and for a column such as "1,234"
    that reads both ways. `cells` is a Series of text whose index is the line.

    >>> numbers("f", "a", pandas().Series(["1.234,5", "7"])).tolist()
    [1234.5, 7.0]
    """
    text = cells.map(tight)
    full = text[~text.str.lower().isin(EMPTY)]
    if decimal is None:
        decimal = _decimal(where, name, full)
    patterns = {".": (_PLAIN, _POINT), ",": (_COMMA,)}[decimal]
    good = np.zeros(len(full), bool)
    for p in patterns:
        good |= full.str.fullmatch(p).to_numpy(bool)
    infinite = full.str.lower().str.fullmatch(_INFINITE).to_numpy(bool)
    for bad, what in ((infinite, "not a finite number"), (~good, "not a number")):
        if bad.any():
            line = full.index[bad.argmax()]
            raise DataError(
                f"{where}, line {line}: column {name!r} holds {cells[line]!r}, {what}; correct it, "
                "or leave the cell empty and fill the gap (--gaps interpolate)"
            )
    plain = full.str.replace(r"[\u2019']" + ("|[.]" if decimal == "," else "|,"), "", regex=True)
    if decimal == ",":
        plain = plain.str.replace(",", ".")
    y = plain.astype(np.float64).reindex(text.index)
    if np.isinf(y).any():
        line = y.index[np.isinf(y).to_numpy().argmax()]
        raise DataError(f"{where}, line {line}: column {name!r} holds {cells[line]}, not finite")
    return y


def _decimal(where: str, name: str, full: Any) -> str:
    """The decimal mark of a column; a DataError where it could be either."""
    odd = full[~full.str.fullmatch(_PLAIN)]
    marked = odd[odd.str.contains(",")]
    if marked.empty:
        return "."
    if marked.str.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}").all():
        line = marked.index[0]
        raise DataError(
            f"{where}, line {line}: column {name!r} holds {marked[line]!r}, which is either a "
            "decimal comma or a thousand; say which with decimal=',' or '.' (--decimal)"
        )
    return "." if marked.str.fullmatch(_POINT).sum() > marked.str.fullmatch(_COMMA).sum() else ","


def dates(where: str, name: str, cells: Any, date_format: str | None, timezone: str | None) -> Any:
    """Cells of a column as a DatetimeIndex; in `timezone`, else those with an offset in UTC.

    Years, months, quarters, any format that pandas knows and seconds or milliseconds since 1970
    are understood; the whole column must be of one format. Days and months that could be
    swapped are read in the order that gives even steps. Raises DataError naming the line.
    """
    text = cells.str.strip()
    empty = text.str.lower().isin(EMPTY)
    if empty.any():
        raise DataError(f"{where}, line {text.index[empty.argmax()]}: column {name!r} has no date")
    found = _parsed(where, name, text, date_format)
    if timezone is None:  # of one offset or several, summer and winter: hours must mean the same
        return found if found.tz is None else found.tz_convert("UTC")
    try:
        if found.tz is not None:
            return found.tz_convert(timezone)
        return found.tz_localize(timezone, ambiguous="infer")
    except Exception as error:  # pandas below 3.0 lets pytz' own errors through
        raise DataError(
            f"{where}: dates of column {name!r} do not fit the time zone {timezone!r}: {error}"
        ) from None


def _parsed(where: str, name: str, text: Any, date_format: str | None) -> Any:
    pd = pandas()
    if text.str.fullmatch(r"\d{4}-?Q[1-4]").all():
        return pd.PeriodIndex(text.str.replace("-", ""), freq="Q").to_timestamp()
    if text.str.fullmatch(r"\d{10}|\d{13}").all():
        unit = "s" if len(text.iloc[0]) == 10 else "ms"
        return pd.DatetimeIndex(pd.to_datetime(text.astype(np.int64), unit=unit, utc=True))
    families = _FAMILIES
    if date_format is not None or text.str.fullmatch(r"\d{4}").all():
        families = [[{"format": date_format or "%Y"}]]
    elif text.str.fullmatch(r"[\d.]{1,7}").all():
        raise DataError(
            f"{where}, line {text.index[0]}: column {name!r} holds {text.iloc[0]!r}, a number and "
            "no date; write dates as YYYY-MM-DD, or give their format (--date-format %d%m%y)"
        )
    for family in families:
        found = [parsed for way in family if (parsed := _one_way(text, way)) is not None]
        if len(found) == 2 and not found[0].equals(found[1]):
            found = [f for f in found if _even(f)] or found
            if len(found) == 2:
                raise DataError(
                    f"{where}, line {text.index[0]}: dates such as {text.iloc[0]!r} in column "
                    f"{name!r} read both day first and month first; give their format "
                    "(--date-format %d/%m/%Y)"
                )
        if found:
            return found[0]
    ways = [way for family in families for way in family]
    line = _first_bad(text, ways)
    raise DataError(
        f"{where}, line {line}: {text[line]!r} in column {name!r} is no date, or written otherwise "
        f"than {text.iloc[0]!r}; write YYYY-MM-DD, or give the format (--date-format %d.%m.%Y)"
    )


# the first family that reads a whole column is taken
_FAMILIES: list[list[dict[str, Any]]] = [
    [{"format": "ISO8601"}],
    [{"dayfirst": False}, {"dayfirst": True}],
    [{"format": "%m/%d/%y"}, {"format": "%d/%m/%y"}],
    [{"format": "%m/%d/%y %H:%M"}, {"format": "%d/%m/%y %H:%M"}],
    *([{"format": f}] for f in ("%d.%m.%y", "%d.%m.%y %H:%M", "%m/%Y", "%m.%Y")),
    *([{"format": f}] for f in ("%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%b %y", "%d-%b-%y")),
]


def _one_way(text: Any, way: dict[str, Any]) -> Any:
    """The dates read in one way, None if they cannot be; of several zones, in UTC."""
    pd = pandas()
    for utc in (False, True):
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                index = pd.DatetimeIndex(pd.to_datetime(text.to_numpy(object), utc=utc, **way))
        except (ValueError, TypeError, OverflowError):
            continue
        # then each cell is read in a way of its own, day first or not
        guessed = any("Could not infer" in str(w.message) for w in caught)
        mixed = any("mixed time zones" in str(w.message) for w in caught)  # pandas 2 only warns
        if not mixed:
            return None if guessed else index
    return None


def _even(index: Any) -> bool:
    index = index if index.is_monotonic_increasing else index[::-1]
    return len(index) >= 3 and index.is_unique and inferred(index) is not None


def inferred(index: Any) -> str | None:
    """The frequency that pandas sees in a DatetimeIndex of three or more; None for uneven steps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer pandas will hand out its offset and not its name
        found = pandas().infer_freq(index)
    return None if found is None else str(getattr(found, "freqstr", found))


def _first_bad(text: Any, ways: list[dict[str, Any]]) -> Any:
    """The line of the first cell that cannot be read as those before it, in the best way."""
    best = 0
    for way in ways:
        low, high = 0, len(text)  # text[:low] is read, text[:high] is not
        while high - low > 1:
            middle = (low + high) // 2
            ok = _one_way(text.iloc[:middle], way) is not None
            low, high = (middle, high) if ok else (low, middle)
        best = max(best, low)
    return text.index[best]
