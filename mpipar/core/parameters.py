"""Typed keyword parameters of a kernel, and how text becomes their values."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean

_EXACT_DIGITS = 15  # numbers with no more of them are different doubles
LARGEST_INT = 2**63 - 1
"""Whole numbers given as options may not be larger: NumPy, HDF5 and MPI count in 64 bits."""


class AtLeast(NamedTuple):
    """Lower bound of a parameter, inclusive: ``Annotated[float, AtLeast(0)]``."""

    minimum: float


PositiveInt = Annotated[int, AtLeast(1)]
"""A whole number from 1 on."""

NonNegativeInt = Annotated[int, AtLeast(0)]
"""A whole number from 0 on."""

_REQUIRED: Any = inspect.Parameter.empty


class Parameter(NamedTuple):
    """One option of a driver, and how users meet it.

    Attributes
    ----------
    name : str
        As in the kernel's signature.
    type : type
        int, float, str, bool or pathlib.Path.
    default : object
        Value if none is given; :attr:`required` tells whether there is one.
    choices : tuple
        Allowed values, or empty.
    minimum : float or None
        Smallest allowed number.
    many : bool
        Whether it takes a list of values.
    optional : bool
        Whether None is allowed.
    help : str
        One line from the kernel's docstring.
    metavar : str
        What stands for its value in help.
    otherwise : str
        Its default in words, if the value itself doesn't say it.
    job_key : str
        The key of a job file that stands for it.
    of_tables : bool
        Whether only kernels that make one table have it.
    """

    name: str
    type: type
    default: Any = _REQUIRED
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    many: bool = False
    optional: bool = False
    help: str = ""
    metavar: str = ""
    otherwise: str = ""
    job_key: str = ""
    of_tables: bool = False

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is _REQUIRED

    @property
    def allowed(self) -> str:
        """What values are allowed, in words."""
        if self.choices:
            return one_of(self.choices)
        words = _WORDS[self.type]
        if self.minimum is not None:
            words += f" from {self.minimum:g} on"
        return words

    def parse(self, text: str) -> Any:
        """Return the (single) value that ``text`` stands for. Raises BadInput."""
        try:
            value = _PARSERS[self.type](text)
        except (ValueError, OverflowError) as error:
            raise BadInput(str(error) or f"expected {self.allowed}, got {text!r}") from None
        return self.check(value)

    def check(self, value: Any) -> Any:
        """Return one value as this parameter's type, or raise BadInput."""
        if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
            value = value.item()  # a NumPy scalar
        if self.type is int and isinstance(value, float) and value.is_integer():
            value = int(value)  # 1e6, as on a command line
        value = self._of_type(value)
        self._check_range(value)
        is_too_small = self.minimum is not None and value < self.minimum
        is_no_choice = self.choices and value not in self.choices
        if is_too_small or is_no_choice:
            raise BadInput(f"expected {self.allowed}, got {value!s}{self._meant(value)}")
        return value

    def _of_type(self, value: Any) -> Any:
        """Return a value as this parameter's type; True is no whole number here."""
        is_bool = isinstance(value, bool)
        fits = isinstance(value, _FITTING.get(self.type, self.type))
        if not fits or (is_bool and self.type is not bool):
            raise BadInput(f"expected {self.allowed}, got {value!r}{self._meant(value)}")
        try:
            return self.type(value)
        except OverflowError:
            raise BadInput(f"expected {self.allowed}, got one beyond the range of floats") from None

    def _check_range(self, value: Any) -> None:
        if self.type is float and not math.isfinite(value):
            raise BadInput(f"expected {self.allowed}, got {value!r}")
        if self.type is int and abs(value) > LARGEST_INT:
            raise BadInput(f"expected {self.allowed} of at most 64 bits, got a larger one")

    def _meant(self, value: Any) -> str:
        if not isinstance(value, str):
            return ""
        return did_you_mean(value, map(str, self.choices))

    def check_all(self, value: Any) -> Any:
        """Return a whole value (None, one, or a list) as this parameter takes it, or raise BadInput
        naming it.
        """
        if value is None and self.optional:
            return None
        try:
            if self.many:
                return self._check_list(value)
            return self.check(value)
        except BadInput as error:
            raise BadInput(str(error), option=self.name) from None

    def _check_list(self, values: Any) -> list[Any]:
        is_list = hasattr(values, "__iter__") and not isinstance(values, str)
        if not is_list:
            raise BadInput(f"expected a list, each {self.allowed}, got {values!r}")
        return [self.check(value) for value in values]


def one_of(choices: tuple[Any, ...]) -> str:
    """Return "a, b or c"."""
    *others, last = map(str, choices)
    if not others:
        return last
    return f"{', '.join(others)} or {last}"


def parse_int(text: str) -> int:
    """Return the whole number in ``text``, which may be written as 1000, 1_000, 1e3 or 1.5e3.
    Raises ValueError.
    """
    small = _small_whole_number(text)
    if small is not None:
        return small
    from decimal import Decimal, InvalidOperation  # takes time to load

    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"expected a whole number, got {text!r}") from None
    if not number.is_finite():
        raise ValueError(f"expected a whole number, got {text!r}")
    if number.adjusted() > 19:
        raise ValueError(f"expected a whole number of at most 64 bits, got {text!r}")
    if number != number.to_integral_value():
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(number)


def _small_whole_number(text: str) -> int | None:
    """Return the whole number in a text with so few digits that none is rounded, or None."""
    if len(text) > _EXACT_DIGITS:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    is_small = 0 < abs(number) < 10.0**_EXACT_DIGITS
    if is_small and number.is_integer():
        return int(number)
    return None


def _parse_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number, got {text!r}") from None


def _parse_bool(text: str) -> bool:
    word = text.lower()
    if word in ("true", "yes", "1"):
        return True
    if word in ("false", "no", "0"):
        return False
    raise ValueError(f"expected true or false, got {text!r}")


_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
}

_FITTING: dict[type, tuple[type, ...]] = {float: (float, int), Path: (Path, str)}
"""Types of values that stand for one of another."""

_PARSERS: dict[type, Callable[[str], Any]] = {
    int: parse_int,
    float: _parse_float,
    str: str,
    bool: _parse_bool,
    Path: Path,
}


BLOCK = Parameter(
    "block", int, None, minimum=1, help="items in a block (default: by the driver and n)"
)
SEED = Parameter("seed", int, 0, minimum=0, help="seed of the random streams")


def parameters_of(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Return the keyword-only parameters of ``function``. Raises TypeError for a type that can't be
    an option.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    described = _described_parameters(inspect.getdoc(function) or "")
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        where = f"{function.__name__}: parameter {parameter.name!r}"
        if parameter.name not in hints:
            raise TypeError(f"{where} needs a type, such as int or float")
        try:
            traits = _traits(hints[parameter.name])
        except TypeError as error:
            raise TypeError(f"{where}: {error}") from None
        found.append(
            Parameter(
                parameter.name,
                default=parameter.default,
                help=described.get(parameter.name, ""),
                **traits,
            )
        )
    return tuple(found)


def values_of(
    parameters: Iterable[Parameter],
    given: Mapping[str, Any],
    owner: str,
) -> dict[str, Any]:
    """Return the value of each parameter of ``owner``: as given, or by default. Raises BadInput."""
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            raise unknown_parameter(owner, name, known)
    values = {}
    for name, parameter in known.items():
        if name in given:
            values[name] = parameter.check_all(given[name])
        elif parameter.required:
            raise BadInput(f"{owner} needs a value for {name!r} ({parameter.allowed})")
        else:
            values[name] = parameter.default
    return values


def unknown_parameter(
    owner: str,
    name: str,
    known: Iterable[str],
    others: Iterable[str] = (),
) -> BadInput:
    """Return what to raise for a parameter that isn't among those known; ``others`` are names that
    may be meant, too.
    """
    known = list(known)
    hint = did_you_mean(name, [*known, *others])
    if not hint:
        there_are = ", ".join(known) or "none"
        hint = f"; it has {there_are}"
    return BadInput(f"{owner} has no parameter {name!r}{hint}")


def _traits(hint: Any) -> dict[str, Any]:
    """Return the fields of a Parameter that an annotation says."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is Annotated:
        traits = _traits(arguments[0])
        for note in arguments[1:]:
            if isinstance(note, AtLeast):
                traits["minimum"] = note.minimum
        return traits
    if origin is Literal:
        return {"type": type(arguments[0]), "choices": arguments}
    or_none = _or_none(origin, arguments)
    if or_none is not None:
        return {**_traits(or_none), "optional": True}
    if _is_list(origin, arguments):
        return {**_traits(arguments[0]), "many": True}
    if hint in _PARSERS:
        return {"type": hint}
    raise TypeError(
        f"{hint!r} can't be an option; int, float, str, bool, Path, Literal, lists and | None can"
    )


def _or_none(origin: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the type in "type | None", or None if it isn't that."""
    is_union = origin in (typing.Union, types.UnionType)
    if not is_union or len(arguments) != 2 or types.NoneType not in arguments:
        return None
    first, second = arguments
    return second if first is types.NoneType else first


def _is_list(origin: Any, arguments: tuple[Any, ...]) -> bool:
    """Return whether a type is list[type] or tuple[type, …]."""
    if origin is list:
        return bool(arguments)
    return origin is tuple and arguments[1:] == (...,)


def _described_parameters(doc: str) -> dict[str, str]:
    """Return {name: first paragraph} from the Parameters section of a NumPy-style docstring."""
    found: dict[str, list[str]] = {}
    paragraph: list[str] = []
    for line in section_of(doc, "Parameters"):
        if not line.strip():
            paragraph = []  # what follows, up to the next name, is no more of the first
        elif line[0].isspace():
            paragraph.append(line)
        else:
            name, colon, _ = line.partition(":")
            paragraph = []
            if colon and name.strip().isidentifier():
                found[name.strip()] = paragraph
    return {name: " ".join(" ".join(words).split()) for name, words in found.items() if words}


def section_of(doc: str, title: str) -> list[str]:
    """Return the lines of a section of a NumPy-style docstring, after its title."""
    lines = doc.splitlines()
    titles = []
    for number, line in enumerate(lines[1:]):
        if line and not line.strip("-") and lines[number][:1].strip():
            titles.append(number)
    for number, end in zip(titles, [*titles[1:], len(lines)], strict=False):
        if lines[number] == title:
            return lines[number + 2 : end]
    return []
