"""What the numbers of an image's pixels look like: profiles and other descriptions of colours
are in the result, or are refused where its format can't have them.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

with contextlib.suppress(ImportError):  # check_pillow says so
    from PIL import ExifTags, Image, ImageCms
    from PIL.PngImagePlugin import PngInfo

_WITH_PROFILES = ("PNG", "JPEG", "MPO", "TIFF", "WEBP", "AVIF")
_WITHOUT_GREY = ("WEBP", "AVIF")
_GREY = ("1", "L", "LA", "I;16", "I", "F")

_GAMMA = 1 / 2.2
_CHROMATICITIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
"""What all readers take for granted, but for PNG and where there is a profile."""

_ALIKE = 3
"""By how much of 255 colours may differ that look the same."""

_USUAL_PRIMARIES = (1, 2, 5, 6)
_USUAL_TRANSFERS = (1, 2, 6, 13, 14, 15)
"""Numbers of ITU-T H.273 for colours that are shown as sRGB."""

_BY_PROFILE = (2, 3)
_USUAL_IN_JPEG2000 = (12, 16, 17, 18)
"""CMYK, sRGB, its grey values, and its YCC."""

_ADOBE = 2
_ADOBE_BY_NAME = "R03"
_BROKEN = (ValueError, KeyError, TypeError, SyntaxError, OSError, EOFError, struct.error)
"""What Pillow raises for EXIF data that no reader understands."""

_BEFORE_PIXELS = 2**20


class Colours(NamedTuple):
    """What a file says of its colours.

    Attributes
    ----------
    profile : bytes
        Of the ICC; empty if there is none.
    gamma : float
        How grey values of a PNG depend on brightness; 0 if it is as everywhere.
    chromaticities : tuple of float
        Of white, red, green and blue, x and y of each; empty if they are as everywhere.
    code : bytes
        The numbers of H.273, as PNG has them; empty if they are those of sRGB.
    """

    profile: bytes = b""
    gamma: float = 0.0
    chromaticities: tuple[float, ...] = ()
    code: bytes = b""


def colours_of(image: Image.Image, source: str) -> Colours:
    """Return what a file says of its colours. Raises ValueError if it says so in a way that can't
    be kept.

    Parameters
    ----------
    image : Image
        As it was opened.
    source : str
        The file.
    """
    _check_camera(image)
    _check_avif(image, source)
    profile = image.info.get("icc_profile") or b""
    if image.format == "JPEG2000" and not profile:
        profile = _profile_of_jpeg2000(source)
    code = _code_of_png(source) if image.format == "PNG" else b""
    is_known = profile or code or "srgb" in image.info
    if is_known:
        return Colours(profile, code=code)
    gamma: float = image.info.get("gamma", 0.0)
    if abs(gamma - _GAMMA) < 0.005:
        gamma = 0.0
    chromaticities = image.info.get("chromaticity", ())
    if not chromaticities or np.allclose(chromaticities, _CHROMATICITIES, atol=0.005):
        chromaticities = ()
    return Colours(profile, gamma, chromaticities)


def options_of(colours: Colours, image: Image.Image, kind: str) -> dict[str, Any]:
    """Return the options that write what colours are into a format. Raises ValueError if it can't
    have them.
    """
    options: dict[str, Any] = {"icc_profile": _fitting(colours.profile, image, kind)}
    chunks = _chunks_of(colours)
    if chunks and kind != "PNG":
        raise ValueError(f"its colours have {_in_words(colours)}, which {kind} can't have")
    if chunks:
        info = PngInfo()
        for name, content in chunks.items():
            info.add(name, content)
        options["pnginfo"] = info
    return options


def _in_words(colours: Colours) -> str:
    if colours.code:
        return "a code of their own (cICP)"
    if colours.gamma:
        return f"a gamma of {colours.gamma}"
    return "chromaticities of their own (cHRM)"


def _chunks_of(colours: Colours) -> dict[bytes, bytes]:
    """Return {name: content} of what goes into a PNG."""
    chunks = {}
    if colours.code:
        chunks[b"cICP"] = colours.code
    if colours.gamma:
        chunks[b"gAMA"] = _in_hundred_thousandths(colours.gamma)
    if colours.chromaticities:
        chunks[b"cHRM"] = _in_hundred_thousandths(*colours.chromaticities)
    return chunks


def _in_hundred_thousandths(*numbers: float) -> bytes:
    return b"".join(round(number * 1e5).to_bytes(4, "big") for number in numbers)


def _fitting(profile: bytes, image: Image.Image, kind: str) -> bytes | None:
    """Return a profile that a format can have, or None if nothing is lost without it."""
    if not profile:
        return None
    is_grey = image.mode in _GREY and kind not in _WITHOUT_GREY
    is_of_grey = profile[16:20] == b"GRAY"
    if kind in _WITH_PROFILES and (is_grey or not is_of_grey):
        return profile
    if _looks_the_same_without(profile):
        return None
    what = f"{kind} of {image.mode} pixels" if is_of_grey else kind
    raise ValueError(
        f"its colours are those of a profile, which {what} can't have; take --format png or tiff"
    )


def _looks_the_same_without(profile: bytes) -> bool:
    """Return whether colours are shown as without the profile: they are those of sRGB, or no reader
    knows what it says.
    """
    mode = "L" if profile[16:20] == b"GRAY" else "RGB"
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    samples = np.array(np.meshgrid(steps, steps, steps)).reshape(3, 27, 27)
    given = steps[None] if mode == "L" else np.ascontiguousarray(np.moveaxis(samples, 0, 2))
    image = Image.fromarray(given)
    try:
        made = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    except ImportError:  # a Pillow without LittleCMS
        return False
    except (ImageCms.PyCMSError, OSError):
        return True
    assert made is not None
    differences = np.asarray(made).astype(int) - np.asarray(image.convert("RGB"))
    return bool(np.abs(differences).max() <= _ALIKE)


def _check_camera(image: Image.Image) -> None:
    """Raise ValueError for Adobe RGB that EXIF alone tells of, as cameras write it."""
    if image.info.get("icc_profile"):
        return
    is_adobe = False
    with contextlib.suppress(*_BROKEN):
        is_adobe = _is_adobe(image.getexif())
    if is_adobe:
        raise ValueError(
            "its colours are Adobe RGB by its EXIF data alone, which aren't kept;"
            " give it a colour profile"
        )


def _is_adobe(exif: Image.Exif) -> bool:
    own = exif.get_ifd(ExifTags.IFD.Exif)
    if own.get(ExifTags.Base.ColorSpace) == _ADOBE:
        return True
    names = exif.get_ifd(ExifTags.IFD.Interop)
    name = str(names.get(ExifTags.Interop.InteropIndex, ""))
    return name.strip("\0 ") == _ADOBE_BY_NAME


def _check_avif(image: Image.Image, source: str) -> None:
    """Raise ValueError for colours of AVIF that Pillow takes for those of sRGB."""
    if image.format != "AVIF" or image.info.get("icc_profile"):
        return
    for numbers in re.findall(rb"colrnclx(.{4})", _start_of(source), re.DOTALL):
        primaries, transfer = struct.unpack(">HH", numbers)
        if primaries not in _USUAL_PRIMARIES or transfer not in _USUAL_TRANSFERS:
            raise ValueError(
                f"Pillow takes the colours of AVIF (H.273: {primaries}, {transfer}) for sRGB"
            )


def _profile_of_jpeg2000(source: str) -> bytes:
    """Return the profile that the box colr has, which Pillow doesn't read; empty if it has a number
    of known colours.
    """
    boxes, mark, _ = _start_of(source).partition(b"jp2c")
    place = boxes.find(b"colr")
    if not mark or place < 4:
        return b""  # a stream without boxes
    size = int.from_bytes(boxes[place - 4 : place], "big")
    method, _, _, *content = boxes[place + 4 : place - 4 + size]
    if method in _BY_PROFILE:
        return bytes(content)
    number = int.from_bytes(bytes(content[:4]), "big")
    if method != 1 or number not in _USUAL_IN_JPEG2000:
        raise ValueError(f"its colours are of a kind ({number}) that isn't known of JPEG 2000")
    return b""


def _code_of_png(source: str) -> bytes:
    """Return what the chunk cICP has, of colours that aren't those of sRGB."""
    start = _start_of(source)
    place = 8
    while place < len(start):
        length = int.from_bytes(start[place : place + 4], "big")
        name = start[place + 4 : place + 8]
        content = start[place + 8 : place + 8 + length]
        if name == b"IDAT":
            break
        if name == b"cICP" and len(content) == 4:
            return _of_unusual(content)
        place += 12 + length
    return b""


def _of_unusual(code: bytes) -> bytes:
    primaries, transfer, _, _ = code
    is_usual = primaries in _USUAL_PRIMARIES and transfer in _USUAL_TRANSFERS
    return b"" if is_usual else code


def _start_of(source: str) -> bytes:
    with Path(source).open("rb") as file:
        return file.read(_BEFORE_PIXELS)
