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
from mpipar.kernels.colours import Colours, colours_of, options_of
from mpipar.kernels.pixels import check_depth, compression_of, fitting, is_deep, turned, whole

with contextlib.suppress(ImportError):  # check_pillow says so
    from PIL import Image, ImageOps


_ONLY_RECOGNISED = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow knows, but can't read by itself."""

_UNFIT = {
    "LA": ("BMP", "GIF"),
    "CMYK": ("PNG", "WEBP", "BMP", "GIF"),
}
"""Which formats can't have the pixels of a mode."""

_WITH_QUALITY = ("JPEG", "MPO", "WEBP", "AVIF")
_OPAQUE_OR_NOT = [0] * 128 + [255] * 128
_WITHOUT_ALPHA = ("JPEG", "BMP")
"""Formats without transparent pixels: readers of BMP take no notice of a fourth channel."""


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
        base = input
        names = _images_under(base)
    else:
        before_pattern = re.split(r"[*?[]", input)[0]
        base = os.path.dirname(before_pattern) or "."
        files = filter(os.path.isfile, _matches(input))
        names = {os.path.relpath(path, base) for path in files}
    ordered = sorted(names)
    joined = os.fsencode("\0".join(ordered))
    return base, ordered, zlib.crc32(joined)


def _images_under(base: str) -> set[str]:
    """Return the paths of all images in a folder that aren't hidden, relative to it."""
    kinds = Image.registered_extensions()  # which loads all formats
    decoded = {*Image.OPEN, "MPO"} - _ONLY_RECOGNISED
    found = set()
    for folder, _, files in os.walk(base, onerror=refuse):
        for file in files:
            suffix = os.path.splitext(file)[1].lower()
            path = os.path.join(folder, file)
            name = os.path.relpath(path, base)
            is_hidden = re.search(r"(^|/)\.", name)
            if kinds.get(suffix) in decoded and not is_hidden:
                found.add(name)
    return found


def _matches(pattern: str) -> list[str]:
    """Return the paths that match a pattern; ``**`` stands for folders, but for hidden ones and
    links to others.

    The function of the standard library follows links, also those that lead back, which make many
    paths of one file.
    """
    found = re.match(r"(.*?)(?:^|(?<=/))\*\*(?:/+(.*))?$", pattern, re.DOTALL)
    if found is None:
        return glob.glob(pattern)
    first = found[1]
    rest = found[2] or "*"
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
    if format in ("keep", kind.lower()):
        return name
    return f"{stem}.{format}"


def check_places(input: str, into: Path, format: str) -> None:
    """Raise BadInput unless each image can have a result of its own, away from the originals."""
    base, names, _ = listing(input)
    source = Path(base).resolve()
    result = into.resolve()
    lies_in = source in result.parents and _has_subfolders(input, base)
    if result == source or lies_in:
        raise BadInput(f"into: {str(into)!r} is, or lies in, the folder of the originals, {base!r}")
    room = result if result.exists() else result.parent
    rights = os.W_OK | os.X_OK
    can_write = room.is_dir() and os.access(room, rights)
    if not can_write:
        raise BadInput(
            f"into: expected a folder to write to, or a new one in such a folder, got {str(into)!r}"
        )
    taken = {os.path.join(source, name): name for name in names}  # by the originals
    for name in names:
        path = os.path.join(result, renamed(name, format))
        path = os.path.normpath(path)
        if path in taken:
            raise BadInput(f"input: {taken[path]!r} and {name!r} would both be {path!r}")
        taken[path] = name


def _has_subfolders(input: str, base: str) -> bool:
    """Return whether files in subfolders are among the originals."""
    if os.path.isdir(input) or "**" in input:
        return True
    return Path(base) != Path(input).parent


_SIZE = re.compile(r"([0-9]{1,5}(?:\.[0-9]+)?)%|([1-9][0-9]{0,5})?x([1-9][0-9]{0,5})?")


def size_after(resize: str, width: int, height: int) -> tuple[int, int]:
    """Return the size that ``resize`` makes of another one. Raises BadInput."""
    found = _SIZE.fullmatch(resize)
    scale = 0.0
    if found is not None:
        percent, x, y = found.groups(default="0")
        scale = float(percent) / 100 or int(x) / width or int(y) / height
    if not scale:
        raise BadInput(f"resize: expected text such as 50%, 640x480, 640x or x480, got {resize!r}")
    scaled_width = max(1, round(scale * width))
    scaled_height = max(1, round(scale * height))
    return int(x) or scaled_width, int(y) or scaled_height


def convert(
    source: str,
    target: Path,
    rotate: float,
    resize: str,
    format: str,
    quality: int,
) -> bool:
    """Make one result of one original. Return whether it has more frames, which are left out."""
    with Image.open(source) as original:
        original.filename = ""  # Pillow maps files by their names, and then their rows are mixed up
        check_depth(original, source)
        kind = str(original.format) if format == "keep" else format.upper()
        colours = colours_of(original, source)
        image = ImageOps.exif_transpose(whole(original))  # decodes the whole file
        own = original.format
        image.info["lossless"] = own == "WEBP" and is_lossless_webp(source)
        has_frames = own != "PSD" and getattr(original, "is_animated", False)
    is_unfit = image.mode == "LAB" and kind != "TIFF"
    if kind not in Image.SAVE or is_unfit:
        raise ValueError(f"Pillow can't write {kind} of {image.mode} pixels")
    is_interpolated = rotate % 90 != 0 or resize != "100%"
    if is_deep(image):
        image = fitting(image, kind, own)
    elif _needs_colours(image, kind, interpolated=is_interpolated):
        if image.mode == "CMYK" and colours.profile:
            raise ValueError(
                f"its colours are those of a CMYK profile, which {kind} can't have;"
                " take --format tiff or jpeg"
            )
        image = _with_colours(image, kind)
    image = turned(image, rotate, None)
    image = turned(image, 0, size_after(resize, *image.size))
    image = _with_alpha_of(image, kind)
    _save(image, target, kind, quality, colours)
    return has_frames


def _with_alpha_of(image: Image.Image, kind: str) -> Image.Image:
    """Return an image with what a format can have of transparent pixels: BMP and JPEG nothing, so
    that white is behind them, and GIF no halves, where Pillow makes all opaque that is seen at all.
    """
    if kind == "GIF" and image.has_transparency_data:
        return _without_halves(image)
    if kind in _WITHOUT_ALPHA and image.has_transparency_data:
        return _on_white(image)
    return image


def _without_halves(image: Image.Image) -> Image.Image:
    made = image.convert("RGBA")
    alpha = made.getchannel("A")
    if alpha.histogram()[1:255] == [0] * 254:
        return image
    made.putalpha(alpha.point(_OPAQUE_OR_NOT))
    return made


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, "white")
    above = image.convert("RGBA")
    white.paste(above, mask=above)
    return white


def _save(
    image: Image.Image,
    target: Path,
    kind: str,
    quality: int,
    colours: Colours,
) -> None:
    """Write an image aside, and then put it in its place."""
    options: dict[str, Any] = dict(compression_of(image, kind))
    if kind == "WEBP" and image.info.get("lossless"):
        options.update(lossless=True, exact=True)
    elif kind in _WITH_QUALITY or options.get("compression") == "jpeg":
        options["quality"] = quality
    options.update(options_of(colours, image, kind))
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        image.save(aside, kind, **options)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def is_lossless_webp(source: str) -> bool:
    """Return whether the (first) picture in a WebP has its pixels as they were."""
    with open(source, "rb") as file:
        file.seek(12)
        while head := file.read(8):
            name = head[:4]
            size = int.from_bytes(head[4:], "little")
            if name in (b"VP8L", b"VP8 "):
                return name == b"VP8L"
            if name == b"ANMF":
                size = 16  # its chunks follow
            file.seek(size + size % 2, 1)
    return False


def _needs_colours(
    image: Image.Image,
    kind: str,
    interpolated: bool,
) -> bool:
    """Return whether pixels can't be interpolated, or written in a format, as they are."""
    has_palette = image.mode in ("1", "P", "PA")
    if has_palette and (kind == "JPEG" or interpolated):
        return True
    is_transparent = "transparency" in image.info
    if is_transparent and (interpolated or kind not in ("PNG", "GIF", "JPEG")):
        return True
    return kind in _UNFIT.get(image.mode, ())


def _with_colours(image: Image.Image, kind: str) -> Image.Image:
    """Return an image as grey values or colours, with what is transparent in a channel of its
    own.
    """
    if image.mode == "L" and kind in ("PNG", "TIFF"):
        return image.convert("LA")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
