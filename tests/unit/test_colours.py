"""What images say of their colours is in the results, or they are refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from mpipar.kernels.images import convert

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PIXELS = np.random.default_rng(2).integers(0, 256, (12, 16, 3), np.uint8)


def with_curve(profile, tag, gamma):
    """Return a profile whose curve of a colour is another: ``curv`` with one number."""
    count = int.from_bytes(profile[128:132], "big")
    changed = bytearray(profile)
    for entry in range(132, 132 + 12 * count, 12):
        if profile[entry : entry + 4] == tag:
            place = int.from_bytes(profile[entry + 4 : entry + 8], "big")
            changed[place : place + 14] = struct.pack(">4s4xIH", b"curv", 1, round(gamma * 256))
    assert changed != profile
    return bytes(changed)


@pytest.fixture(scope="module", autouse=True)
def all_formats():
    Image.init()


OTHER = with_curve(SRGB, b"rTRC", 1.0)


def grey_profile(gamma):
    """Return a profile of grey values, as the specification of the ICC has it."""
    white = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)
    curve = struct.pack(">4s4xIH2x", b"curv", 1, round(gamma * 256))
    tags = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(white), b"kTRC", 176, len(curve))
    size = 128 + len(tags) + len(white) + len(curve)
    head = struct.pack(">I4sI4s4s4s", size, b"    ", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H4s28x3i", 2026, 1, 1, 0, 0, 0, b"acsp", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + tags + white + curve


def add_chunk(path, name, content):
    """Put a chunk before the others of a PNG."""
    whole = path.read_bytes()
    chunk = struct.pack(">I", len(content)) + name + content
    chunk += struct.pack(">I", zlib.crc32(name + content))
    path.write_bytes(whole[:33] + chunk + whole[33:])


def converted(path, kind):
    target = path.with_name(f"out.{kind}")
    convert(str(path), target, 0, "100%", kind, 90)
    return target


@pytest.mark.parametrize("kind", ["bmp", "gif"])
def test_a_profile_is_left_out_only_where_all_looks_the_same(kind, tmp_path):
    path = tmp_path / "in.png"
    for profile in (SRGB, b"what no reader understands"):
        Image.fromarray(PIXELS).save(path, icc_profile=profile)
        converted(path, kind)
    Image.fromarray(PIXELS).save(path, icc_profile=OTHER)
    with pytest.raises(ValueError, match=f"those of a profile, which {kind.upper()} can't have"):
        converted(path, kind)


def test_the_profile_of_jpeg_2000_is_kept_or_refused(tmp_path):
    path = tmp_path / "in.jp2"
    Image.fromarray(PIXELS).save(path)
    whole = path.read_bytes()
    by_number = struct.pack(">I4sBBBI", 15, b"colr", 1, 0, 0, 16)
    by_profile = struct.pack(">I4sBBB", 11 + len(OTHER), b"colr", 2, 0, 0) + OTHER
    head = whole.index(b"jp2h") - 4
    size = int.from_bytes(whole[head : head + 4], "big") + len(by_profile) - len(by_number)
    longer = whole[:head] + struct.pack(">I", size) + whole[head + 4 :]
    assert by_number in whole
    path.write_bytes(longer.replace(by_number, by_profile))
    with Image.open(converted(path, "png")) as made:
        assert made.info["icc_profile"] == OTHER
        np.testing.assert_array_equal(np.asarray(made), PIXELS)
    with pytest.raises(ValueError, match="which JPEG2000 can't have"):
        convert(str(path), tmp_path / "out.jp2", 0, "100%", "keep", 90)
    path.write_bytes(whole.replace(by_number, by_number[:-1] + b"\x15"))
    with pytest.raises(ValueError, match="of a kind \\(21\\)"):
        converted(path, "png")


def test_a_profile_of_grey_is_not_one_of_colours(tmp_path):
    path = tmp_path / "in.png"
    Image.fromarray(PIXELS[..., 0]).save(path, icc_profile=grey_profile(1.0))
    with Image.open(converted(path, "tiff")) as made:
        assert made.info["icc_profile"] == grey_profile(1.0)
    with pytest.raises(ValueError, match="which WEBP of L pixels can't have"):
        converted(path, "webp")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (b"cICP", bytes([9, 16, 0, 1]), "a code"),
        (
            b"cHRM",
            struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000),
            "chromaticities",
        ),
    ],
)
def test_colours_that_png_describes_are_kept_or_refused(name, content, words, tmp_path):
    path = tmp_path / "in.png"
    Image.fromarray(PIXELS).save(path)
    add_chunk(path, name, content)
    assert name + content in converted(path, "png").read_bytes()
    with pytest.raises(ValueError, match=f"its colours have {words}.*which TIFF can't have"):
        converted(path, "tiff")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"cICP", bytes([1, 13, 0, 1])),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    ],
)
def test_colours_of_srgb_need_no_description(name, content, tmp_path):
    path = tmp_path / "in.png"
    Image.fromarray(PIXELS).save(path)
    add_chunk(path, name, content)
    with Image.open(converted(path, "tiff")) as made:
        np.testing.assert_array_equal(np.asarray(made), PIXELS)


@pytest.mark.parametrize("place", ["Interop", "ColorSpace"])
def test_adobe_rgb_by_exif_alone_is_refused(place, tmp_path):
    exif = Image.Exif()
    own = exif.get_ifd(0x8769)
    if place == "Interop":
        own[0xA001] = 0xFFFF
        own[0xA005] = {1: "R03"}
    else:
        own[0xA001] = 2
    path = tmp_path / "in.jpg"
    Image.fromarray(PIXELS).save(path, exif=exif)
    with pytest.raises(ValueError, match="Adobe RGB by its EXIF data alone"):
        converted(path, "png")
    Image.fromarray(PIXELS).save(path, exif=exif, icc_profile=OTHER)
    with Image.open(converted(path, "png")) as made:
        assert made.info["icc_profile"] == OTHER


def test_a_transparent_value_of_16_bits_is_kept_or_refused(tmp_path):
    path = tmp_path / "in.png"
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    Image.fromarray(deep).save(path, transparency=3000)
    with Image.open(converted(path, "png")) as made:
        assert made.info["transparency"] == 3000
    with pytest.raises(ValueError, match="some transparent"):
        converted(path, "tiff")


def test_the_quality_of_avif_counts(tmp_path):
    path = tmp_path / "in.avif"
    try:
        Image.fromarray(PIXELS).save(path, quality=100)
    except (KeyError, ValueError, OSError):
        pytest.skip("Pillow has no AVIF here")
    sizes = []
    for quality in (10, 90):
        convert(str(path), tmp_path / "out.avif", 0, "100%", "keep", quality)
        sizes.append((tmp_path / "out.avif").stat().st_size)
    assert sizes[0] < sizes[1]


def test_colours_of_avif_that_pillow_takes_for_others_are_refused(tmp_path):
    path = tmp_path / "in.avif"
    try:
        Image.fromarray(PIXELS).save(path)
    except (KeyError, ValueError, OSError):
        pytest.skip("Pillow has no AVIF here")
    whole = path.read_bytes()
    place = whole.index(b"colrnclx") + 8
    path.write_bytes(whole[:place] + struct.pack(">HH", 9, 16) + whole[place + 4 :])
    with pytest.raises(ValueError, match=r"H\.273: 9, 16"):
        converted(path, "png")


def test_profiles_of_these_tests_are_understood():
    for profile, space in ((OTHER, "RGB "), (grey_profile(1.0), "GRAY")):
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        assert read.profile.xcolor_space == space
