"""Images of all depths, turned, scaled and converted: right by other readers than Pillow, or
refused by name.
"""

import math
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from scipy import ndimage
from suite.rings import in_ci

from mpipar.kernels.images import convert, is_lossless_webp

HEIGHT, WIDTH = 48, 64
Y, X = np.mgrid[:HEIGHT, :WIDTH]
GREY = 0.5 + 0.4 * np.sin(X / 9) * np.cos(Y / 7)
DEEP = (GREY * 65535).astype(np.uint16)
SIGNED = (GREY * 60000 - 30000).astype(np.int16)
BYTES = (GREY * 255).astype(np.uint8)
COLOURS = np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1]])


@pytest.fixture(scope="module", autouse=True)
def all_formats():
    Image.init()


def png(path, pixels, bits=16, more=()):
    """Write a PNG as its specification has it; of less than 16 bits a row is packed already."""
    kind = {2: 0, 3: 2}[pixels.ndim] if pixels.shape[2:] != (4,) else 6
    width = pixels.shape[1] if bits >= 8 else pixels.shape[1] * 8 // bits
    header = struct.pack(">IIBBBBB", width, pixels.shape[0], bits, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2" if bits == 16 else "u1").tobytes() for row in pixels)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def pixels_of_png(path):
    """Read a grey PNG of 16 bits as its specification has it."""
    content, place, data = path.read_bytes(), 8, b""
    width, height, depth, kind = struct.unpack(">IIBB", content[16:26])
    assert (depth, kind) == (16, 0)
    while place < len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        data += content[place + 8 : place + 8 + length] if name == b"IDAT" else b""
        place += 12 + length
    lines = (
        np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + 2 * width).astype(int)
    )
    above = np.zeros(2 * width, int)
    for line in lines:
        for i in range(2 * width):
            left, corner = (line[i - 1], above[i - 2]) if i > 1 else (0, 0)
            line[1 + i] = (line[1 + i] + predicted(line[0], left, above[i], corner)) % 256
        above = line[1:]
    return lines[:, 1:].astype(np.uint8).view(">u2")


def predicted(how, left, above, corner):
    estimate = left + above - corner
    nearest = min((left, above, corner), key=lambda value: abs(estimate - value))
    return (0, left, above, (left + above) // 2, nearest)[how]


def netpbm(path, kind, largest, pixels):
    path.write_bytes(
        b"%s %d %d %d\n" % (kind, WIDTH, HEIGHT, largest) + pixels.astype(">u2").tobytes()
    )


def tiff(pixels, **options):
    return lambda path: tifffile.imwrite(path, pixels, **options)


def pillow(pixels, **options):
    return lambda path: Image.fromarray(pixels).save(path, **options)


def fits(path):
    cards = [
        "SIMPLE  = T",
        "BITPIX  = 16",
        "NAXIS   = 2",
        f"NAXIS1  = {WIDTH}",
        f"NAXIS2  = {HEIGHT}",
        "BZERO   = 32768",
    ]
    header = "".join(card.ljust(80) for card in [*cards, "END"]).ljust(2880).encode()
    path.write_bytes(
        header + (DEEP.astype(int) - 32768).astype(">i2").tobytes().ljust(3 * 2880, b"\0")
    )


def sgi(path):
    header = struct.pack(">hbbHHHH", 474, 0, 2, 2, WIDTH, HEIGHT, 1)
    path.write_bytes(header.ljust(512, b"\0") + DEEP[::-1].astype(">u2").tobytes())


def psd_of_bits(path):
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 1, HEIGHT, WIDTH, 1, 0)
    path.write_bytes(header + bytes(14) + np.packbits(GREY > 0.5, axis=1).tobytes())


def sun_of_32_bits(path):
    header = struct.pack(">8I", 0x59A66A95, WIDTH, HEIGHT, 32, 4 * BYTES.size, 1, 0, 0)
    path.write_bytes(header + np.dstack([BYTES] * 4).tobytes())


def tiff_of_12_bits(path):
    """Write two pixels into three bytes, as the specification of TIFF has it."""
    first, second = DEEP[:, ::2] >> 4, DEEP[:, 1::2] >> 4
    packed = np.dstack([first >> 4, (first & 15) << 4 | second >> 8, second & 255])
    data = packed.astype(np.uint8).tobytes()
    tags = {256: WIDTH, 257: HEIGHT, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: HEIGHT}
    tags[279] = len(data)
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    directory = struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4)
    start = 8 + len(data)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, start) + data + directory)


KEPT = {
    "little.tif": (tiff(DEEP), DEEP),
    "big.tif": (tiff(DEEP, byteorder=">"), DEEP),
    "packed.tif": (tiff(DEEP, compression="zlib"), DEEP),
    "big-packed.tif": (tiff(DEEP, compression="zlib", byteorder=">"), DEEP),
    "bigtiff.tif": (tiff(DEEP, bigtiff=True), DEEP),
    "signed.tif": (tiff(SIGNED), SIGNED),
    "big-signed.tif": (tiff(SIGNED, byteorder=">"), SIGNED),
    "long.tif": (tiff(SIGNED.astype(np.int32) * 30), SIGNED.astype(np.int32) * 30),
    "unsigned-long.tif": (tiff(DEEP.astype(np.uint32) * 2), DEEP.astype(np.int64) * 2),
    "float.tif": (tiff(GREY.astype(np.float32)), GREY),
    "big-float.tif": (tiff(GREY.astype(np.float32), byteorder=">"), GREY),
    "deep.png": (lambda path: png(path, DEEP), DEEP),
    "deep.jp2": (pillow(DEEP), DEEP),
    "deep.pgm": (lambda path: netpbm(path, b"P5", 65535, DEEP), DEEP),
    "float.pfm": (
        lambda path: path.write_bytes(
            b"Pf\n%d %d\n-1\n" % (WIDTH, HEIGHT) + GREY[::-1].astype("<f4").tobytes()
        ),
        GREY,
    ),
    "bytes.tif": (tiff((GREY * 255).astype(np.uint8)), (GREY * 255).astype(np.uint8)),
}
OPERATIONS = {
    "as it is": (0.0, "100%"),
    "90": (90.0, "100%"),
    "-180": (-180.0, "100%"),
    "30": (30.0, "100%"),
    "half": (0.0, "50%"),
}


def truth_of(pixels, rotate, resize):
    """Return pixels by SciPy, and where they can be compared, away from edges."""
    pixels = pixels.astype(np.float64)
    if resize == "50%":
        made = ndimage.zoom(ndimage.uniform_filter(pixels, 2, origin=-1), 1)[::2, ::2]
        return made, (slice(2, -2), slice(2, -2))
    if rotate % 90 == 0:
        return np.rot90(pixels, int(rotate // 90)), slice(None)
    cosine, sine = math.cos(math.radians(rotate)), math.sin(math.radians(rotate))
    height, width = (
        math.ceil(WIDTH * sine + HEIGHT * cosine),
        math.ceil(WIDTH * cosine + HEIGHT * sine),
    )
    y, x = np.mgrid[:height, :width] - np.array([(height - 1) / 2, (width - 1) / 2])[:, None, None]
    where = np.array([cosine * y + sine * x, cosine * x - sine * y])
    where += np.array([(HEIGHT - 1) / 2, (WIDTH - 1) / 2])[:, None, None]
    inside = (where > 2).all(axis=0) & (where[0] < HEIGHT - 3) & (where[1] < WIDTH - 3)
    return ndimage.map_coordinates(pixels, where, order=3), inside


@pytest.mark.parametrize("operation", [*in_ci("as it is", "-180", "half"), "90", "30"])
@pytest.mark.parametrize("name", KEPT)
def test_values_of_each_depth_are_right(name, operation, tmp_path):
    write, pixels = KEPT[name]
    write(tmp_path / name)
    rotate, resize = OPERATIONS[operation]
    convert(str(tmp_path / name), tmp_path / "out.tiff", rotate, resize, "tiff", 90)
    made = tifffile.imread(tmp_path / "out.tiff")
    expected, where = truth_of(pixels, rotate, resize)
    assert made.shape == expected.shape
    is_exact = rotate % 90 == 0 and resize == "100%"
    spread = np.ptp(pixels.astype(np.float64))
    allowed = spread * (1e-6 if is_exact else 0.01) + (pixels.dtype == np.uint8 and not is_exact)
    assert np.abs(made - expected)[where].max() <= allowed
    whole = made.dtype.kind in "iu"
    assert whole == (pixels.dtype.kind in "iu")
    convert(str(tmp_path / name), tmp_path / f"again-{name}", rotate, resize, "keep", 90)
    with Image.open(tmp_path / f"again-{name}") as image:
        np.testing.assert_array_equal(np.asarray(image), made)


@pytest.mark.parametrize(
    "name", [name for name, (_, pixels) in KEPT.items() if pixels.dtype == np.uint16]
)
@pytest.mark.parametrize("operation", [*in_ci("as it is"), "30"])
def test_png_of_16_bits_has_the_same_values_as_tiff(name, operation, tmp_path):
    KEPT[name][0](tmp_path / name)
    for kind in ("png", "tiff"):
        convert(str(tmp_path / name), tmp_path / f"out.{kind}", *OPERATIONS[operation], kind, 90)
    np.testing.assert_array_equal(
        pixels_of_png(tmp_path / "out.png"), tifffile.imread(tmp_path / "out.tiff")
    )


@pytest.mark.parametrize("kind", ["jpeg", *in_ci("webp", "gif", "bmp")])
@pytest.mark.parametrize("name", [name for name in KEPT if name != "bytes.tif"])
def test_formats_of_eight_bits_refuse_what_has_more(name, kind, tmp_path):
    KEPT[name][0](tmp_path / name)
    with pytest.raises(ValueError, match=f"can't write {kind.upper()} of (I|F|I;16) pixels"):
        convert(str(tmp_path / name), tmp_path / f"out.{kind}", 0, "100%", kind, 90)


REFUSED = {
    "colours.png": (lambda path: png(path, COLOURS), "PNG of more than 8 bits"),
    "alpha.png": (lambda path: png(path, np.dstack([COLOURS, DEEP])), "PNG of more than 8 bits"),
    "colours.tif": (tiff(COLOURS, photometric="rgb"), "TIFF of more than 8 bits"),
    "big-colours.tif": (
        tiff(COLOURS, photometric="rgb", byteorder=">"),
        "TIFF of more than 8 bits",
    ),
    "planes.tif": (
        tiff(COLOURS.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
        "more than 8 bits",
    ),
    "cmyk.tif": (
        tiff(np.dstack([COLOURS, DEEP]), photometric="separated"),
        "TIFF of more than 8 bits",
    ),
    "white.tif": (tiff(DEEP, photometric="miniswhite"), "white for black"),
    "large.tif": (tiff(DEEP.astype(np.uint32) * 65536), "2\\*\\*31"),
    "signed-bytes.tif": (tiff((GREY * 200 - 100).astype(np.int8)), "signed bytes"),
    "half.tif": (tiff(GREY.astype(np.float16)), "cannot identify"),
    "double.tif": (tiff(GREY), "cannot identify"),
    "colours.ppm": (lambda path: netpbm(path, b"P6", 65535, COLOURS), "PPM of more than 8 bits"),
    "stretched.pgm": (
        lambda path: netpbm(path, b"P5", 4095, DEEP // 16),
        "stretches grey values of 0 to 4095",
    ),
    "twelve.tif": (tiff_of_12_bits, "12 bits of TIFF .*darker"),
    "scaled.pfm": (
        lambda path: path.write_bytes(
            b"Pf\n%d %d\n-2.5\n" % (WIDTH, HEIGHT) + GREY.astype("<f4").tobytes()
        ),
        "scale of PFM",
    ),
    "transparent.png": (
        lambda path: png(path, BYTES, bits=2, more=[(b"tRNS", b"\0\1")]),
        "transparent value of PNG of 2 bits",
    ),
    "infrared.tif": (
        tiff(np.dstack([BYTES] * 4), photometric="rgb", extrasamples=["unspecified"]),
        "drops 1 of 4 channels",
    ),
    "two.tif": (
        tiff(
            np.dstack([BYTES] * 2),
            photometric="minisblack",
            planarconfig="contig",
            extrasamples=["unspecified"],
        ),
        # Pillow 11.0 doesn't open it.
        "drops 1 of 2 channels|cannot identify image file",
    ),
    "map.tif": (
        tiff(
            BYTES,
            photometric="palette",
            colormap=np.arange(768, dtype=np.uint16).reshape(3, 256) // 4,
        ),
        "colour map",
    ),
    "scaled.fits": (fits, "BZERO"),
    "bits.psd": (psd_of_bits, "black for white"),
    "four.ras": (sun_of_32_bits, "Sun rasters of 32 bits"),
    "grey.sgi": (sgi, "SGI of more than 8 bits"),
}


@pytest.mark.parametrize("kind", ["keep", *in_ci("png", "tiff", "jpeg")])
@pytest.mark.parametrize("name", REFUSED)
def test_what_pillow_would_cut_is_refused_by_name(name, kind, tmp_path):
    write, reason = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises((ValueError, OSError), match=reason):
        convert(str(tmp_path / name), tmp_path / "out.png", 30, "100%", kind, 90)
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing half-made is left"


@pytest.mark.parametrize(
    ("pixels", "options", "kind", "reason"),
    [
        (SIGNED, {}, "png", "PNG holds 0 to 65535"),
        (DEEP.astype(np.int32) * 1000, {}, "tiff", "over 2\\*\\*24"),
        (DEEP, {"extratags": [(42113, "s", 0, "0", True)]}, "tiff", "GDAL_NODATA"),
        (BYTES, {"extratags": [(42113, "s", 0, "0", True)]}, "png", "GDAL_NODATA"),
    ],
)
def test_what_cannot_be_interpolated_or_written_is_refused(pixels, options, kind, reason, tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", pixels, **options)
    with pytest.raises(ValueError, match=reason):
        convert(str(tmp_path / "in.tif"), tmp_path / f"out.{kind}", 30, "100%", kind, 90)


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (BYTES, {}),
        (DEEP, {"byteorder": ">"}),
        (DEEP, {"compression": "zlib"}),
        (SIGNED, {}),
        (GREY.astype(np.float32), {"tile": (64, 64)}),
        (np.dstack([BYTES, BYTES.T.reshape(HEIGHT, WIDTH), BYTES[::-1]]), {"photometric": "rgb"}),
        (np.dstack([BYTES, BYTES[::-1]] * 2), {"photometric": "separated"}),
    ],
)
def test_tiff_that_lies_on_its_side_is_turned_upright(pixels, options, tmp_path):
    mirrored = pixels.swapaxes(0, 1)
    sides = {5: mirrored, 6: np.rot90(pixels, -1), 7: np.rot90(mirrored, 2), 8: np.rot90(pixels)}
    for orientation, upright in sides.items():
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(tmp_path / "in.tif", pixels, extratags=[tag], **options)
        convert(str(tmp_path / "in.tif"), tmp_path / "out.tif", 0, "100%", "keep", 90)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), upright)


def test_what_is_half_transparent_is_either_in_gif(tmp_path):
    shade = np.zeros((8, 256, 4), np.uint8)
    shade[..., 3] = np.arange(256)
    Image.fromarray(shade).save(tmp_path / "in.png")
    convert(str(tmp_path / "in.png"), tmp_path / "out.gif", 0, "100%", "gif", 90)
    with Image.open(tmp_path / "out.gif") as made:
        alpha = np.asarray(made.convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(alpha[0], np.where(np.arange(256) < 128, 0, 255))


def test_interpolated_edges_do_not_leave_the_range_of_the_type(tmp_path):
    edges = np.where((X // 4) % 2, 65535, 0).astype(np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", edges)
    convert(str(tmp_path / "in.tif"), tmp_path / "out.tif", 10, "150%", "keep", 90)
    made = tifffile.imread(tmp_path / "out.tif").astype(int)
    halfway = (made > 20000) & (made < 45000)
    assert halfway.mean() < 0.35, "what wraps around is anything"
    assert made[30:50, 40:60].std() > 20000


@pytest.mark.parametrize("compression", ["group3", "group4", "jpeg", "tiff_lzw"])
def test_a_compression_that_fits_the_result_is_taken(compression, tmp_path):
    mode = "1" if compression.startswith("group") else "RGB"
    Image.fromarray((GREY * 255).astype(np.uint8)).convert(mode).save(
        tmp_path / "in.tif", compression=compression
    )
    convert(str(tmp_path / "in.tif"), tmp_path / "same.tif", 90, "100%", "keep", 90)
    convert(str(tmp_path / "in.tif"), tmp_path / "turned.tif", 30, "100%", "keep", 90)
    with Image.open(tmp_path / "same.tif") as same, Image.open(tmp_path / "turned.tif") as turned:
        assert same.info["compression"] == compression
        assert turned.mode == "RGB"
        turned.load()


@pytest.mark.parametrize("kind", ["png", "tiff", "webp", "bmp"])
def test_a_transparent_colour_becomes_a_channel_before_it_is_blended(kind, tmp_path):
    image = Image.new("RGB", (40, 40), (0, 255, 0))
    image.paste((200, 0, 0), (10, 10, 30, 30))
    image.save(tmp_path / "key.png", transparency=(0, 255, 0))
    convert(str(tmp_path / "key.png"), tmp_path / f"out.{kind}", 0, "50%", kind, 100)
    with Image.open(tmp_path / f"out.{kind}") as made:
        pixels = np.asarray(made.convert("RGBA"))
    is_seen = (pixels[..., 3] > 128) & (
        pixels[..., 2] < 128
    )  # what is written without transparency is on white
    assert is_seen.sum() in range(81, 122)
    seen = pixels[is_seen]
    assert (seen[:, 1] <= np.maximum(40, seen[:, 2] + 40)).all(), "no green shines through"


def test_a_gamma_is_kept_or_refused(tmp_path):
    png(tmp_path / "in.png", BYTES, bits=8, more=[(b"gAMA", struct.pack(">I", 100000))])
    convert(str(tmp_path / "in.png"), tmp_path / "out.png", 90, "100%", "keep", 90)
    assert b"gAMA\0\1\x86\xa0" in (tmp_path / "out.png").read_bytes()
    with pytest.raises(ValueError, match=r"a gamma of 1\.0, which TIFF can't have"):
        convert(str(tmp_path / "in.png"), tmp_path / "out.tif", 0, "100%", "tiff", 90)


def test_colours_of_a_cmyk_profile_are_kept_or_refused(tmp_path):
    path = str(tmp_path / "in.jpg")
    Image.new("CMYK", (20, 20)).save(path, icc_profile=b"a profile")
    convert(path, tmp_path / "out.tiff", 0, "100%", "tiff", 90)
    with Image.open(tmp_path / "out.tiff") as made:
        assert made.info["icc_profile"] == b"a profile"
    with pytest.raises(ValueError, match="CMYK profile, which PNG can't have"):
        convert(path, tmp_path / "out.png", 0, "100%", "png", 90)


def test_whether_there_are_more_frames_is_told(tmp_path):
    pages = np.stack([BYTES, BYTES[::-1]])
    tifffile.imwrite(tmp_path / "pages.tif", pages, photometric="minisblack")
    tifffile.imwrite(tmp_path / "page.tif", BYTES)
    for name, has_more in (("pages.tif", True), ("page.tif", False)):
        target = tmp_path / f"out-{name}"
        assert convert(str(tmp_path / name), target, 0, "100%", "keep", 90) is has_more
        np.testing.assert_array_equal(tifffile.imread(target), BYTES)


def test_corners_of_cmyk_and_lab_are_black(tmp_path):
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    Image.new("CMYK", (20, 20)).save(tmp_path / "cmyk.tif")
    image = ImageCms.profileToProfile(
        Image.new("RGB", (20, 20), "white"), srgb, lab, outputMode="LAB"
    )
    image.save(tmp_path / "lab.tif")
    for name, black in (("cmyk", [0, 0, 0, 255]), ("lab", [0, 0, 0])):
        convert(str(tmp_path / f"{name}.tif"), tmp_path / f"{name}-out.tif", 45, "100%", "keep", 90)
        assert tifffile.imread(tmp_path / f"{name}-out.tif")[0, 0].tolist() == black
    with pytest.raises(ValueError, match="can't write WEBP of LAB"):
        convert(str(tmp_path / "lab.tif"), tmp_path / "out.webp", 0, "100%", "webp", 90)


def test_lossless_webp_stays_so(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 4), np.uint8)
    image = Image.fromarray(pixels)
    cases = {
        "plain": {"lossless": True, "exact": True},
        "described": {"lossless": True, "exact": True, "icc_profile": b"of no colours"},
        "moving": {
            "lossless": True,
            "exact": True,
            "save_all": True,
            "append_images": [image.rotate(180)],
        },
    }
    for name, options in cases.items():
        source, target = tmp_path / f"{name}.webp", tmp_path / f"{name}-out.webp"
        image.save(source, **options)
        convert(str(source), target, 90, "100%", "keep", 20)
        np.testing.assert_array_equal(
            np.asarray(Image.open(target).convert("RGBA")), np.rot90(pixels)
        )
    image.save(tmp_path / "lossy.webp", quality=90)
    convert(str(tmp_path / "lossy.webp"), tmp_path / "small.webp", 0, "100%", "keep", 20)
    assert not is_lossless_webp(str(tmp_path / "small.webp"))
