"""Roots, or any expression, of many numbers.   mpirun -np 4 python -m mpipar.roots --points 1e8
--output roots.h5
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mpipar import BadInput, Block, Dataset, PositiveInt, driver
from mpipar.core.partials import has_mask
from mpipar.core.reduction import Array
from mpipar.inputs.common import one_line
from mpipar.inputs.dataset import check_readable, open_dataset
from mpipar.inputs.each_alone import check_each_alone
from mpipar.inputs.expression import function_of


def x_of(
    xp: Any,
    block: Block,
    points: int,
    over: list[float],
    input: str | None,
) -> Any:
    """Return the numbers of a block: rows of a dataset, or a part of an even grid without its
    end.
    """
    if input is not None:
        return xp.asarray(open_dataset(input)[block.start : block.stop])
    low, high = over
    # Doubles from the first: converting whole numbers would take most of the time.
    x = xp.arange(block.start, block.stop, dtype=xp.float64)
    x *= (high - low) / points
    x += low
    return x


def some(over: list[float], input: str | None) -> Array:
    """Return a few numbers, in no order."""
    if input is not None:
        return np.asarray(open_dataset(input)[:4])[::-1]
    low, high = over
    return np.array([low + (high - low) * place for place in (0.75, 0.25, 0.5)])


def sample(f: str, over: list[float], input: str | None) -> Array:
    """Return the result for the first number."""
    x = x_of(np, Block(0, 0, 1), 1, over, input)
    try:
        with np.errstate(all="ignore"):
            y = np.asarray(function_of(f, ["x"])(x))
    except Exception as error:
        raise BadInput(f"f: it fails for the first x: {one_line(error)}") from None
    if y.dtype.kind not in "biufc":
        raise BadInput(f"f: expected numbers, got {y.dtype}")
    if y.shape not in ((), x.shape):
        raise BadInput(f"f: expected one value for each x, got shape {y.shape} for shape {x.shape}")
    check_each_alone(f, function_of(f, ["x"]), [some(over, input)])
    return np.broadcast_to(y, x.shape)


def dataset(f: str, over: list[float], input: str | None) -> Dataset:
    """Return the dataset that the results go to."""
    first = sample(f, over, input)
    return Dataset("y", first.dtype, row=first.shape[1:], description=f"{f} for each x")


@driver(
    n=lambda points, input: len(open_dataset(input)) if input else points,
    reduction=dataset,
    block={"cpu": 2**15, "gpu": 2**24},
)
def roots(
    block: Block,
    xp: Any,
    *,
    f: str = "sqrt(x**3)",
    points: PositiveInt = 10**6,
    over: list[float] = [0.0, 1.0],  # noqa: B006
    input: str | None = None,
) -> Any:
    """Evaluate √(x³), or any expression, for each number of a range or of a dataset, into a
    dataset.

    Parameters
    ----------
    f : str
        NumPy expression of x, or module:function or path/file.py:function of an array.
    points : int
        How many numbers a range has.
    over : list of float
        The first number of a range, and its end (which is not part of it).
    input : str
        Take the numbers from a dataset instead: FILE.h5:/NAME.

    Examples
    --------
    mpirun -np 2 python -m mpipar.roots --f "sqrt(x**3)" --over 0 100 --points 1e6 --output roots.h5
    """
    x = x_of(xp, block, points, over, input)
    y = function_of(f, ["x"], xp)(x)
    if has_mask(y):  # which is refused by name, and broadcasting would drop it
        return y
    return xp.broadcast_to(y, x.shape)


@roots.made_on("compiled", strict=False, boundscheck=False, error_model="numpy")
def compiled(*, f: str, input: str | None) -> Any:
    """Return the same for a formula that is compiled, on a range."""
    from mpipar.kernels import formula_loops

    if input is not None:
        raise BadInput(
            "compiled code takes no rows of a dataset",
            option="input",
            remedy="take --device cpu",
        )
    return formula_loops.of_formula(formula_loops.roots, f, ["x"])


@roots.check
def check(*, f: str, over: list[float], input: str | None) -> None:
    """Refuse what can't be evaluated."""
    if len(over) != 2:
        raise BadInput(f"over: expected two numbers, got {over}")
    if input is not None:
        check_readable(open_dataset(input))
    function_of(f, ["x"])


if __name__ == "__main__":
    roots.main()
