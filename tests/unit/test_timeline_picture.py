"""The picture of a timeline, of few processes and of many, and pages with it; in a browser, if
there is one.
"""

import html.parser
import itertools
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from result_files import result, skipped, write
from suite.rings import in_ci

from mpipar.command.show import as_page, main
from mpipar.runtime.timeline import Span
from mpipar.store.look import look
from mpipar.view import lanes as view_lanes
from mpipar.view import themes, timeline
from mpipar.view.lanes import Lanes, cells, share_busy

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
EVIL = "<img src=x onerror=alert(1)>'\"&$\\frac{$\x1b[31m\n" + "語" * 3


@pytest.fixture(scope="module", autouse=True)
def _matplotlib():
    pytest.importorskip("matplotlib")


def lanes(rows, processes=2, until=10.0) -> Lanes:
    """Return lanes of spans (lane, begin, end)."""
    lane, begin, end = (np.array(column) for column in zip(*rows, strict=True))
    ones = np.ones(len(rows), int)
    return Lanes(np.arange(processes), lane.astype(int), begin, end, end - begin, ones, ones, until)


def by_brute_force(given: Lanes, rows: int, columns: int):
    """Return what cells should: by sampling each column at 1000 times."""
    times = (np.arange(columns * 1000) + 0.5) * given.until / (columns * 1000)
    busy, longest = np.zeros((rows, columns)), np.zeros((rows, columns))
    lanes_there = np.bincount(np.arange(given.count) * rows // given.count, minlength=rows)
    for lane, begin, end, each in zip(given.lane, given.begin, given.end, given.each, strict=True):
        inside = ((times >= begin) & (times < end)).reshape(columns, 1000).mean(axis=1)
        row = lane * rows // given.count
        busy[row] += inside / lanes_there[row]
        longest[row] = np.where(inside > 0, np.maximum(longest[row], each), longest[row])
    return busy, longest


@pytest.mark.parametrize(("rows", "columns"), [(1, 7), (3, 10), (6, 1), (6, 33)])
def test_cells_are_what_sampling_gives(rows, columns):
    rng = np.random.default_rng(3)
    made = []
    for lane in range(6):
        edges = np.sort(rng.uniform(0, 10, 12))
        made += [(lane, begin, end) for begin, end in edges.reshape(-1, 2)]
    given = lanes(made, 6)
    busy, longest = cells(given, rows, columns)
    expected, longest_expected = by_brute_force(given, rows, columns)
    assert busy == pytest.approx(expected, abs=0.01)
    assert (longest == longest_expected).mean() > 0.95
    assert busy.sum() * 10 / columns * 6 / rows == pytest.approx((given.end - given.begin).sum())


def test_the_share_of_busy_processes():
    _, share = share_busy(lanes([(0, 0.0, 10.0), (1, 0.0, 5.0)]), 100)
    assert share[:49] == pytest.approx(1)
    assert share[51:] == pytest.approx(0.5)


def test_lanes_are_by_rank_whatever_the_order_of_processes(tmp_path):
    made = result(ranks=3, workers=2, blocks=1)
    backwards = result(
        ranks=3, workers=2, blocks=1, records=made.records[::-1], timelines=made.timelines[::-1]
    )
    given = Lanes.of(look(write(tmp_path / "run.h5", backwards)))
    assert given.rank.tolist() == [0, 0, 1, 1, 2, 2]
    assert given.rank[given.lane].tolist() == [2, 2, 1, 1, 0, 0]
    assert given.firsts.tolist() == [0, 2, 4]


@pytest.mark.parametrize("count", [5000, *in_ci(100_000)])
def test_images_of_many_processes_stay_small(count, monkeypatch):
    many = np.arange(count)
    given = Lanes(
        many, many, np.zeros(count), np.ones(count), np.ones(count), np.ones(count), many, 1.0
    )
    assert view_lanes.columns_for(given, 900) * count <= max(2 * 10**7, 20 * count)
    busy, longest = cells(given, 300, view_lanes.columns_for(given, 900))
    assert busy == pytest.approx(1)
    assert longest == pytest.approx(1)


SHAPES = [
    {"ranks": 5000, "blocks": 13, "nodes": 40},
    {"ranks": 4, "workers": 8, "nodes": 2},
    {"ranks": 3, "blocks": 1},
]
MORE_SHAPES = [
    {"ranks": 1, "blocks": 10},
    {"ranks": 8, "blocks": 50},
    {"ranks": 64, "blocks": 20, "nodes": 4},
    {"ranks": 8, "blocks": 4096},
    {"ranks": 40, "workers": 20, "blocks": 5},
    {"ranks": 2, "sigma": 0.0},
]
PICTURES = [
    *itertools.product(["svg"], SHAPES),
    *in_ci(*itertools.product(["svg"], MORE_SHAPES)),
    *in_ci(("png", SHAPES[0]), ("pdf", SHAPES[0]), ("png", SHAPES[2]), ("pdf", MORE_SHAPES[5])),
    *(
        pytest.param(each, marks=pytest.mark.campaign)
        for each in itertools.product(["png", "pdf"], [SHAPES[1], *MORE_SHAPES[:5]])
    ),
]


@pytest.mark.parametrize("picture", PICTURES, ids=str)
def test_pictures_of_all_sizes(tmp_path, picture):
    kind, shape = picture
    summary = look(write(tmp_path / "run.h5", **shape))
    drawn = timeline.draw_timeline(summary, kind)
    assert drawn.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind])
    assert len(drawn) < 4_000_000


@pytest.mark.parametrize("kind", ["svg", *in_ci("png", "pdf")])
def test_pictures_of_the_same_are_the_same(tmp_path, kind):
    summary = look(write(tmp_path / "run.h5", ranks=2, blocks=5))
    assert timeline.draw_timeline(summary, kind) == timeline.draw_timeline(summary, kind)


def shades(png: bytes):
    """Return the colours of a PNG, of shape (height, width, 3)."""
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("ranks", [4, *in_ci(400)])
def test_idle_time_can_be_seen(tmp_path, ranks):
    """Half of the processes work half of the time: a quarter of the picture's lanes is idle."""
    pytest.importorskip("PIL")
    timelines = [[Span(rank, 1, 0.0, 1.0 if rank < ranks // 2 else 0.5)] for rank in range(ranks)]
    write(tmp_path / "run.h5", result(ranks=ranks, blocks=1, timelines=timelines, elapsed=1.0))
    pixels = shades(timeline.draw_timeline(look(tmp_path / "run.h5")))
    idle = (np.abs(pixels - 0xEB).max(axis=2) < 3).sum()
    darkest = (np.abs(pixels - np.array([0x44, 0x01, 0x54])).max(axis=2) < 6).sum()
    assert 0.45 < idle / darkest < 0.95, (
        "the longest blocks fill half of it; the share above adds to what is idle"
    )


@pytest.mark.parametrize("theme", [themes.LIGHT, themes.DARK], ids=["light", "dark"])
def test_colours_can_be_told_apart_by_all(theme):
    """The lightness of block colours rises or falls all the way, and idle time isn't one of
    them.
    """
    import matplotlib
    from matplotlib.colors import to_rgb

    weights = np.array([0.2126, 0.7152, 0.0722])
    whole = matplotlib.colormaps[theme.blocks](np.linspace(*theme.ends, 64))[:, :3]
    lightness = (whole**2.2) @ weights
    assert (np.diff(lightness) > 0).all() or (np.diff(lightness) < 0).all()
    idle, paper = (
        (np.array(to_rgb(colour)) ** 2.2) @ weights for colour in (theme.idle, theme.paper)
    )
    assert np.abs(lightness - idle).min() > 0.02
    assert abs(lightness[-1] - paper) == np.abs(lightness - paper).max(), (
        "the longest blocks stand out most"
    )


def test_texts_from_the_file_are_no_formulas(tmp_path):
    made = result(name=EVIL, hosts=[EVIL] * 2, schedule=EVIL)
    drawn = timeline.draw_timeline(look(write(tmp_path / "run.h5", made)), "svg")
    assert b"<img" not in drawn
    assert b"\x1b" not in drawn


# Pages.


class Page(html.parser.HTMLParser):
    """What is in a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [
            value
            for name, value in attributes
            if name in ("src", "srcset", "href", "data", "action")
        ]
        assert not any(name.startswith("on") for name, _ in attributes)

    def handle_data(self, data):
        self.words.append(data)


# A page takes seconds to draw: one process makes these for all their tests.
drawn_once = pytest.mark.xdist_group("pages")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Return a result, and its page."""
    made = result(ranks=4, skipped=skipped(60, "ValueError: <b>"), parameters={"x": 1.25})
    return made, as_page(look(write(tmp_path_factory.mktemp("told") / "run.h5", made)))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Return the page of a result whose texts mean harm, and are long."""
    made = result(
        outcome={EVIL: "x" * 400},
        name="n" * 200 + EVIL,
        parameters={"p" * 150: "v" * 400, EVIL: EVIL},
        skipped=skipped(3, "w" * 400 + EVIL),
        schedule=EVIL,
        hosts=["h" * 200, EVIL],
        library=EVIL,
    )
    return as_page(look(write(tmp_path_factory.mktemp("hostile") / "<b>.h5", made)))


@drawn_once
def test_a_page_has_all_and_needs_nothing_else(told):
    made, text = told
    page = Page(text)
    words = " ".join(page.words)
    for expected in (
        "load = 1.5",
        "imbalance",
        f"{made.imbalance:.3f}",
        "1.25",
        "ValueError: <b>",
        "10 more blocks",
        "Who worked when",
        "60 blocks failed",
    ):
        assert expected in words
    assert page.links
    assert all(link.startswith("data:") for link in page.links)
    assert not {"script", "iframe", "object", "embed", "form"} & {*page.tags}
    assert page.tags.count("img") == 3
    assert "url(" not in text
    assert not re.search(r"https?://", text)


@drawn_once
def test_texts_from_the_file_are_no_html(hostile):
    page = Page(hostile)
    assert page.tags.count("img") == 3
    assert "b" not in {*page.tags} - {"b"} or page.tags.count("b") == 6
    assert "<img src=x" in " ".join(page.words)
    assert "\x1b" not in hostile


# In a browser.


PROBE = """<script>
addEventListener("load", () => {
  const images = [...document.images];
  const told = {
    width: document.documentElement.scrollWidth, window: innerWidth,
    broken: images.filter(image => !image.complete || image.naturalWidth === 0).length, images: images.length,
    requests: performance.getEntriesByType("resource").map(one => one.name).filter(name => !name.startsWith("data:")),
    small: images.map(image => image.naturalWidth), scripts: document.querySelectorAll("[onerror]").length,
    paper: getComputedStyle(document.body).backgroundColor,
  };
  document.title = "told:" + JSON.stringify(told);
});
</script>"""


def browse(page: str, tmp_path, width: int, *options: str):
    """Return what a browser makes of a page, and what it complains about."""
    if CHROMIUM is None:
        if os.environ.get("MPIPAR_TEST_CHROMIUM") == "1":
            pytest.fail("there is no chromium")
        pytest.skip("there is no chromium")
    policy = "script-src 'unsafe-inline'; "
    assert "default-src 'none'; " in page
    file = tmp_path / "page.html"
    # A frame, as a window can't be as narrow as a telephone.
    inner = page.replace("default-src 'none'; ", f"default-src 'none'; {policy}").replace(
        "</body>", f"{PROBE}</body>"
    )
    (tmp_path / "inner.html").write_text(inner)
    file.write_text(
        '<body style="margin:0"><iframe src="inner.html"'
        f' style="width:{width}px;height:3000px;border:0"></iframe><script>setInterval(() => {{'
        " document.title = frames[0].document.title }, 50)</script></body>"
    )
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr",
        "--log-level=0",
        "--window-size=1400,3000",
        "--virtual-time-budget=5000",
        *options,
        "--dump-dom",
        file.as_uri(),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=90)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.communicate()
    found = re.search(r"<title>told:(.*?)</title>", out, re.DOTALL)
    assert found, (out[:500], err[-2000:])
    console = [line for line in err.splitlines() if ":CONSOLE" in line]
    return json.loads(found[1].replace("&amp;", "&")), console


@drawn_once
@pytest.mark.parametrize("width", [400, *in_ci(1280)])
def test_a_hostile_page_in_a_browser(tmp_path, hostile, width):
    assert_is_shown(hostile, tmp_path, width)


SMALL = {"ranks": 8, "blocks": 20}
LARGE = {"ranks": 2000, "blocks": 3, "nodes": 30}


@pytest.mark.parametrize(
    "page",
    [
        *in_ci((SMALL, 400), (LARGE, 1280)),
        pytest.param((SMALL, 1280), marks=pytest.mark.campaign),
        pytest.param((LARGE, 400), marks=pytest.mark.campaign),
    ],
    ids=str,
)
def test_a_page_in_a_browser(tmp_path, page):
    made, width = page
    assert_is_shown(as_page(look(write(tmp_path / "run.h5", **made))), tmp_path, width)


def assert_is_shown(page: str, tmp_path, width: int) -> None:
    told, console = browse(page, tmp_path, width)
    assert told["window"] == width
    assert told["width"] <= width, "it overflows"
    assert (told["images"], told["broken"], told["scripts"]) == (3, 0, 0)
    assert told["requests"] == []
    assert console == []
    assert (told["small"][0] > 1500) == (width == 1280), "a telephone has a picture of its own"


@pytest.mark.ci
def test_a_page_on_a_dark_screen(tmp_path):
    page = as_page(look(write(tmp_path / "run.h5")))
    light, dark = (
        browse(page, tmp_path, 1280, *options)[0]["paper"]
        for options in ((), ("--force-dark-mode",))
    )
    assert light == "rgb(255, 255, 255)"
    assert dark == "rgb(23, 25, 28)"


@drawn_once
def test_the_browser_would_tell_of_what_is_wrong(tmp_path, told):
    _, page = told
    bad = page.replace(
        "</body>",
        '<img src="data:image/png;base64,AAAA"><img src="nowhere.png">'
        '<p style="width:2000px">wide</p></body>',
    )
    told, console = browse(bad, tmp_path, 1280)
    assert told["broken"] == 2
    assert told["width"] >= 2000
    assert console, "the policy of the page forbids requests"


def test_the_command_writes_what_the_functions_return(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        timeline, "draw_timeline", lambda *given: repr(given[1:]).encode()
    )  # the real ones take a second each
    path = write(tmp_path / "run.h5", ranks=3)
    assert (
        main(
            [
                str(path),
                "--timeline",
                str(tmp_path / "t.png"),
                "--html",
                str(tmp_path / "p.html"),
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["spans"] == 18
    assert (tmp_path / "p.html").read_text() == as_page(look(path))
    assert (tmp_path / "t.png").read_bytes() == timeline.draw_timeline(look(path), "png")
