"""The driver that converts a folder of images: its results, its bad files, and the bytes in all
modes.
"""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import UNBOUND, chosen_ranks, over, python
from PIL import Image

from mpipar import BadInput, RunFailed, run
from mpipar.images import images, renamed, size_after

N, CORRUPT = 100, ("broken/empty.jpg", "broken/noise.jpg", "broken/truncated.jpg")
ODD_NAMES = ("with two spaces.jpg", "both ' and \".jpg", "größe π.jpg")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Make 100 small JPEGs in two folders, three of them corrupt, some with names that shells and
    terminals dislike.
    """
    folder = tmp_path_factory.mktemp("images") / "photos"
    (folder / "broken").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"{i:04}.jpg" for i in range(N - len(CORRUPT) - len(ODD_NAMES))]
    for name in (*names, *ODD_NAMES, "broken/truncated.jpg"):
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(folder / name)
    truncated = folder / "broken" / "truncated.jpg"
    truncated.write_bytes(truncated.read_bytes()[: truncated.stat().st_size // 2])
    (folder / "broken" / "noise.jpg").write_bytes(rng.bytes(1000))
    (folder / "broken" / "empty.jpg").touch()
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.jpg").write_text("no image either")
    return folder


@pytest.fixture(scope="module")
def expected(photos, tmp_path_factory):
    """Return the results of all good files: of the kernel's own function, without the machinery."""
    into = tmp_path_factory.mktemp("expected")
    outcome = run(images, input=str(photos), into=into, rotate=90, resize="50%", on_error="skip")
    assert outcome.value == {"converted": N - 3, "existing": 0}
    return contents(into)


@pytest.fixture
def samples(tmp_path):
    """Make a folder with a few kinds of images, and work beside it."""
    folder = tmp_path / "in"
    folder.mkdir()
    red_in_a_corner = Image.new("RGB", (32, 24), "blue")
    red_in_a_corner.paste("red", (0, 0, 16, 12))
    red_in_a_corner.save(folder / "photo.jpg", quality=95)
    upright = Image.Exif()
    upright[0x0112] = 6  # to be turned clockwise
    red_in_a_corner.save(folder / "turned.jpg", exif=upright, quality=95, icc_profile=b"a profile")
    clear = Image.new("RGBA", (32, 24), (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), (0, 0, 16, 24))
    clear.save(folder / "rgba.png")
    clear.convert("LA").save(folder / "la.png")
    clear.quantize(4).save(folder / "palette.png")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def nearly(image: Image.Image, place: tuple[int, int], colour: tuple[int, ...]) -> bool:
    pixel = image.getpixel(place)
    return np.abs(np.subtract(pixel, colour)).max() < 40


MODES = [(None, 1), (None, 2), *((ranks, 1) for ranks in chosen_ranks(1, 2, 3)), (2, 2)]


@pytest.mark.parametrize(
    ("ranks", "workers"),
    [*(pytest.param(*mode, marks=pytest.mark.ci) for mode in MODES[:-1]), MODES[-1]],
)
def test_all_modes_make_the_same_files_and_skip_the_corrupt_ones(
    ranks, workers, photos, expected, tmp_path
):
    options = ("--rotate", "90", "--resize", "50%", "--on-error", "skip", "--workers", str(workers))
    where = ("--input", str(photos), "--into", "out")
    finished = over(ranks)(
        "-m", "mpipar.images", *where, *options, "--json", cwd=tmp_path, env=UNBOUND
    )
    result = finished.json
    assert result["value"] == {"converted": N - 3, "existing": 0}
    assert (result["n"], result["evaluated_blocks"], result["skipped_blocks"]) == (N, N - 3, 3)
    assert len(finished.own_errors) == 3
    for name, line, skipped in zip(CORRUPT, finished.own_errors, result["skipped"], strict=True):
        assert str(photos / name) in line
        assert str(photos / name) in skipped["reason"]
    assert contents(tmp_path / "out") == expected


@pytest.mark.parametrize(("ranks", "workers"), [(None, 1), (None, 2), (2, 1)])
def test_a_corrupt_file_stops_the_run_with_one_message(ranks, workers, photos, tmp_path):
    where = ("--input", str(photos / "broken"), "--into", "out", "--workers", str(workers))
    finished = over(ranks)("-m", "mpipar.images", *where, cwd=tmp_path)
    assert (finished.code, finished.stdout) == (1, "")
    assert sum(" on host " in line for line in finished.own_errors) == 1
    assert any(name in finished.own_errors[0] for name in CORRUPT)
    assert contents(tmp_path) == {}


def test_existing_results_are_left_as_they_are(photos, expected, tmp_path):
    where = ("--input", str(photos), "--into", "out", "--skip-existing", "--on-error", "skip")
    options = ("--rotate", "90", "--resize", "50%", "--json")
    first = over(2)("-m", "mpipar.images", *where, *options, cwd=tmp_path).json
    assert first["value"] == {"converted": N - 3, "existing": 0}
    (tmp_path / "out" / "0007.jpg").unlink()
    (tmp_path / "out" / "0008.jpg").write_bytes(b"mine")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    second = over(2)("-m", "mpipar.images", *where, *options, cwd=tmp_path).json
    assert second["value"] == {"converted": 1, "existing": N - 4}
    assert second["skipped_blocks"] == 3
    assert contents(tmp_path / "out") == expected | {"0008.jpg": b"mine"}
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    third = over(None)("-m", "mpipar.images", *where, *options, cwd=tmp_path).json
    assert third["value"] == {"converted": 0, "existing": N - 3}


def test_skipped_files_are_in_the_result_file_whatever_their_names(tmp_path):
    (tmp_path / "in").mkdir()
    bad = ["line\nbreak.jpg", "both ' and \".jpg", "größe.jpg", os.fsdecode(b"not utf-8 \xff.jpg")]
    for name in bad:
        (tmp_path / "in" / name).touch()
    Image.new("RGB", (4, 4)).save(tmp_path / "in" / os.fsdecode(b"good \xff.png"))
    where = ("--input", "in", "--into", "out", "--on-error", "skip", "--output", "run.h5", "--json")
    finished = python("-m", "mpipar.images", *where, cwd=tmp_path)
    assert len(finished.own_errors) == len(finished.json["skipped"]) == len(bad)
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["value/converted"][()] == 1
        reasons = [row["reason"].decode() for row in file["skipped"]]
    for name in bad:
        assert any(repr(os.path.join("in", name)) in reason for reason in reasons)
    assert [os.fsencode(name) for name in contents(tmp_path / "out")] == [b"good \xff.png"]


def test_by_default_files_are_encoded_anew_and_turned_upright(samples, tmp_path):
    run(images, input=str(samples), into=tmp_path / "out")
    assert contents(tmp_path / "out").keys() == contents(samples).keys()
    with Image.open(tmp_path / "out" / "turned.jpg") as image:
        assert (image.format, image.size, image.info["icc_profile"]) == (
            "JPEG",
            (24, 32),
            b"a profile",
        )
        assert nearly(image, (18, 8), (255, 0, 0))
        assert 0x0112 not in image.getexif()
    with Image.open(tmp_path / "out" / "palette.png") as image:
        assert (image.mode, image.size) == ("P", (32, 24))


def test_rotation_is_counter_clockwise_and_before_the_size(samples, tmp_path):
    run(images, input=str(samples), into=tmp_path / "out", rotate=90, resize="x64")
    with Image.open(tmp_path / "out" / "photo.jpg") as image:
        assert image.size == (48, 64)
        assert nearly(image, (10, 50), (255, 0, 0))
        assert nearly(image, (10, 10), (0, 0, 255))
    run(images, input=str(samples / "photo.jpg"), into=tmp_path / "tilted", rotate=45)
    with Image.open(tmp_path / "tilted" / "photo.jpg") as image:
        assert image.size in ((40, 40), (41, 41))
        assert nearly(image, (1, 1), (0, 0, 0))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("100%", (32, 24)),
        ("50%", (16, 12)),
        ("12.5%", (4, 3)),
        ("1%", (1, 1)),
        ("8x9", (8, 9)),
        ("8x", (8, 6)),
        ("x8", (11, 8)),
        ("1x", (1, 1)),
    ],
)
def test_sizes(text, size):
    assert size_after(text, 32, 24) == size


@pytest.mark.parametrize(
    "text",
    ["", "x", "0%", "0x10", "10x0", "0x", "-5%", "10", "1e3%", "10X10", "5 0%", "٣x٣", "9999999x"],
)
def test_bad_sizes(text):
    with pytest.raises(BadInput, match="resize"):
        size_after(text, 32, 24)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "tiff", "bmp", "gif"])
def test_formats(kind, samples, tmp_path):
    Image.new("CMYK", (32, 24)).save(samples / "cmyk.jpg")
    run(images, input=str(samples), into=tmp_path / "out", format=kind, resize="16x")
    suffixes = {"jpeg": {".jpg": ".jpg"}, "png": {".png": ".png"}}.get(kind, {})  # that stay
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {path.stem + suffixes.get(path.suffix, f".{kind}") for path in samples.iterdir()}
    for name in made:
        with Image.open(tmp_path / "out" / name) as image:
            assert image.format == kind.upper()
            assert image.width == 16


def test_transparent_images_become_jpegs_on_white(samples, tmp_path):
    run(images, input=str(samples / "*.png"), into=tmp_path / "out", format="jpeg", quality=95)
    assert contents(tmp_path / "out").keys() == {"rgba.jpeg", "la.jpeg", "palette.jpeg"}
    for name in ("rgba", "la", "palette"):
        with Image.open(tmp_path / "out" / f"{name}.jpeg") as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert nearly(image, (28, 12), (255, 255, 255)), name
            assert not nearly(image, (4, 12), (255, 255, 255)), name


def test_pixels_of_16_bits_are_kept_or_refused_but_never_clipped(tmp_path):
    (tmp_path / "in").mkdir()
    deep = np.array([[100, 1000, 30000, 60000]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "in" / "deep.png")
    run(images, input=str(tmp_path / "in"), into=tmp_path / "out", format="tiff")
    with Image.open(tmp_path / "out" / "deep.tiff") as image:
        assert np.asarray(image).tolist() == deep.tolist()
    with pytest.raises(RunFailed, match=r"deep\.png.* WEBP of I;16 pixels"):
        run(images, input=str(tmp_path / "in"), into=tmp_path / "out", format="webp")
    assert contents(tmp_path / "out").keys() == {"deep.tiff"}, "nothing half-made is left"


def test_names():
    assert renamed("a/b.c/x.PNG", "webp") == "a/b.c/x.webp"
    assert renamed("x.JPG", "jpeg") == renamed("x.JPG", "keep") == "x.JPG"
    assert renamed("no suffix", "png") == "no suffix.png"


def test_results_of_a_pattern_are_relative_to_its_folders_without_wildcards(samples, tmp_path):
    (samples / "sub").mkdir()
    (samples / "photo.jpg").rename(samples / "sub" / "no suffix")
    run(images, input=str(samples / "*" / "no*"), into=tmp_path / "out")
    run(images, input=str(samples / "sub" / "no*"), into=tmp_path / "out")
    assert contents(tmp_path / "out").keys() == {"sub/no suffix", "no suffix"}
    run(
        images, input=str(samples / "*.jpg"), into=samples / "small", resize="50%"
    )  # not read again: the pattern is flat
    assert contents(samples / "small").keys() == {"turned.jpg"}


def test_two_stars_stand_for_folders_but_not_for_links_that_lead_back(tmp_path):
    for name in ("in/a.png", "in/x/b.png", "in/x/y/c.png", "in/.hidden/d.png", "in/x[1]/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    for name in ("in/loop", "in/x/loop", "in/x/y/loop"):
        (tmp_path / name).symlink_to(tmp_path / "in")
    for number, (pattern, names) in enumerate(
        {
            "in/**/*.png": {"a.png", "x/b.png", "x/y/c.png", "x[1]/e.png"},
            "in/**": {"a.png", "x/b.png", "x/y/c.png", "x[1]/e.png"},
            "in/**/y/**/*.png": {"x/y/c.png"},
            "in/x/**/*.png": {"b.png", "y/c.png"},
            "in/**/**/c.png": {"x/y/c.png"},
        }.items()
    ):
        into = tmp_path / f"out{number}"
        run(images, input=str(tmp_path / pattern), into=into)
        assert contents(into).keys() == names, pattern


def test_a_later_run_in_the_same_process_lists_the_images_anew(samples, tmp_path):
    before = run(images, input=str(samples), into=tmp_path / "out").value["converted"]
    Image.new("RGB", (4, 4)).save(samples / "new.png")
    again = run(images, input=str(samples), into=tmp_path / "out", skip_existing=True)
    assert again.value == {"converted": 1, "existing": before}


def test_a_list_that_changes_between_rank_and_workers_fails_the_run(samples, tmp_path):
    (tmp_path / "late.py").write_text(
        "import shutil\n"
        "from mpipar import images\n\n"
        'if __name__ == "__main__":\n'
        "    bind = images.images.bind\n"
        "    def bind_then_change(*args, **kwargs):\n"
        "        bound = bind(*args, **kwargs)\n"
        '        shutil.copy("in/rgba.png", "in/0 comes first.png")\n'
        "        return bound\n"
        "    images.images.bind = bind_then_change\n"
        "    images.images.main()\n"
    )
    finished = python("late.py", "--input", "in", "--into", "out", "--workers", "2", cwd=tmp_path)
    assert (finished.code, finished.stdout) == (1, "")
    assert "files came or went while the run began" in finished.own_errors[0]


BAD_INPUT = [
    (("--input", "missing"), "'missing'"),
    (("--input", "empty"), "'empty'"),
    (("--input", "in/*.webp"), "'in/*.webp'"),
    (("--input", ""), "input"),
    (("--into", "missing/out"), "'missing/out'"),
    (("--into", "notes.txt"), "'notes.txt'"),
    (("--into", "notes.txt/out"), "'notes.txt/out'"),
    (("--into", "in"), "originals"),
    (("--into", "in/sub/.."), "originals"),
    (("--into", "in/out"), "originals"),
    (("--into", "link"), "originals"),
    (("--input", "in/*.png", "--into", "in"), "originals"),
    (("--input", "*/*.png", "--into", "out"), "originals"),
    (("--format", "webp"), "'a.jpg' and 'a.png'"),
    (("--input", "nested/x", "--into", "nested"), "'y.png' and 'x/y.png'"),
    (("--resize", "0x10"), "resize"),
    (("--resize", "big"), "resize"),
    (("--rotate", "much"), "rotate"),
    (("--rotate", "nan"), "rotate"),
    (("--quality", "0"), "quality"),
    (("--quality", "101"), "quality"),
    (("--format", "psd"), "format"),
    (("--output", "missing/run.h5"), "missing"),
]


@pytest.fixture(scope="module")
def bad_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    for name in ("in/sub", "empty", "nested/x/x"):
        (folder / name).mkdir(parents=True)
    for name in ("in/a.png", "in/a.jpg", "nested/x/y.png", "nested/x/x/y.png"):
        Image.new("RGB", (4, 4)).save(folder / name)
    (folder / "notes.txt").write_text("precious")
    (folder / "link").symlink_to("in")
    return folder


@pytest.mark.parametrize(("options", "word"), BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(options, word, bad_folder):
    before = contents(bad_folder), sorted(bad_folder.rglob("*"))
    finished = python(
        "-m", "mpipar.images", "--input", "in", "--into", "out", *options, cwd=bad_folder
    )
    assert (finished.code, finished.stdout) == (2, "")
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    assert word in finished.stderr
    assert (contents(bad_folder), sorted(bad_folder.rglob("*"))) == before


@pytest.mark.parametrize(
    "options", [("--format", "webp"), ("--into", "in"), ("--input", "missing")]
)
def test_bad_input_over_ranks(options, bad_folder):
    finished = over(3)(
        "-m", "mpipar.images", "--input", "in", "--into", "out", *options, cwd=bad_folder
    )
    assert (finished.code, finished.stdout, len(finished.own_errors)) == (2, "", 1), finished.stderr
    assert not (bad_folder / "out").exists()


@pytest.mark.parametrize("missing", [(), ("--input", "in"), ("--into", "out")])
def test_input_and_into_are_required(missing, bad_folder):
    finished = python("-m", "mpipar.images", *missing, cwd=bad_folder)
    assert (finished.code, len(finished.own_errors)) == (2, 1)


def test_without_pillow(bad_folder, tmp_path):
    (tmp_path / "PIL.py").write_text("raise ImportError('as if it were not installed')")
    options = ("-m", "mpipar.images", "--input", "in", "--into", "out")
    finished = python(*options, cwd=bad_folder, env={"PYTHONPATH": str(tmp_path)})
    assert finished.code == 2
    assert finished.own_errors == [
        "python -m mpipar.images: error: images needs Pillow: pip install 'mpipar[images]'"
    ]
    assert python(*options, "--help", env={"PYTHONPATH": str(tmp_path)}).code == 0
