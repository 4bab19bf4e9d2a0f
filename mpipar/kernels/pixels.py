"""Pixels of image files: what Pillow would lose of them, and turning and scaling them.

Pillow holds eight bits a channel, or one channel of 16-bit whole numbers (``I;16``), 32-bit ones
(``I``) or 32-bit floats (``F``). It opens more than that too, and drops bits; and it turns and
scales 16-bit pixels as if they had eight.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

with contextlib.suppress(ImportError):  # check_pillow says so
    from PIL import Image

_DEEP = {
    "I;16": ("PNG", "TIFF"),
    "I": ("TIFF",),
    "F": ("TIFF",),
}
"""What can be written of deep pixels, but for the original's own format."""

_DEEP_FORMATS = ("PNG", "TIFF", "PPM", "JPEG2000")
_BLACK = {
    "CMYK": (0, 0, 0, 255),
    "YCbCr": (0, 128, 128),
    "LAB": (0, 128, 128),
}
_EXACT_IN_FLOATS = 2**24

# Tags of TIFF.
_BITS = 258
_PHOTOMETRIC = 262
_FILL_ORDER = 266
_SAMPLES = 277
_COLOUR_MAP = 320
_SAMPLE_FORMAT = 339
_GDAL_NODATA = 42113

_MISREAD = {
    ("PSD", "1"): "takes black for white in PSD of 1 bit",
    ("SUN", "BGRX"): "takes the channels of Sun rasters of 32 bits for others",
}
"""What Pillow does wrong with pixels of a format that are stored in some way."""

_HAS_GAPS = "without data"
_FAX = ("tiff_ccitt", "group3", "group4")
_LOSSLESS = ("raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate")


def is_deep(image: Image.Image) -> bool:
    """Return whether pixels have more than eight bits a channel."""
    return image.mode[0] in "IF"


def check_depth(image: Image.Image, source: str) -> None:
    """Raise ValueError if Pillow drops bits of an image, or takes them for others; before its
    pixels are loaded.
    """
    lost = _lost(image, source)
    if lost:
        raise ValueError(f"Pillow {lost}")


def whole(image: Image.Image) -> Image.Image:
    """Return an image in one of Pillow's modes that can be worked with. Raises ValueError.

    Parameters
    ----------
    image : Image
        As it was opened, with its pixels.
    """
    if _GDAL_NODATA in getattr(image, "tag_v2", ()):
        image.info[_HAS_GAPS] = True
    if image.mode == "La":
        return image.convert("LA")
    if not is_deep(image):
        return image
    pixels = np.asarray(image)
    is_of_integers = image.mode == "I"
    if is_of_integers and _is_unsigned(image) and pixels.min() < 0:
        raise ValueError("Pillow takes whole numbers of 2**31 and more for negative ones")
    is_ppm = is_of_integers and image.format == "PPM"
    if is_ppm or image.mode.startswith("I;16"):
        return _made(pixels.astype(np.uint16), image)
    return image


def fitting(
    image: Image.Image,
    kind: str,
    original: str | None,
) -> Image.Image:
    """Return an image of deep pixels as a format holds it. Raises ValueError if there is no such
    way.
    """
    if image.mode == "I" and kind == "PNG":
        pixels = np.asarray(image)
        least = pixels.min()
        most = pixels.max()
        if least < 0 or most > np.iinfo(np.uint16).max:
            raise ValueError(f"PNG holds 0 to 65535, and there are pixels from {least} to {most}")
        return _made(pixels.astype(np.uint16), image)
    if kind not in (*_DEEP[image.mode], original):
        raise ValueError(f"Pillow can't write {kind} of {image.mode} pixels")
    if "transparency" in image.info and kind != "PNG":
        raise ValueError(f"Pillow can't write {kind} of {image.mode} pixels, some transparent")
    return image


def turned(
    image: Image.Image,
    rotate: float,
    size: tuple[int, int] | None,
) -> Image.Image:
    """Return an image, rotated around its centre, or scaled to a size. Raises ValueError."""
    is_exact = _is_exact(image, rotate, size)
    if _HAS_GAPS in image.info and not is_exact:
        raise ValueError("pixels without data (GDAL_NODATA) can't be interpolated")
    if is_deep(image) and not is_exact:
        return _deep_turned(image, rotate, size)
    return _by_pillow(image, rotate, size)


def compression_of(image: Image.Image, kind: str) -> dict[str, str]:
    """Return the option that keeps an original's compression, or takes one that can hold the
    pixels.
    """
    method = image.info.get("compression")
    if kind != "TIFF" or not isinstance(method, str):
        return {}
    fits = method in _LOSSLESS
    if method in _FAX:
        fits = image.mode == "1"
    elif method == "jpeg":
        fits = image.mode in ("L", "RGB")
    if not fits:
        method = "tiff_lzw"
    return {"compression": method}


def _by_pillow(
    image: Image.Image,
    rotate: float,
    size: tuple[int, int] | None,
) -> Image.Image:
    if size is not None:
        return image.resize(size, Image.Resampling.LANCZOS)
    return image.rotate(
        rotate,
        Image.Resampling.BICUBIC,
        expand=True,
        fillcolor=_BLACK.get(image.mode),
    )


def _is_exact(
    image: Image.Image,
    rotate: float,
    size: tuple[int, int] | None,
) -> bool:
    """Return whether pixels are moved at most, and none is interpolated."""
    if size is None:
        return rotate % 90 == 0
    return size == image.size


def _deep_turned(
    image: Image.Image,
    rotate: float,
    size: tuple[int, int] | None,
) -> Image.Image:
    """Interpolate in floats, as Pillow takes 16-bit pixels for bytes."""
    if "transparency" in image.info:
        raise ValueError(f"a transparent value among {image.mode} pixels can't be interpolated")
    pixels = np.asarray(image)
    if image.mode == "I" and _has_large(pixels):
        raise ValueError(
            "whole numbers over 2**24 can't be interpolated: 32-bit floats don't hold them"
        )
    floats = Image.fromarray(pixels.astype(np.float32))
    made = np.asarray(_by_pillow(floats, rotate, size))
    if image.mode == "F":
        return _made(made, image)
    # Bicubic and Lanczos interpolation overshoot beside edges.
    least = 0
    if pixels.min() < 0:
        least = np.iinfo(np.int32).min
    most = np.iinfo(pixels.dtype).max
    rounded = np.rint(made.astype(np.float64))
    clipped = np.clip(rounded, least, most)
    return _made(clipped.astype(pixels.dtype), image)


def _has_large(pixels: npt.NDArray[Any]) -> bool:
    """Return whether some whole numbers are beyond what 32-bit floats hold."""
    least = int(pixels.min())
    most = int(pixels.max())
    return max(most, -least) > _EXACT_IN_FLOATS


def _made(pixels: npt.NDArray[Any], like: Image.Image) -> Image.Image:
    made = Image.fromarray(np.ascontiguousarray(pixels))
    made.info = dict(like.info)
    return made


def _is_unsigned(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    if not tags:
        return False
    first, *_ = tags.get(_SAMPLE_FORMAT, (1,))
    return bool(first == 1)


def _lost(image: Image.Image, source: str) -> str:
    """Return what Pillow does wrong with an image, in words, or nothing."""
    if image.format == "FITS":
        return "reads FITS without its scale (BZERO, BSCALE) and signs"
    for raw in _raw_modes(image):
        misread = _MISREAD.get((str(image.format), raw))
        if misread:
            return misread
    if is_deep(image) and image.format not in _DEEP_FORMATS:
        return f"opens {image.format} of {image.mode} pixels in ways that nobody has checked"
    match image.format:
        case "PNG":
            return _lost_of_png(image, source)
        case "TIFF":
            return _lost_of_tiff(image)
        case "PPM":
            return _lost_of_ppm(image, source)
        case "JPEG2000":
            return _lost_of_jpeg2000(image, source)
    return _lost_bits(image, source)


def _lost_bits(image: Image.Image, source: str) -> str:
    if not is_deep(image) and _has_more_bits(image, source):
        return _as_bytes(image)
    return ""


def _as_bytes(image: Image.Image) -> str:
    return f"opens {image.format} of more than 8 bits a channel as 8-bit {image.mode}"


def _has_more_bits(image: Image.Image, source: str) -> bool:
    """Return whether a file has more than the eight bits that Pillow keeps of it."""
    match image.format:
        case "SGI":
            return _head(source)[3:4] == b"\2"
        case "DDS":
            tiles: Any = image.tile  # type: ignore[attr-defined]
            return any(tile[0] == "bcn" and tile[3][0] == 6 for tile in tiles)
        case "AVIF":
            all_flags = re.findall(b"av1C..(.)", _head(source), re.DOTALL)
            return any(ord(flags) & 0x40 for flags in all_flags)
        case _:
            raw = " ".join(_raw_modes(image))
            return re.search(r"\w;16[BLNR]", raw) is not None


def _raw_modes(image: Image.Image) -> list[str]:
    """Return how the pixels of each part of a file are stored, as Pillow names it."""
    modes = []
    for tile in getattr(image, "tile", ()):
        options = tile[3]
        mode = options[0] if isinstance(options, tuple) and options else options
        modes.append(str(mode))
    return modes


def _lost_of_png(image: Image.Image, source: str) -> str:
    bits, colours = _head(source)[24:26]
    is_grey = colours == 0
    if is_grey and bits < 8 and "transparency" in image.info:
        return f"takes the transparent value of PNG of {bits} bits for one of 8 bits"
    return _lost_bits(image, source)


def _lost_of_tiff(image: Image.Image) -> str:
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    bits = max(tags.get(_BITS, (1,)))
    has_signed = 2 in tags.get(_SAMPLE_FORMAT, (1,))
    samples = tags.get(_SAMPLES, 1)
    kept = len(image.getbands())
    if samples > kept:
        return f"drops {samples - kept} of {samples} channels of TIFF"
    if bits == 8 and has_signed:
        return "takes signed bytes of TIFF for unsigned ones"
    if image.mode == "P" and max(tags.get(_COLOUR_MAP, (256,))) < 256:
        return "takes the 8 bits of a colour map of TIFF for the lower ones of 16"
    if bits <= 8:
        return ""
    if not is_deep(image):
        return _as_bytes(image)
    if bits < 16:
        return f"takes {bits} bits of TIFF for the lower ones of 16, which is darker"
    if tags.get(_PHOTOMETRIC) == 0:
        return "takes white for black in TIFF of more than 8 bits whose 0 is white"
    if tags.get(_FILL_ORDER, 1) != 1:
        return "may take the bits of TIFF with another fill order for others"
    return ""


def _lost_of_ppm(image: Image.Image, source: str) -> str:
    if image.mode == "F":
        return "drops the scale of PFM" if image.info.get("scale", 1) != 1 else ""
    largest = _largest_of_ppm(_head(source)[:4096])
    if largest <= 255:
        return ""
    if not is_deep(image):
        return _as_bytes(image)
    if largest == 65535:
        return ""
    return f"stretches grey values of 0 to {largest} to 0 to 65535"


def _largest_of_ppm(head: bytes) -> int:
    """Return the largest value that pixels can have, or 0 if the file names none."""
    fields = re.sub(rb"#[^\n\r]*", b" ", head).split()
    if fields[0] in (b"P2", b"P3", b"P5", b"P6"):
        return int(fields[3])
    if fields[0] != b"P7":
        return 0
    found = re.search(rb"MAXVAL\s+([0-9]+)", head)
    if found is None:
        return 0
    return int(found[1])


def _lost_of_jpeg2000(image: Image.Image, source: str) -> str:
    found = re.search(rb"\xff\x4f\xff\x51.{36}(..)", _head(source), re.DOTALL)
    if found is None:
        return "opens JPEG 2000 whose depth can't be told"
    count = int.from_bytes(found[1], "big")
    after = _head(source)[found.end() :]
    components = after[: 3 * count : 3]
    depths = {(size & 0x7F) + 1 for size in components}
    if any(size & 0x80 for size in components):
        return "takes signed pixels of JPEG 2000 for unsigned ones"
    if max(depths) > 8 and not is_deep(image):
        return _as_bytes(image)
    if max(depths) > 8 and depths != {16}:
        return f"stretches pixels of {max(depths)} bits to 16 bits"
    if min(depths) < 8:
        return f"stretches pixels of {min(depths)} bits to 8 bits"
    return ""


def _head(source: str) -> bytes:
    """Return what the file begins with: where formats tell of their depth."""
    with Path(source).open("rb") as file:
        return file.read(2**20)
