"""Types of columns of CSV files. The truth: pandas reads the text as it is, and a conversion must
lose none of it.
"""

import io
import itertools
import math

import pandas
import pytest

from mpipar.inputs.table import Reading, read_table

serial = itertools.count()

NUMBERS = {
    "whole": ["1", "-2", "30"],
    "with a point": ["0.5", "2.25", "-3.0"],
    "whole and with a point": ["0", "0.5", "1.5"],
    "of a spreadsheet": ["0.50", "0.75", "1.25"],
    "all zeros": ["1.00", "2.00", "10.00"],
    "money": ["1234.50", "-0.99", "100.00"],
    "some whole": ["0", "0.25", "0.50", "1"],
    "scientific": ["1e-3", "2.5e3", "1e5"],
    "capital": ["1E-3", "2.5E3", "1E5"],
    "of C": ["1.000e+05", "2.500e-03", "-3.125e+100"],
    "of Fortran": ["1.50E+03", "2.25E-01"],
    "of JavaScript": ["1e+21", "2.5e-7"],
    "of Python": ["1e-05", "0.5", "1e+16"],
    "of Windows": ["1.5e+003", "2.5e-010"],
    "infinite": ["1.5", "inf", "-inf"],
    "not a number": ["1.5", "nan"],
    "gap": ["0.50", "", "1.25"],
    "64 bits": ["18446744073709551615", "0"],
}
TEXTS = {
    "leading zeros": ["007", "008"],
    "one leading zero": ["07.50", "12.25"],
    "gap in ids": ["17", "", "19"],
    "exponents in ids": ["1e5", "2e7"],
    "exponents and letters": ["1e5", "3f2", "12"],
    "exponents and numbers": ["1e5", "17"],
    "plus": ["+1", "2"],
    "plus with a point": ["+1.5", "2.5"],
    "underscores": ["1_000", "2"],
    "versions": ["3.9", "3.10"],
    "versions with one": ["1", "1.0"],
    "names": ["inf", "nan", "ann"],
    "names and ids": ["1", "inf"],
    "telephone": ["+4930123456", "030123456"],
    "over 64 bits": ["18446744073709551616", "1"],
    "more digits than a float has": ["0.12345678901234567890", "0.5"],
    "digits of account numbers": ["1234567890123456789.50", "1.25"],
    "overflow": ["1.0e999", "1.0e2"],
    "underflow": ["1.0e-999", "1.0e2"],
    "other digits": ["٣", "2"],
    "hexadecimal": ["0x10", "0x11"],
    "no digit before the point": [".5", ".25"],
    "mixed exponents": ["1.5e3", "1.5e+03"],
    "thousands": ["1 000", "2 500"],
    "dates": ["2025-12-31", "2026-01-01"],
    "complex": ["1j", "2"],
    "yes and one": ["true", "1"],
}


def columns_of(texts, folder):
    """Return a column as it is read, and as pandas reads its text."""
    path = folder / f"table{next(serial)}.csv"
    path.write_text("x,other\n" + "".join(f'"{text}",a\n' for text in texts), encoding="utf-8")
    kept = pandas.read_csv(io.StringIO(path.read_text("utf-8")), dtype=str, keep_default_na=False)
    return read_table(path).column("x"), kept["x"].tolist()


@pytest.mark.parametrize("texts", NUMBERS.values(), ids=NUMBERS)
def test_columns_of_numbers_are_numbers(texts, tmp_path):
    values, kept = columns_of(texts, tmp_path)
    kind = int if all(text.lstrip("-").isdecimal() for text in kept) else float
    assert {type(value) for value in values} == {kind}
    for value, text in zip(values, kept, strict=True):
        truth = kind(text) if text else math.nan
        assert value == truth or (math.isnan(value) and math.isnan(truth))


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_columns_that_would_not_print_back_are_text(texts, tmp_path):
    values, kept = columns_of(texts, tmp_path)
    assert values == kept == texts


@pytest.mark.parametrize("texts", [*NUMBERS.values(), *TEXTS.values()], ids=[*NUMBERS, *TEXTS])
def test_columns_that_are_text_by_name_are_text(texts, tmp_path):
    path = tmp_path / "named.csv"
    path.write_text("x,other\n" + "".join(f'"{text}",a\n' for text in texts), encoding="utf-8")
    assert read_table(path, Reading((("x", "str"),))).column("x") == texts


def test_blanks_do_not_count_around_numbers_and_are_kept_in_text(tmp_path):
    """The truth is pandas', where blanks after a separator are none of the text."""
    path = tmp_path / "blanks.csv"
    path.write_text('n, name,x\n1, " a",2.5\n 3 ,"b ", 4.5\n5, "c, d",\xa06\n', "utf-8")
    kept = pandas.read_csv(path, dtype=str, skipinitialspace=True)
    table = read_table(path)
    assert table.column("n") == [1, 3, 5]
    assert table.column("name") == kept["name"].tolist() == [" a", "b ", "c, d"]
    assert table.column("x") == ["2.5", "4.5", "\xa06"], "a no-break space is no blank"


@pytest.mark.parametrize("missing", ["NA", "n/a", "null", "None", "NaN", ""])
def test_words_for_what_is_missing_are_nan_where_the_type_is_named(missing, tmp_path):
    path = tmp_path / "missing.csv"
    path.write_text(f"x,y\n1.5,a\n{missing},b\n")
    first, second = read_table(path, Reading((("x", "float"),))).column("x")
    assert first == 1.5
    assert math.isnan(second)
