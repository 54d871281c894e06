"""What a forecaster is given, NumPy or pandas, one series or many, in one form."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError
from ...op import Array
from .cells import pandas
from .dated import frequency


class Form(NamedTuple):
    """What a series came as, and its forecast is handed back as."""

    kind: str  # "vector", "matrix", "series" or "frame"
    names: list[Any]  # of a pandas Series or the columns
    next: int  # the number of the row that comes next, where there are no dates
    covariates: list[str] | None = None  # of the columns, where all covariates have names


class One(NamedTuple):
    """A series: targets (T, targets), covariates, its dates (None: rows are numbered), its form."""

    y: Array
    past: Array  # (T, any), known up to now
    future: Array  # (T + ahead, any), known beyond
    index: Any
    form: Form


def named(key: str) -> str:
    """A series in messages: by its id, where it has one."""
    return f"series {key!r}" if key else "the series"


def panel(
    y: Any, past: Any = None, future: Any = None, calendar: bool = False, ahead: int = 0
) -> dict[str, One]:
    """Every series by its id; "" where there is one.

    `future` must reach `ahead` rows beyond y. With `calendar` the dates themselves
    become future covariates. Raises DataError naming the series for text, NaN, dates in uneven
    steps, and covariates that do not cover the targets.
    """
    if not isinstance(y, Mapping):
        y = {"": y}
        past, future = {"": past}, {"": future}
    if not y or not all(isinstance(key, str) for key in y):
        raise DataError(f"series are given as a dict by ids that are strings, got {list(y)}")
    found = {}
    for key, series in y.items():
        name = named(key)
        parts = []
        for what, given in (("past", past), ("future", future)):
            if isinstance(given, Mapping):
                if key not in given:
                    raise DataError(f"{name} has no {what} covariates; give them for every id")
                given = given[key]
            elif given is not None:
                raise DataError(f"{what} must be a dict of the same ids as y, got {type(given)}")
            parts.append(given)
        found[key] = _one(name, series, parts[0], parts[1], calendar, ahead)
    widths = {(o.y.shape[1], o.past.shape[1], o.future.shape[1]) for o in found.values()}
    if len(widths) > 1:
        raise DataError(f"all series need as many columns, got (y, past, future) {sorted(widths)}")
    return found


def _one(name: str, y: Any, past: Any, future: Any, calendar: bool, ahead: int) -> One:
    values, index = _array(name, y), None
    n = len(values)
    if hasattr(y, "index") and hasattr(y, "iloc"):
        index = _dates(name, y.index)
    beyond = None if index is None else following(index, ahead)
    both = index if index is None or not ahead else index.append(beyond)
    parts = [
        _covariates(f"{name}, past covariates", past, n, index),
        _covariates(f"{name}, future covariates", future, n + ahead, both),
    ]
    if calendar:
        if both is None:
            raise DataError(f"{name} has no dates; calendar=True needs a pandas index of dates")
        parts[1] = np.concatenate([parts[1], calendar_features(both)], axis=1)
    form = _form(y, n)._replace(covariates=_names(past, future))
    return One(values, parts[0][:n], parts[1], index, form)


def _names(*covariates: Any) -> list[str] | None:
    given = [c for c in covariates if c is not None]
    if not all(hasattr(c, "iloc") for c in given):
        return None
    return [str(n) for c in given for n in (c.columns if hasattr(c, "columns") else [c.name])]


def comparable(fitted: One, one: One, calendar: bool) -> None:
    """Raise DataError where a series has other steps, clocks or order of columns than fitted."""
    steps = [x.index.freqstr for x in (fitted, one) if x.index is not None]
    # months may start or end, weeks end on any day
    if len({s[0] if s[0] in "MQYW" else s for s in steps}) > 1:
        raise DataError(
            f"RecurrentForecaster: was fitted to steps of {steps[0]}, got {steps[1]}; resample the "
            "series, or fit another"
        )
    zones = [str(x.index.tz) for x in (fitted, one) if calendar and x.index is not None]
    if len(set(zones)) > 1:
        raise DataError(
            f"RecurrentForecaster: was fitted to a calendar of time zone {zones[0]}, got dates of "
            f"{zones[1]}; convert them (tz_convert), or name a --timezone for both"
        )
    names, others = ([str(n) for n in x.form.names] for x in (fitted, one))
    if names != others and sorted(names) == sorted(others):
        raise DataError(f"RecurrentForecaster: was fitted to the columns {names}, got {others}")
    _same_names(fitted.form.covariates, one.form.covariates)


def _same_names(fitted: list[str] | None, names: list[str] | None) -> None:
    if fitted is not None and names is not None and fitted != names:
        raise DataError(
            f"RecurrentForecaster: was fitted to the covariates {fitted}, got {names}; give the "
            "same columns, past before future"
        )


def _form(y: Any, n: int) -> Form:
    if not hasattr(y, "iloc"):
        return Form("vector" if np.ndim(y) == 1 else "matrix", [], n)
    kind, names = ("frame", list(y.columns)) if hasattr(y, "columns") else ("series", [y.name])
    ranged = isinstance(y.index, pandas().RangeIndex)
    return Form(kind, names, int(y.index[-1]) + y.index.step if ranged else n)


def continued(one: One, key: str, future: Any, calendar: bool, ahead: int) -> One:
    """A series with the future covariates of the `ahead` steps after its end, and only those."""
    beyond = None if one.index is None else following(one.index, ahead)
    name = f"series {key!r}, future covariates" if key else "future covariates"
    rows = _covariates(name, future, ahead, beyond)
    if calendar:
        rows = np.concatenate([rows, calendar_features(beyond)], axis=1)
    if one.form.covariates is not None and future is not None:
        _same_names(one.form.covariates[one.past.shape[1] :], _names(future))
    if rows.shape[1] != one.future.shape[1]:
        raise DataError(
            f"{name}: fit was given {one.future.shape[1]} columns, predict "
            f"{rows.shape[1]}; it needs the same for the {ahead} steps forecast"
        )
    return one._replace(future=np.concatenate([one.future[: len(one.y)], rows]))


def tail(one: One, n: int) -> One:
    """The last n rows of a series, with all that is known of the steps after."""
    index = None if one.index is None else one.index[-n:]
    return One(one.y[-n:], one.past[-n:], one.future[len(one.y) - n :], index, one.form)


def _array(name: str, x: Any) -> Array:
    if np.iscomplexobj(x):
        raise DataError(f"{name}: holds complex numbers; give real and imaginary part as columns")
    try:
        a = np.asarray(x, np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{name}: holds what is no number ({error})") from None
    a = a[:, None] if a.ndim == 1 else a
    if a.ndim != 2 or not a.shape[1]:
        raise DataError(f"{name}: must be (T,) or (T, columns), got {np.shape(x)}")
    if not np.isfinite(a).all():
        k = int(np.argwhere(~np.isfinite(a))[0][0])
        row = x.index[k] if hasattr(x, "iloc") else k
        raise DataError(f"{name}: NaN or infinite at {row}; fill or cut the series")
    return a


def _dates(name: str, index: Any) -> Any:
    """An index of dates with its frequency; None for one of anything else."""
    pd = pandas()
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if not isinstance(index, pd.DatetimeIndex):
        return None
    if index.freq is not None and index.is_monotonic_increasing:
        return index
    if len(index) >= 3 and index.is_monotonic_increasing and index.is_unique:
        freq = frequency(index)
        if freq is not None and len(pd.date_range(index[0], index[-1], freq=freq)) == len(index):
            return pd.DatetimeIndex(index, freq=freq)
    raise DataError(
        f"{name}: its dates are not in even steps; sort and fill them, as train.read_table does"
    )


def _covariates(name: str, x: Any, n: int, index: Any) -> Array:
    """The n rows that belong to the targets."""
    if x is None:
        return np.empty((n, 0))
    if hasattr(x, "iloc") and index is not None:
        missing = index.difference(x.index)
        if len(missing):
            raise DataError(f"{name}: {len(missing)} dates are missing, the first is {missing[0]}")
        x = x.loc[index]
    a = _array(name, x)
    if len(a) < n:
        raise DataError(f"{name}: {len(a)} rows, needs {n}")
    return a[:n]


def following(index: Any, n: int) -> Any:
    """The n dates after the last of an index."""
    return pandas().date_range(index[-1], periods=n + 1, freq=index.freq)[1:]


def calendar_features(index: Any) -> Array:
    """Sines and cosines of hour, weekday and day of the year, those that the dates' step resolves.

    >>> calendar_features(pandas().date_range("2000", periods=5, freq="MS")).shape
    (5, 2)
    """
    step = (index[0] + index.freq - index[0]) / pandas().Timedelta(days=1)
    turns = [(index.day_of_year - 1) / 365.2425]
    if step < 7:
        turns.append(index.day_of_week / 7)
    if step < 1:
        turns.append((index.hour + index.minute / 60) / 24)
    angles = 2 * np.pi * np.array(turns)
    return np.concatenate([np.sin(angles), np.cos(angles)]).T


def like(one: One, y: Array, quantiles: Any = None) -> Any:
    """A forecast (H, targets) or (H, targets, q) in the form the series came in."""
    kind, names, start, _ = one.form
    if kind in ("vector", "matrix"):
        return y[:, 0] if kind == "vector" else y
    pd, h = pandas(), len(y)
    index = pd.RangeIndex(start, start + h) if one.index is None else following(one.index, h)
    if quantiles is None:
        if kind == "series":
            return pd.Series(y[:, 0], index, name=names[0])
        return pd.DataFrame(y, index, names)
    if kind == "series":
        return pd.DataFrame(y[:, 0], index, pd.Index(quantiles, name="quantile"))
    columns = pd.MultiIndex.from_product([names, quantiles], names=["target", "quantile"])
    return pd.DataFrame(y.reshape(h, -1), index, columns)


def packed(one: One) -> dict[str, Any]:
    """A series as numbers and strings, as a file takes them."""
    state: dict[str, Any] = {"y": one.y, "past": one.past, "future": one.future}
    state["form"] = [
        one.form.kind,
        [n if n is None else str(n) for n in one.form.names],
        one.form.next,
        one.form.covariates,
    ]
    if one.index is not None:
        zone = None if one.index.tz is None else str(one.index.tz)
        state["dates"] = [one.index[-1].isoformat(), one.index.freqstr, zone]
    return state


def unpacked(state: Mapping[str, Any]) -> One:
    """What `packed` took apart."""
    index = None
    if "dates" in state:
        pd = pandas()
        last, freq, zone = state["dates"]
        end = pd.Timestamp(last)
        end = end if zone is None else end.tz_convert(zone)
        index = pd.date_range(end=end, periods=len(state["y"]), freq=freq)
    return One(state["y"], state["past"], state["future"], index, Form(*state["form"]))
