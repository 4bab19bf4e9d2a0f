"""What kernels return, as plain arrays: a mask isn't dropped, nor a digit."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

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
    return np.asarray(array.data if isinstance(array, np.ma.MaskedArray) else array), mask


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


def check_real(array: Array | None, partial: Any, who: str) -> Array:
    """Return the array that a partial is if it has real numbers. Raises TypeError for anything
    else.
    """
    if array is None or array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(f"{who} needs real numbers (of 64 bits at most), got {describe(partial)}")
    return array


def has_large(array: Array) -> bool:
    """Return whether some of an array's whole numbers may not be doubles."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8 or not array.size:
        return False
    return bool(int(array.max()) > LARGEST_EXACT or int(array.min()) < -LARGEST_EXACT)


def doubles(array: Array, who: str) -> npt.NDArray[np.float64]:
    """Return real numbers as doubles. Raises TypeError if that changes one."""
    if has_large(array) and not same_integers(array, array.astype(np.float64)):
        raise TypeError(
            f"{who} would round whole numbers beyond 2**53, which are no doubles: write"
            " .astype(float) to let it"
        )
    return array.astype(np.float64, copy=False)


def same_integers(integers: Array, floats: Array) -> bool:
    """Return whether floating-point numbers are these whole numbers exactly."""
    if not np.all(np.isfinite(floats)):
        return False
    if integers.dtype.itemsize < 8 or not has_large(integers):
        return bool(np.all(floats == integers.astype(np.float64)))
    wide = floats.real.astype(np.longdouble) if np.finfo(np.longdouble).nmant >= 63 else None
    if wide is not None:
        return bool(np.all(wide == integers.astype(np.longdouble)))
    return all(int(x) == int(i) for x, i in zip(floats.real.flat, integers.flat, strict=True))


def _mask_of(array: Array) -> Array | None:
    """Return where an array is masked, or None for nowhere."""
    mask: Any = getattr(array, "mask", None) if type(array) is not np.ndarray else None
    if not isinstance(mask, (np.ndarray, np.bool_)):
        return None
    mask = np.asarray(mask)
    if mask.dtype.names:  # a table has a mask for each of its columns
        masks = [_any_of(mask[name], mask.ndim) for name in mask.dtype.names]
        mask = np.any(masks, axis=0)
    return np.broadcast_to(mask, array.shape) if mask.any() else None


def _any_of(mask: Array, ndim: int) -> Array:
    """Return where a column is masked, in any of its numbers."""
    if mask.dtype.names:
        mask = np.any([_any_of(mask[name], ndim) for name in mask.dtype.names], axis=0)
    return np.asarray(mask.any(axis=tuple(range(ndim, mask.ndim))))


def _has_masked(items: Any) -> bool:
    return any(
        isinstance(item, np.ma.MaskedArray)
        or (isinstance(item, (list, tuple)) and _has_masked(item))
        or (isinstance(item, np.ndarray) and type(item) is not np.ndarray and hasattr(item, "mask"))
        for item in items
    )


def _joined(items: Any) -> Any:
    """Return a list that has masked arrays in it as one array."""
    parts = [
        _joined(item) if isinstance(item, (list, tuple)) else np.ma.asarray(_with_mask(item))
        for item in items
    ]
    return np.ma.stack(parts) if parts else np.ma.zeros(0)


def _with_mask(item: Any) -> Any:
    """Return an array with a mask of another library as one of NumPy's."""
    if (
        isinstance(item, np.ma.MaskedArray)
        or type(item) is np.ndarray
        or not isinstance(item, np.ndarray)
    ):
        return item
    mask = _mask_of(item)
    return np.ma.array(np.asarray(item), mask=False if mask is None else mask)


def _check_list(items: Any, array: Array) -> None:
    """Raise TypeError if whole numbers in a list were rounded, as there are others in it that are
    not whole.
    """
    flat = np.empty(array.size, object)
    flat[:] = list(_leaves(items)) if array.size else []
    for item, made in zip(flat, array.flat, strict=True):
        if (
            isinstance(item, (int, np.integer))
            and abs(int(item)) > LARGEST_EXACT
            and int(made.real) != int(item)
        ):
            raise TypeError(
                f"a list of numbers of several types would round {item} to {made}: make an array"
                " of it"
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
