import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpipar import AtLeast, BadInput, NonNegativeInt, PositiveInt
from mpipar.core.parameters import LARGEST_INT, Parameter, one_of, parameters_of, parse_int

MODERATE = settings(max_examples=150, deadline=None)

TYPES = (int, float, str, bool, Path)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-7", -7),
        (" 12 ", 12),
        ("1e9", 10**9),
        ("10_000", 10_000),
        ("1.5e3", 1500),
        ("1_0e1_0", 10**11),
        ("2.000", 2),
        ("120e-1", 12),
        ("9223372036854775807", LARGEST_INT),
        ("9007199254740993", 2**53 + 1),  # not a double
    ],
)
def test_whole_numbers_may_be_written_in_several_ways(text, number):
    assert parse_int(text) == number
    assert type(parse_int(text)) is int


@pytest.mark.parametrize(
    "text",
    ["abc", "1.5", "1e-3", "nan", "snan", "inf", "-inf", "", " ", "1e", "0x10", "1,000", "1 0"],
)
def test_what_is_no_whole_number_is_refused_and_quoted(text):
    with pytest.raises(ValueError, match="expected a whole number") as caught:
        parse_int(text)
    assert repr(text) in str(caught.value)


@MODERATE
@given(st.from_regex(r"\A-?[0-9]{1,12}(\.[0-9]{0,8})?(e[+-]?[0-9]{1,3})?\Z"))
@example("1e-400")
@example("999999999999999")
@example("9999999999999e3")
@example("0.9999999999999")
def test_whole_numbers_are_those_of_decimal(text):
    number = Decimal(text)
    is_whole = number == number.to_integral_value() and number.adjusted() <= 19
    if is_whole:
        assert parse_int(text) == int(number)
    else:
        with pytest.raises(ValueError, match="expected a whole number"):
            parse_int(text)


@pytest.mark.parametrize(
    "text", ["1e400", "1e999999999", "-1e999999999", "1e-999999999", "9" * 5000, "0." + "1" * 5000]
)
def test_numbers_of_any_length_are_refused_at_once(text):
    began = time.process_time()
    with pytest.raises(ValueError, match="expected a whole number"):
        parse_int(text)
    with pytest.raises(BadInput):
        Parameter("n", int).parse(text)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775808", "1e19"])
def test_numbers_beyond_64_bits_are_refused(text):
    with pytest.raises(BadInput, match="64 bits"):
        Parameter("n", int).parse(text)


@MODERATE
@given(number=st.integers(-LARGEST_INT, LARGEST_INT))
def test_every_64_bit_number_is_read_as_it_is(number):
    assert Parameter("n", int).parse(str(number)) == number
    assert Parameter("n", int).parse(f"{number:_}") == number


@MODERATE
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_double_is_read_as_it_is(number):
    assert Parameter("x", float).parse(repr(number)) == number


texts = st.text(max_size=20) | st.text("0123456789+-._eE infa", max_size=12)


@MODERATE
@given(
    text=texts,
    kind=st.sampled_from(TYPES),
    minimum=st.none() | st.just(1),
    choices=st.just(()) | st.just((1, 2)),
)
@example(text="1e99999999999999999999", kind=int, minimum=None, choices=())
@example(text="\ud800", kind=int, minimum=None, choices=())
@example(text="1\x00", kind=int, minimum=None, choices=())
@example(text="٣", kind=int, minimum=None, choices=())
def test_any_text_is_parsed_or_refused(text, kind, minimum, choices):
    numeric = kind in (int, float)
    parameter = Parameter(
        "x", kind, minimum=minimum if numeric else None, choices=choices if numeric else ()
    )
    try:
        value = parameter.parse(text)
    except BadInput as error:
        refused = str(error)
    else:
        refused = None
        assert isinstance(value, kind)
        assert parameter.check(value) == value
    assert refused is None or "expected" in refused


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        *[
            (int, same, 3)
            for same in (3, np.int32(3), np.uint8(3), np.array(3), 3.0, np.float64(3))
        ],
        *[(float, same, 2.0) for same in (2, 2.0, np.float32(2), np.int64(2))],
        *[(bool, same, False) for same in (False, np.False_)],
        *[(str, same, "a") for same in ("a", np.str_("a"))],
        *[(Path, same, Path("a")) for same in ("a", Path("a"))],
    ],
)
def test_values_become_the_type_of_their_parameter(kind, given, value):
    checked = Parameter("x", kind).check(given)
    assert checked == value
    assert isinstance(checked, kind)
    assert not isinstance(checked, np.generic)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        *[
            (int, bad)
            for bad in (
                True,
                np.True_,
                1.5,
                np.float64(1.5),
                np.inf,
                np.nan,
                1e300,
                "1",
                None,
                [1],
                np.array([1]),
                2**63,
                1j,
            )
        ],
        *[
            (float, bad)
            for bad in (
                False,
                "1",
                float("nan"),
                float("inf"),
                np.float64("nan"),
                1j,
                None,
                10**400,
            )
        ],
        *[(bool, bad) for bad in (1, 0, np.int8(1), "true", None)],
        *[(str, bad) for bad in (1, b"a", Path("a"), None)],
        *[(Path, bad) for bad in (1, b"a", None)],
    ],
    ids=lambda given: getattr(given, "__name__", f"{given!s:.12}"),
)
def test_values_of_another_type_or_out_of_range_are_refused(kind, given):
    with pytest.raises(BadInput, match="expected"):
        Parameter("x", kind).check(given)


def test_minimum_is_inclusive_and_named():
    parameter = Parameter("x", float, minimum=0.5)
    assert parameter.check(0.5) == 0.5
    with pytest.raises(BadInput, match=r"a number from 0\.5 on, got 0\.25"):
        parameter.check(0.25)


def test_choices_are_listed_when_another_value_is_given():
    parameter = Parameter("kind", str, choices=("a", "b", "c"))
    assert parameter.check("b") == "b"
    with pytest.raises(BadInput, match="expected a, b or c, got d"):
        parameter.check("d")
    assert one_of(("a",)) == "a"


def test_lists_are_checked_item_by_item():
    parameter = Parameter("xs", int, many=True, minimum=0)
    assert parameter.check_all((1, np.int64(2))) == [1, 2]
    assert parameter.check_all(np.array([3, 4])) == [3, 4]
    assert parameter.check_all([]) == []
    for bad in (3, "34", None, [1, -1], [1, "2"]):
        with pytest.raises(BadInput, match=r"^xs: expected"):
            parameter.check_all(bad)


def test_none_is_allowed_for_optional_parameters_alone():
    assert Parameter("x", int, None, optional=True).check_all(None) is None
    with pytest.raises(BadInput, match=r"^x: expected a whole number, got None"):
        Parameter("x", int).check_all(None)


def documented(
    block,
    *,
    steps: PositiveInt,
    width: float = 0.5,
    seeds: list[NonNegativeInt] = (1, 2),
    limit: Annotated[float, AtLeast(-2)] | None = None,
    kind: Literal["fast", "slow"] = "fast",
    verbose: bool = False,
    folder: Path = Path("here"),
    pair: tuple[str, ...] = (),
):
    """Do something.

    Parameters
    ----------
    block : Block
        Not an option.
    steps : int
        Number of steps,
        over two lines.
    width : float
        100 % of it.

    Returns
    -------
    kind : str
        Not what this is about.
    """


def test_parameters_are_read_from_the_signature():
    steps, width, seeds, limit, kind, verbose, folder, pair = parameters_of(documented)
    assert steps == Parameter("steps", int, minimum=1, help="Number of steps, over two lines.")
    assert steps.required
    assert not width.required
    assert width == Parameter("width", float, 0.5, help="100 % of it.")
    assert seeds == Parameter("seeds", int, (1, 2), minimum=0, many=True)
    assert limit == Parameter("limit", float, None, minimum=-2, optional=True)
    assert kind == Parameter("kind", str, "fast", choices=("fast", "slow"))
    assert verbose == Parameter("verbose", bool, False)
    assert folder == Parameter("folder", Path, Path("here"))
    assert pair == Parameter("pair", str, (), many=True)


@pytest.mark.parametrize(
    "hint", [dict[str, int], complex, bytes, object, int | str, tuple[int, str], set[int], None]
)
def test_type_that_cannot_be_an_option_raises_and_names_the_parameter(hint):
    def kernel(block, *, odd_one): ...

    kernel.__annotations__["odd_one"] = hint
    with pytest.raises(TypeError, match=r"kernel: parameter 'odd_one'.*can't be an option"):
        parameters_of(kernel)


def test_parameter_without_a_type_raises_and_is_named():
    def kernel(block, *, bare=3): ...

    with pytest.raises(TypeError, match="kernel: parameter 'bare' needs a type"):
        parameters_of(kernel)
