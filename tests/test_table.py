"""Files of series: each odd one is read right, or refused by name, line, and what to do."""

import numpy as np
import pandas as pd
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import train
from tinygrad_rnn.train.forecasting.cells import inferred, is_number, numbers
from tinygrad_rnn.train.forecasting.dated import frequency, labels

MONTHS = "2000-01,1\n2000-02,2\n2000-03,3\n2000-04,4\n"

# text or bytes, options, first date (None: no dates), frequency, values
READ = {
    "months": ("d,a\n" + MONTHS, {}, "2000-01-01", "MS", [1, 2, 3, 4]),
    "month ends": ("d,a\n2000-01-31,1\n2000-02-29,2\n2000-03-31,3\n", {}, "2000-01-31", "ME", [1, 2, 3]),
    "years by name": ("y,a\n1700,5\n1701,11\n1702,16\n", {"date_column": "y"}, "1700-01-01", "YS-JAN", [5, 11, 16]),
    "years without dates": ("y,a\n1700,5\n1701,11\n", {}, None, None, [5, 11]),
    "quarters": ("d,a\n2000Q1,1\n2000Q2,2\n2000Q3,3\n", {}, "2000-01-01", "QS-JAN", [1, 2, 3]),
    "hours": ("d,a\n2016-07-01 00:00:00,1\n2016-07-01 01:00:00,2\n2016-07-01 02:00:00,3\n", {}, "2016-07-01", "h", [1, 2, 3]),
    "quarter hours": ("d,a\n2016-07-01T00:00Z,1\n2016-07-01T00:15Z,2\n2016-07-01T00:30Z,3\n", {}, "2016-07-01T00:00Z", "15min", [1, 2, 3]),
    "seconds since 1970": ("t,a\n1467331200,1\n1467334800,2\n1467338400,3\n", {"date_column": "t"}, "2016-07-01T00:00Z", "h", [1, 2, 3]),
    "offset": ("d,a\n2016-07-01 00:00+02:00,1\n2016-07-01 01:00+02:00,2\n2016-07-01 02:00+02:00,3\n", {}, "2016-06-30T22:00Z", "h", [1, 2, 3]),
    "offset that changes": ("d,a\n2016-10-30 01:00+02:00,1\n2016-10-30 02:00+02:00,2\n2016-10-30 02:00+01:00,3\n2016-10-30 03:00+01:00,4\n", {}, "2016-10-29T23:00Z", "h", [1, 2, 3, 4]),
    "clock put back": ("d,a\n2016-10-30 01:00,1\n2016-10-30 02:00,2\n2016-10-30 02:00,3\n2016-10-30 03:00,4\n", {"timezone": "Europe/Berlin"}, "2016-10-29T23:00Z", "h", [1, 2, 3, 4]),
    "working days": ("d,a\n2024-01-04,1\n2024-01-05,2\n2024-01-08,3\n2024-01-09,4\n", {}, "2024-01-04", "B", [1, 2, 3, 4]),
    "weeks": ("d,a\n2024-01-07,1\n2024-01-14,2\n2024-01-21,3\n", {}, "2024-01-07", "W-SUN", [1, 2, 3]),
    "day first, by the 13th": ("d,a\n12/01/2020,1\n13/01/2020,2\n14/01/2020,3\n", {}, "2020-01-12", "D", [1, 2, 3]),
    "day first, by even steps": ("d,a\n01/10/2020,1\n01/11/2020,2\n01/12/2020,3\n01/01/2021,4\n", {}, "2020-10-01", "MS", [1, 2, 3, 4]),
    "day first, by format": ("d,a\n01/02/2020,1\n01/03/2020,2\n01/04/2020,3\n", {"date_format": "%d/%m/%Y"}, "2020-02-01", "MS", [1, 2, 3]),
    "German": ("Datum;Umsatz\n31.01.2020;1.234,5\n29.02.2020;7,25\n31.03.2020;-8\n", {}, "2020-01-31", "ME", [1234.5, 7.25, -8]),
    "month names": ('d,a\n"Jan 2000",1\n"Feb 2000",2\n"Mar 2000",3\n', {}, "2000-01-01", "MS", [1, 2, 3]),
    "month and short year": ("d,a\nJan-00,1\nFeb-00,2\nMar-00,3\n", {}, "2000-01-01", "MS", [1, 2, 3]),
    "short years": ("d,a\n12/1/20,1\n13/1/20,2\n14/1/20,3\n", {}, "2020-01-12", "D", [1, 2, 3]),
    "line break in a cell": ('n,a\n"x\ny",1\nz,2\n', {}, None, None, [1, 2]),
    "newest first": ("d,a\n2000-03,3\n2000-02,2\n2000-01,1\n", {}, "2000-01-01", "MS", [1, 2, 3]),
    "tabs": ("d\ta\n2000-01\t1\n2000-02\t2\n2000-03\t3\n", {}, "2000-01-01", "MS", [1, 2, 3]),
    "bars and spaces": ("d | a\n2000-01 | 1\n2000-02 | 2\n2000-03 | 3\n", {}, "2000-01-01", "MS", [1, 2, 3]),
    "Excel's sep line, BOM, CRLF": (b"\xef\xbb\xbfsep=;\r\nd;a\r\n2000-01;1,5\r\n2000-02;2,5\r\n2000-03;3\r\n;\r\n", {}, "2000-01-01", "MS", [1.5, 2.5, 3]),
    "UTF-16": ("d,a\n2000-01,1\n2000-02,2\n2000-03,3\n".encode("utf-16"), {}, "2000-01-01", "MS", [1, 2, 3]),
    "cp1252": ("Maß;Größe\n1;2\n3;4\n".encode("cp1252"), {"columns": "Größe"}, None, None, [2, 4]),
    "thousands": ('a\n"1,234.5"\n"12,345,678"\n', {}, None, None, [1234.5, 12345678]),
    "quoted decimal commas": ('a,b\n1,"1,5"\n2,"2,25"\n', {}, None, None, [1.5, 2.25]),
    "thousand or decimal, said": ('a\n"1,234"\n"2,345"\n', {"decimal": ","}, None, None, [1.234, 2.345]),
    "thin spaces": ("a;b\n1;1\u202f234,5\n2;2 345,0\n", {}, None, None, [1234.5, 2345]),
    "quoted separator": ('"a, of b",c\n1,2\n', {"columns": "a, of b"}, None, None, [1]),
    "no newline at the end, empty lines after": ("a\n1\n2\n\n\n", {}, None, None, [1, 2]),
    "an empty line between": ("a,b\n1,2\n\n3,4\n", {}, None, None, [2, 4]),
    "gap filled": ("d,a\n2000-01,1\n2000-02,2\n2000-03,3\n2000-06,6\n", {"gaps": "interpolate"}, "2000-01-01", "MS", [1, 2, 3, pytest.approx(3 + 3 * 31 / 92), pytest.approx(3 + 3 * 61 / 92), 6]),
    "empty cell filled": ("a,b\n1,2\n2,\n3,4\n", {"gaps": "interpolate"}, None, None, [2, 3, 4]),
    "zeros and negatives": ("a\n0\n-1\n+2e-1\n", {}, None, None, [0, -1, 0.2]),
}  # fmt: skip


def read(tmp_path, text, **options):
    path = tmp_path / "odd.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return train.read_table(path, **options)


@pytest.mark.parametrize("name", READ)
def test_odd_files_are_read_right(name, tmp_path):
    text, options, first, freq, values = READ[name]
    frame = read(tmp_path, text, **options).frame
    assert frame.iloc[:, 0].tolist() == values
    if first is None:
        assert frame.index.tolist() == list(range(len(values)))
    else:
        assert frame.index[0] == pd.Timestamp(first)
        assert (pd.date_range(first, periods=len(frame), freq=freq) == frame.index).all()


REFUSED = {
    "text": ("a,b\n1,2\n3,x\n", {}, r"odd.csv, line 3: column 'b' holds 'x', not a number"),
    "text after a cell of two lines": ('n,a\n"x\ny",1\nz,q\n', {}, "line 4: column 'a' holds 'q'"),
    "empty line of one column": ("a\n1\n\n3\n", {}, "line 3: column 'a' is empty"),
    "empty cell": ("a,b\n1,2\n3,\n", {}, r"line 3: column 'b' is empty .*--gaps interpolate"),
    "NaN": ("a\n1\nnan\n", {}, "line 3: column 'a' is empty"),
    "empty at the end, to be filled": ("a,b\n1,2\n3,\n", {"gaps": "interpolate"}, "cannot be interpolated"),
    "infinite": ("a\n1\ninf\n", {"gaps": "interpolate"}, "line 3: column 'a' holds 'inf', not a finite"),
    "infinite at once": ("n,a\nx,Inf\ny,1\n", {}, "line 2: column 'a' holds 'Inf', not a finite"),
    "overflow": ("a\n1\n1e999\n", {}, "line 3: column 'a' holds 1e999, not finite"),
    "Excel's error": ("a\n1\n#DIV/0!\n", {}, "line 3: column 'a' holds '#DIV/0!'"),
    "percent": ("a\n1\n2 %\n", {}, "line 3: column 'a' holds '2 %'"),
    "open quote": ('a\n1\n"2\n3\n', {}, "line 4: quotes do not match"),
    "short row": ("a,b\n1,2\n3\n", {}, "line 3: 1 cells under a header of 2"),
    "long row": ("a,b\n1,2\n3,4,5\n", {}, "line 3: 3 cells under a header of 2"),
    "all rows long": ("a,b\n1,2,3\n3,4,5\n", {}, "line 2: 3 cells under a header of 2"),
    "title before the header": ("Sales of 2020\nd,a\n2000-01,1\n", {}, "line 2: 2 cells under a header of 1"),
    "unquoted decimal commas": ("a,b\n1,2,5\n2,3,5\n", {}, "line 2: 3 cells .* in quotes"),
    "thousand or decimal": ('a\n"1,234"\n"2,345"\n', {}, "either a decimal comma or a thousand"),
    "no rows": ("a,b\n", {}, "at least one row"),
    "empty": ("", {}, "is empty"),
    "no header": ("1,2\n3,4\n", {}, "line 1: holds values; needs a header"),
    "the same name": ("a,a\n1,2\n", {}, "two columns are called 'a'"),
    "no numbers": ("a\nx\n", {}, "no column of numbers among a"),
    "another separator": ("d a\n2000-01 1\n", {}, "no column of numbers .*--separator"),
    "unknown column": ("a\n1\n", {"columns": "b"}, "no column 'b'; the columns are a"),
    "unknown dates": ("a\n1\n", {"date_column": "d"}, "no column 'd'"),
    "bad date": ("d,a\n2000-11,1\n2000-12,1\n2000-13,1\n", {}, "line 4: '2000-13' in column 'd' is no date"),
    "two formats": ("d,a\n2000-01-01,1\n02.01.2000,2\n", {}, "line 3: '02.01.2000' .* otherwise"),
    "no date": ("d,a\n2000-01,1\n,2\n", {}, "line 3: column 'd' has no date"),
    "Excel's day numbers": ("d,a\n43831,1\n43832,1\n", {"date_column": "d"}, "a number and no date"),
    "which is the day": ("d,a\n01/02/2020,1\n01/03/2020,2\n01/04/2020,3\n", {}, "both day first and month first"),
    "which is the day, of two": ("d,a\n01/02/2020,1\n01/03/2020,2\n", {}, "both day first and month first"),
    "which is the day, with a gap": ("d,a\n01/02/2020,1\n01/03/2020,2\n01/05/2020,4\n01/06/2020,5\n", {"gaps": "interpolate"}, "both day first and month first"),
    "order": ("d,a\n2000-01,1\n2000-03,2\n2000-02,2\n", {}, "line 4: 2000-02-01 .* comes after 2000-03-01"),
    "twice": ("d,a\n2000-01,1\n2000-02,2\n2000-02,2\n", {}, "line 4: 2000-02-01 .* a second time; .*--id-column"),
    "gap": ("d,a\n2000-01,1\n2000-02,1\n2000-03,1\n2000-06,1\n", {}, "2000-04-01 .*: column 'a' .* the first of 2 gaps"),
    "uneven": ("d,a\n2000-01-01,1\n2000-01-05,1\n2000-01-06,1\n2000-02-17,1\n", {}, "is not in even steps"),
    "clock without its zone": ("d,a\n2016-10-30 01:00,1\n2016-10-30 02:00,2\n2016-10-30 02:00,3\n2016-10-30 03:00,4\n", {}, "a second time; .*--timezone"),
    "unknown zone": ("d,a\n2016-10-30 01:00,1\n2016-10-30 02:00,2\n", {"timezone": "Mars/Base"}, "do not fit the time zone 'Mars/Base'"),
    "unknown zone of offsets": ("d,a\n2016-10-30 01:00+01:00,1\n", {"timezone": "Mars/Base"}, "do not fit the time zone"),
    "hour that was twice, once": ("d,a\n2016-10-30 01:00,1\n2016-10-30 02:00,2\n2016-10-30 03:00,3\n", {"timezone": "Europe/Berlin"}, "do not fit the time zone"),
    "hour that was not": ("d,a\n2016-03-27 01:00,1\n2016-03-27 02:00,2\n", {"timezone": "Europe/Berlin"}, "do not fit the time zone"),
    "Excel workbook": (b"PK\3\4....", {}, "Excel workbook; save its sheet as CSV"),
    "no text": (b"\x00\x01\x02", {}, "is not a text file"),
    "no header over dates": ("2000-01-01,1\n2000-01-02,2\n", {}, "line 1: holds values; needs a header"),
    "gaps misspelt": ("a\n1\n", {"gaps": "fill"}, "must be 'error' or 'interpolate'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_cannot_be_used(name, tmp_path):
    text, options, message = REFUSED[name]
    with pytest.raises(tg.DataError, match=message):
        read(tmp_path, text, **options)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(tg.DataError, match=r"none.csv: cannot be read \(No such file"):
        train.read_table(tmp_path / "none.csv")


def test_several_series_of_one_file(tmp_path):
    rows = "".join(
        f"2000-{m:02d},{s},{m * k}\n" for m in range(1, 9) for s, k in (("x", 1), ("y", 9))
    )
    table = read(tmp_path, "d,shop,a\n" + rows, id_column="shop")
    assert list(table.frames) == ["x", "y"]
    assert table.frames["y"]["a"].tolist() == [9, 18, 27, 36, 45, 54, 63, 72]
    with pytest.raises(tg.DataError, match="holds 2 series"):
        _ = table.frame
    with pytest.raises(tg.DataError, match="shop y, 2000-03-01"):
        read(tmp_path, "d,shop,a\n" + rows.replace("2000-03,y,27\n", ""), id_column="shop")


def test_columns_of_the_future_may_go_on(tmp_path):
    text = "d,a,f\n2000-01,1,5\n2000-02,2,6\n2000-03,3,7\n2000-04,,8\n"
    frame = read(tmp_path, text, columns=["a", "f"], future=["f"]).frame
    assert frame["f"].tolist() == [5, 6, 7, 8]
    assert frame["a"].isna().tolist() == [False, False, False, True]
    for odd in (text.replace("2,6", ",6"), text.replace(",,8", ",,"), text.replace("2,6", "2,")):
        with pytest.raises(tg.DataError, match="is empty or the row is missing"):
            read(tmp_path, odd + "2000-05,,9\n", columns=["a", "f"], future=["f"])
    filled = read(
        tmp_path, text.replace("2,6", ",6"), columns=["a", "f"], future=["f"], gaps="interpolate"
    )
    assert filled.frame["a"].tolist()[:3] == [1, pytest.approx(1 + 2 * 31 / 60), 3]
    assert np.isnan(filled.frame["a"].iloc[3])


def test_what_was_guessed_is_noted(tmp_path):
    table = read(tmp_path, "d,a\n2000-06,6\n2000-03,3\n2000-02,2\n2000-01,1\n", gaps="interpolate")
    assert len(table.notes) == 2
    assert "newest row came first" in table.notes[0]
    assert "2 gaps filled along straight lines, the first at 2000-04-01" in table.notes[1]


def test_dates_with_offsets_are_in_utc_in_summer_as_over_the_year(tmp_path):
    text = "d,a\n2016-07-01 00:00+02:00,1\n2016-07-01 01:00+02:00,2\n2016-07-01 02:00+02:00,3\n"
    assert str(read(tmp_path, text).frame.index.tz) == "UTC"
    assert str(read(tmp_path, text, timezone="Europe/Paris").frame.index.tz) == "Europe/Paris"


def test_labels_say_when_hours_are_those_of_utc():
    hours = pd.date_range("2024-03-31", periods=2, freq="h", tz="UTC")
    assert labels(hours) == ["2024-03-31 00:00Z", "2024-03-31 01:00Z"]
    assert labels(hours.tz_convert("Europe/Berlin")) == ["2024-03-31 01:00", "2024-03-31 03:00"]


@pytest.mark.parametrize(
    "freq", ["D", "h", "15min", "MS", "ME", "QS-FEB", "YS-JAN", "B", "W-SUN", "2h"]
)
def test_frequency_is_pandas_own_and_survives_gaps(freq):
    index = pd.date_range("2019-12-31 00:00", periods=90, freq=freq)
    kept = index[np.random.default_rng(0).permutation(90)[:80]].sort_values()
    for found in (frequency(index), inferred(index), frequency(kept)):
        # before pandas 3.1 quarters from February were called those from November
        assert (pd.date_range(index[0], periods=90, freq=found) == index).all()


def test_numbers_of_any_notation_agree_with_float():
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [rng.normal(size=50) * 10.0 ** rng.integers(-3, 8, 50), [0.0, -7, 1e-9]]
    )
    for text, mark in (
        (repr, None),
        (lambda v: f"{v:,.6f}", "."),
        (lambda v: f"{v:,.6f}".translate(str.maketrans(",.", ".,")), ","),
    ):
        cells = pd.Series([text(float(v)) for v in values])
        expected = [float(f"{v:.6f}") if mark else v for v in values]
        assert numbers("f", "a", cells, None).tolist() == expected
        assert all(map(is_number, cells))
