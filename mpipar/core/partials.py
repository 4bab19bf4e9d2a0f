"""What kernels return, as plain arrays: a mask isn't dropped, nor a digit."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Doubles: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
DType: TypeAlias = np.dtype[Any]

LARGEST_EXACT = 2**53
"""All whole numbers up to this are doubles."""


def describe(partial: Any) -> str:
    """Return what a partial is, in a few words."""
    if isinstance(partial, np.ndarray):
        return f"an array of {partial.dtype}, shape {partial.shape}"
    return f"{type(partial).__name__} {partial!r:.60}"


def split_mask(partial: Any) -> tuple[Array | None, Array | None]:
    """Return a partial as a plain array, None for a ragged list; and where it is masked, None for
    nowhere.

    A list may have masked arrays in it, and an array of another library (dask, astropy) may have a
    mask of its own.
    """
    if type(partial) is np.ndarray:
        return partial, None
    if isinstance(partial, (list, tuple)) and _has_masked(partial):
        partial = _joined(partial)
    try:
        array = np.asanyarray(partial)
    except ValueError:
        return None, None
    mask = _mask_of(array)
    if isinstance(partial, (list, tuple)) and array.dtype.kind in "fc":
        _check_list(partial, array)
    if isinstance(array, np.ma.MaskedArray):
        array = array.data
    return np.asarray(array), mask


def has_mask(partial: Any) -> bool:
    """Return whether something in an array, or in a list of them, is masked."""
    if isinstance(partial, (list, tuple)):
        return any(map(has_mask, partial))
    return isinstance(partial, np.ndarray) and _mask_of(partial) is not None


def plain(partial: Any, who: str, remedy: str) -> Array | None:
    """Return a partial as a plain array, or None for a ragged list. Raises TypeError if some of it
    is masked.
    """
    array, mask = split_mask(partial)
    if mask is not None:
        raise TypeError(f"{who} can't leave out masked values ({_counted(mask)}): {remedy}")
    return array


def unmasked(partial: Any) -> Array | None:
    """Return a result as an array in which nan stands for what is masked, or None where no array
    holds it: lists that are ragged, or of which numbers would be rounded, and masked text.
    """
    try:
        array, mask = split_mask(partial)
    except (TypeError, ValueError):
        return None
    if array is None or mask is None:
        return array
    is_complex = array.dtype.kind == "c"
    if not is_complex and (array.dtype.kind not in "biuf" or has_large(array)):
        return None
    made = array.astype(np.result_type(array.dtype, np.float16))
    made[mask] = np.nan
    return made


def check_real(array: Array | None, partial: Any, who: str) -> Array:
    """Return the array that a partial is if it has real numbers. Raises TypeError for anything
    else.
    """
    if array is not None:
        is_real = array.dtype.kind in "fiub"
        if is_real and array.dtype.itemsize <= 8:
            return array
    raise TypeError(f"{who} needs real numbers (of 64 bits at most), got {describe(partial)}")


def has_whole_numbers(array: Array) -> bool:
    """Return whether an array is of whole numbers, be they of Python."""
    if array.dtype == object:
        return all(isinstance(number, int) for number in array.flat)
    return array.dtype.kind in "iub"


def has_large(array: Array) -> bool:
    """Return whether some of an array's whole numbers may not be doubles."""
    is_of_64_bits = array.dtype.kind in "iu" and array.dtype.itemsize == 8
    if not is_of_64_bits or not array.size:
        return False
    largest = int(array.max())
    least = int(array.min())
    return largest > LARGEST_EXACT or least < -LARGEST_EXACT


def doubles(array: Array, who: str) -> Doubles:
    """Return real numbers as doubles. Raises TypeError if that changes one."""
    made = array.astype(np.float64, copy=False)
    if has_large(array) and not same_integers(array, made):
        raise TypeError(
            f"{who} would round whole numbers beyond 2**53, which are no doubles: write"
            " .astype(float) to let it"
        )
    return made


def same_integers(integers: Array, floats: Array) -> bool:
    """Return whether floating-point numbers are these whole numbers exactly."""
    if not np.all(np.isfinite(floats)):
        return False
    if integers.dtype.itemsize < 8 or not has_large(integers):
        return bool(np.all(floats == integers.astype(np.float64)))
    real = floats.real
    has_64_bits = np.finfo(np.longdouble).nmant >= 63
    if has_64_bits:
        return bool(np.all(real.astype(np.longdouble) == integers.astype(np.longdouble)))
    pairs = zip(real.flat, integers.flat, strict=True)
    return all(int(number) == int(integer) for number, integer in pairs)


def _mask_of(array: Array) -> Array | None:
    """Return where an array is masked, or None for nowhere."""
    mask = None
    if type(array) is not np.ndarray:
        mask = getattr(array, "mask", None)
    if not isinstance(mask, (np.ndarray, np.bool_)):
        return None
    mask = np.asarray(mask)
    if mask.dtype.names:
        mask = _any_of_columns(mask, mask.ndim)
    if not mask.any():
        return None
    return np.broadcast_to(mask, array.shape)


def _any_of_columns(mask: Array, ndim: int) -> Array:
    """Return where a table is masked in any column: it has a mask for each of them."""
    names = mask.dtype.names or ()
    of_columns = [_any_of(mask[name], ndim) for name in names]
    return np.asarray(np.any(of_columns, axis=0))


def _any_of(mask: Array, ndim: int) -> Array:
    """Return where a column is masked, in any of its numbers."""
    if mask.dtype.names:
        mask = _any_of_columns(mask, ndim)
    inner_axes = tuple(range(ndim, mask.ndim))
    return np.asarray(mask.any(axis=inner_axes))


def _has_masked(items: Any) -> bool:
    """Return whether a list has arrays in it that can have a mask."""
    for item in items:
        if isinstance(item, (list, tuple)):
            if _has_masked(item):
                return True
        elif isinstance(item, np.ma.MaskedArray) or _is_of_another_library(item):
            return True
    return False


def _is_of_another_library(item: Any) -> bool:
    """Return whether this is an array with a mask, but not NumPy's own."""
    is_plain = type(item) is np.ndarray or isinstance(item, np.ma.MaskedArray)
    return isinstance(item, np.ndarray) and not is_plain and hasattr(item, "mask")


def _joined(items: Any) -> Any:
    """Return a list that has masked arrays in it as one array."""
    parts = []
    for item in items:
        if isinstance(item, (list, tuple)):
            parts.append(_joined(item))
        else:
            parts.append(np.ma.asarray(_with_mask(item)))
    if not parts:
        return np.ma.zeros(0)
    return np.ma.stack(parts)


def _with_mask(item: Any) -> Any:
    """Return an array with a mask of another library as one of NumPy's."""
    is_plain = type(item) is np.ndarray or isinstance(item, np.ma.MaskedArray)
    if is_plain or not isinstance(item, np.ndarray):
        return item
    mask = _mask_of(item)
    if mask is None:
        return np.ma.array(np.asarray(item), mask=False)
    return np.ma.array(np.asarray(item), mask=mask)


def _check_list(items: Any, array: Array) -> None:
    """Raise TypeError if whole numbers in a list were rounded, as there are others in it that are
    not whole.
    """
    has_large_numbers = np.any(np.abs(array) >= LARGEST_EXACT)
    if not has_large_numbers:
        return
    flat = np.empty(array.size, object)
    flat[:] = list(_leaves(items))
    for item, made in zip(flat, array.flat, strict=True):
        is_large = isinstance(item, (int, np.integer)) and abs(int(item)) > LARGEST_EXACT
        if is_large and int(made.real) != int(item):
            raise TypeError(
                f"a list of mixed types would round {item} to {made}: make an array of it"
            )


def _leaves(items: Any) -> Any:
    for item in items:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        elif isinstance(item, np.ndarray):
            yield from item.flat
        else:
            yield item


def _counted(mask: Array) -> str:
    return f"{np.count_nonzero(mask)} of {mask.size}"
