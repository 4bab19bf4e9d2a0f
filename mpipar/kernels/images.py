"""Image files: find them, and make others of them."""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import re
import zlib
from pathlib import Path
from typing import Any, NoReturn

from mpipar.base.errors import BadInput
from mpipar.kernels.pixels import check_depth, compression_of, fitting, is_deep, turned, whole

with contextlib.suppress(ImportError):  # check_pillow says so
    from PIL import Image, ImageOps


def check_pillow() -> None:
    """Raise BadInput if Pillow isn't there."""
    if "Image" not in globals():
        raise BadInput("images needs Pillow: pip install 'mpipar[images]'")


def refuse(error: OSError) -> NoReturn:
    """Raise BadInput for a folder that can't be listed: its images would be left out, and nobody
    told.
    """
    raise BadInput(f"input: {error.strerror}: {error.filename!r}")


@functools.lru_cache(maxsize=1)
def listing(input: str) -> tuple[str, list[str], int]:
    """Return the folder of the images, their paths relative to it, sorted, and a checksum of
    these.
    """
    if os.path.isdir(input):
        base, kinds = input, Image.registered_extensions()  # which loads all formats
        decoded = {*Image.OPEN, "MPO"} - {
            "BUFR",
            "GRIB",
            "HDF5",
            "MPEG",
            "WMF",
        }  # these are recognised, no more
        paths = [
            os.path.join(folder, name)
            for folder, _, files in os.walk(base, onerror=refuse)
            for name in files
        ]
        paths = [path for path in paths if kinds.get(os.path.splitext(path)[1].lower()) in decoded]
        names = [
            name for path in paths if not re.search(r"(^|/)\.", name := os.path.relpath(path, base))
        ]
    else:
        base = os.path.dirname(re.split(r"[*?[]", input)[0]) or "."
        names = [os.path.relpath(path, base) for path in _matches(input) if os.path.isfile(path)]
    names = sorted(set(names))
    return base, names, zlib.crc32(os.fsencode("\0".join(names)))


def _matches(pattern: str) -> list[str]:
    """Return the paths that match a pattern; ``**`` stands for folders, but for hidden ones and
    links to others.

    The function of the standard library follows links, also those that lead back, which make many
    paths of one file.
    """
    found = re.match(r"(.*?)(?:^|(?<=/))\*\*(?:/+(.*))?$", pattern, re.DOTALL)
    if found is None:
        return glob.glob(pattern)
    first, rest = found[1], found[2] or "*"
    paths: list[str] = []
    for base in glob.glob(first) if first else [""]:
        for folder, folders, _ in os.walk(base or ".", onerror=refuse):
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths += _matches(os.path.join(glob.escape(folder), rest))
    return paths


def renamed(name: str, format: str) -> str:
    """Return the name of a result: the original's, with another suffix if that is not one of the
    format.
    """
    stem, suffix = os.path.splitext(name)
    kind = Image.registered_extensions().get(suffix.lower(), "")
    return name if format in ("keep", kind.lower()) else f"{stem}.{format}"


def check_places(input: str, into: Path, format: str) -> None:
    """Raise BadInput unless each image can have a result of its own, away from the originals."""
    base, names, _ = listing(input)
    source, result = Path(base).resolve(), into.resolve()
    flat = (
        not os.path.isdir(input) and "**" not in input and Path(base) == Path(input).parent
    )  # subfolders don't count
    if result == source or (source in result.parents and not flat):
        raise BadInput(f"into: {str(into)!r} is, or lies in, the folder of the originals, {base!r}")
    room = result if result.exists() else result.parent
    if not room.is_dir() or not os.access(room, os.W_OK | os.X_OK):
        raise BadInput(
            f"into: expected a folder to write to, or a new one in such a folder, got {str(into)!r}"
        )
    taken = {os.path.join(source, name): name for name in names}  # by the originals
    for name in names:
        path = os.path.normpath(os.path.join(result, renamed(name, format)))
        if path in taken:
            raise BadInput(f"input: {taken[path]!r} and {name!r} would both be {path!r}")
        taken[path] = name


def size_after(resize: str, width: int, height: int) -> tuple[int, int]:
    """Return the size that ``resize`` makes of another one. Raises BadInput."""
    found = re.fullmatch(
        r"([0-9]{1,5}(?:\.[0-9]+)?)%|([1-9][0-9]{0,5})?x([1-9][0-9]{0,5})?", resize
    )
    percent, x, y = found.groups() if found else (None, None, None)
    scale = float(percent or 0) / 100 or int(x or 0) / width or int(y or 0) / height
    if not scale:
        raise BadInput(f"resize: expected text such as 50%, 640x480, 640x or x480, got {resize!r}")
    return int(x or max(1, round(scale * width))), int(y or max(1, round(scale * height)))


def convert(
    source: str, target: Path, rotate: float, resize: str, format: str, quality: int
) -> None:
    """Make one result of one original."""
    with Image.open(source) as original:
        check_depth(original, source)
        kind = str(original.format) if format == "keep" else format.upper()
        profile = original.info.get("icc_profile")
        image = ImageOps.exif_transpose(whole(original))  # decodes the whole file
        own = original.format
    if kind not in Image.SAVE or (image.mode == "LAB" and kind != "TIFF"):
        raise ValueError(f"Pillow can't write {kind} of {image.mode} pixels")
    if is_deep(image):
        image = fitting(image, kind, own)
    elif _needs_colours(image, kind, interpolated=bool(rotate % 90 or resize != "100%")):
        profile = None if image.mode == "CMYK" else profile
        image = _with_colours(image, kind)
    image = turned(image, rotate, None)
    image = turned(image, 0, size_after(resize, *image.size))
    if (
        kind in ("JPEG", "BMP") and image.has_transparency_data
    ):  # readers of BMP take no notice of a fourth channel
        image, above = Image.new("RGB", image.size, "white"), image.convert("RGBA")
        image.paste(above, mask=above)
    options: dict[str, Any] = compression_of(image, kind)
    if kind in ("JPEG", "MPO", "WEBP") or options.get("compression") == "jpeg":
        options["quality"] = quality
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        image.save(aside, kind, icc_profile=profile, **options)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _needs_colours(image: Image.Image, kind: str, interpolated: bool) -> bool:
    """Return whether pixels can't be interpolated, or written in a format, as they are."""
    if image.mode in ("1", "P", "PA") and (kind == "JPEG" or interpolated):
        return True
    if "transparency" in image.info and (interpolated or kind not in ("PNG", "GIF", "JPEG")):
        return True
    unfit = {"LA": ("BMP", "GIF"), "CMYK": ("PNG", "WEBP", "BMP", "GIF")}
    return kind in unfit.get(image.mode, ())


def _with_colours(image: Image.Image, kind: str) -> Image.Image:
    """Return an image as grey values or colours, with what is transparent in a channel of its
    own.
    """
    if image.mode == "L" and kind in ("PNG", "TIFF"):
        return image.convert("LA")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
