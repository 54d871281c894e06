"""Rows by their dates: in order and in even steps, how far apart, and how dates are written."""

from typing import Any

import numpy as np

from ...errors import DataError
from .cells import inferred, pandas


def in_order(where: str, frame: Any, index: Any, notes: list[str]) -> Any:
    """The frame by its dates, ascending, with a row for each step; rows not there are NaN."""
    lines, frame = frame.index.to_numpy(), frame.set_axis(index)
    if len(frame) > 1 and index.is_monotonic_decreasing and index.is_unique:
        notes.append("the newest row came first; turned round")
        frame, index, lines = frame[::-1], index[::-1], lines[::-1]
    steps = np.diff(index.asi8)
    if (steps <= 0).any():
        k = int((steps <= 0).argmax())
        what = "comes a second time" if steps[k] == 0 else f"comes after {index[k]}"
        raise DataError(
            f"{where}, line {lines[k + 1]}: {index[k + 1]} {what}; sort the rows, name the column "
            "that tells several series apart (--id-column), or the --timezone of clocks that "
            "change"
        )
    if len(frame) < 3:
        return frame
    freq = frequency(index)
    pd = pandas()
    even = None if freq is None else pd.date_range(index[0], index[-1], freq=freq)
    if even is None or not index.isin(even).all():
        k = 1 if even is None else int((~index.isin(even)).argmax())
        raise DataError(
            f"{where}, line {lines[k]}: {index[k]} is not in even steps"
            + (f" of {freq}" if freq else "")
            + "; resample the rows to even steps, or name the --timezone of clocks that change"
        )
    return frame.reindex(even)


def frequency(index: Any) -> str | None:
    """The frequency of dates in ascending order, some of which may be missing; None if uneven.

    >>> frequency(pandas().DatetimeIndex(["2000-01-01", "2000-02-01", "2000-03-01", "2000-05-01"]))
    'MS'
    """
    pd = pandas()
    whole = inferred(index)
    if whole is not None:
        return whole
    # where rows are missing: what most of the stretches of 4, 3 dates say
    for n in (8, 4, 3):
        starts: set[int] = set()
        if len(index) > n:
            starts = set(np.linspace(0, len(index) - n, 50).astype(int).tolist())
        found = [inferred(index[k : k + n]) for k in sorted(starts)]
        known = [f for f in found if f is not None]
        for freq in sorted(set(known), key=known.count, reverse=True):
            if index.isin(pd.date_range(index[0], index[-1], freq=freq)).all():
                return freq
    return None


def labels(index: Any) -> list[str]:
    """A frame's index as short text: years, months, days or minutes.

    >>> labels(pandas().date_range("2000", periods=2, freq="MS"))
    ['2000-01', '2000-02']
    """
    if not hasattr(index, "strftime"):
        return [str(k) for k in index]
    kind = (index.freqstr or "")[:1]
    how = "%Y-%m-%d %H:%M"
    if index.tz is not None and str(index.tz) == "UTC":  # hours that no clock of the reader's shows
        how += "Z"
    if (index == index.normalize()).all():
        how = {"Y": "%Y", "A": "%Y", "M": "%Y-%m", "Q": "%Y-%m"}.get(kind, "%Y-%m-%d")
    return list(index.strftime(how))
