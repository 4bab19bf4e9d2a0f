"""Rotate, resize and convert a folder of images.   mpirun -np 4 python -m mpipar.images --input in
--into out
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, Literal

from mpipar import BadInput, Block, Count, Each, MinMax, PositiveInt, driver
from mpipar.kernels.images import check_pillow, check_places, convert, listing, renamed, size_after


@driver(
    n=lambda input: len(listing(input)[1]),
    block=1,
    reduction=Each(done=Count(), existing=Count(), cut=Count(), marks=MinMax()),
)
def images(
    block: Block,
    *,
    input: str,
    into: Path,
    rotate: float = 0.0,
    resize: str = "100%",
    format: Literal["keep", "png", "jpeg", "webp", "tiff", "bmp", "gif"] = "keep",
    quality: PositiveInt = 90,
    skip_existing: bool = False,
) -> dict[str, Any]:
    """Rotate, resize and convert images. One file is one block, so that --on-error skip leaves out
    unreadable files.

    Images are turned upright as their EXIF data say, and keep their colour profile, but no other
    metadata. Of several frames or pages the first is taken, and the result says of how many files.
    A result is written aside and then renamed, so that it is whole at any time; a run that was
    killed may leave hidden files that end in .part. In a folder, hidden files are left out, and
    links to folders are not followed.

    Parameters
    ----------
    input : str
        Folder of the images, with its subfolders, or a glob pattern in quotes.
    into : Path
        Folder for the results, at the same relative paths; made if there is none.
    rotate : float
        Degrees, counter-clockwise; new corners are black, or transparent where the image can be.
    resize : str
        Size after the rotation: 50%, 640x480 (exactly), or 640x or x480, which keep the ratio.
    format : str
        Format of the results, and suffix of those that had another format; keep is the original's.
    quality : int
        Quality of JPEG, WebP and AVIF, 1 to 100; WebP without losses stays that.
    skip_existing : bool
        Leave results that exist as they are.

    Examples
    --------
    mpirun -np 2 python -m mpipar.images --input photos --into small --resize 50% --on-error skip
    """
    base, names, mark = listing(input)
    done = 0
    cut = 0
    for name in names[block.start : block.stop]:
        source = os.path.join(base, name)
        target = into / renamed(name, format)
        if skip_existing and target.exists():
            continue
        try:
            cut += convert(source, target, rotate, resize, format, quality)
        except Exception as error:  # Pillow raises nearly all there are for broken files
            raise ValueError(
                f"{source!r} can't be converted: {type(error).__name__}: {error}"
            ) from error
        done += 1
    marks = [mark] * block.size
    return {"done": done, "existing": block.size - done, "cut": cut, "marks": marks}


@images.check
def check(*, input: str, into: Path, rotate: float, resize: str, format: str, quality: int) -> None:
    """Refuse what can't be converted, or has no place to go to."""
    check_pillow()
    if not math.isfinite(rotate):
        raise BadInput(f"rotate: expected degrees, got {rotate}")
    if quality > 100:
        raise BadInput(f"quality: expected a whole number from 1 to 100, got {quality}")
    size_after(resize, 1, 1)
    listing.cache_clear()  # of an earlier run in this process
    if not listing(input)[1]:
        raise BadInput(
            f"input: expected a folder with images, or a pattern that files match, got {input!r}"
        )
    check_places(input, into, format)


@images.finish
def summary(total: dict[str, Any], *, input: str) -> dict[str, int]:
    """Return the numbers of files, if all ranks and workers had the same list of them."""
    if {total["marks"].min, total["marks"].max} - {None, listing(input)[-1]}:
        raise RuntimeError(
            "files came or went while the run began, and some may be left out;"
            " run with --skip-existing"
        )
    counts = {"converted": total["done"], "existing": total["existing"]}
    if total["cut"]:
        counts["of_several_frames_the_first"] = total["cut"]
    return counts


if __name__ == "__main__":
    images.main()
