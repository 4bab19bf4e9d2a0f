"""The site: built strictly, with no warning, link, anchor or picture that leads nowhere, and
nothing from elsewhere.
"""

import json
import os
import re
import runpy
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pages
import pytest
from conftest import python
from pages import ROOT

import mpipar
from mpipar.base.drivers import DRIVERS
from mpipar.command.commands import COMMANDS

# One process builds the site, and all tests look at it.
pytestmark = pytest.mark.xdist_group("site")

TIME_LIMIT = 120

# Any connection that isn't local fails: the site is to be built without a network.
NO_NETWORK = """
import runpy, socket, sys

def refuse(*_, **__):
    raise OSError("the site is built without a network")

socket.socket.connect = socket.getaddrinfo = refuse
sys.argv = ["mkdocs", *sys.argv[1:]]
runpy.run_module("mkdocs", run_name="__main__")
"""


class Page(HTMLParser):
    """What a page refers to, and what it can be referred to by."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors, self.links, self.loaded, self.text = set(), set(), set(), ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and given.get("href"):
            self.links.add(given["href"])
        if tag in ("img", "script", "source", "iframe") and given.get("src"):
            self.loaded.add(given["src"])
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.add(given["href"])

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site, and return its folder."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    built = python(
        "-c",
        NO_NETWORK,
        "build",
        "--strict",
        "--site-dir",
        str(folder),
        cwd=ROOT,
        timeout=TIME_LIMIT,
        env={"NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1", "COLUMNS": "30"},
    )
    assert built.code == 0, built.stderr
    assert "WARNING" not in built.stderr, built.stderr
    return folder


@pytest.fixture(scope="module")
def html(site):
    """Return {path: Page} of all pages."""
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_is_in_the_site(site, html):
    names = {str(path.relative_to(site)) for path in html}
    made = {"reference/commands.html", "reference/keys.html", "changes.html"}
    written = {
        page.removeprefix("docs/").replace(".md", ".html")
        for page in pages.PAGES
        if page.startswith("docs/")
    }
    assert names == made | written | {"404.html"}


def test_no_link_leads_nowhere(site, html):
    followed = 0
    for path, page in html.items():
        if path.name == "404.html":  # its links are to a server's root
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                continue
            assert not parts.scheme, link
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target in html, f"{path.name} leads to {link}"
            anchor = unquote(parts.fragment)
            assert not anchor or anchor in html[target].anchors or anchor == "__skip", (
                f"{path.name} leads to {link}"
            )
            followed += 1
    assert followed > 500


def test_all_that_is_loaded_is_in_the_site(site, html):
    for path, page in html.items():
        for source in page.loaded:
            parts = urlsplit(source)
            assert not parts.scheme, f"{path.name} loads {source}"
            assert not parts.netloc, f"{path.name} loads {source}"
            base = site if parts.path.startswith("/") else path.parent
            assert (base / unquote(parts.path).lstrip("/")).is_file(), f"{path.name} loads {source}"
    for style in site.rglob("*.css"):
        found = re.findall(
            r"url\(\s*[\"']?(?!data:|#)([^)\"']+)", style.read_text(encoding="utf-8")
        )
        assert not [url for url in found if urlsplit(url).netloc], style


def test_every_public_name_is_in_the_reference(html, site):
    page = html[site / "reference/python.html"]
    missing = [name for name in mpipar.__all__ if f"mpipar.{name}" not in page.anchors]
    assert missing == []
    for method in (
        "Driver.finish",
        "Driver.shared",
        "Driver.main",
        "Pool.imap_unordered",
        "Executor.submit",
    ):
        assert f"mpipar.{method}" in page.anchors, method
    assert not re.search(r":\w+:`|:\w+:\w*\s*~?mpipar", page.text), "a role of RST is left"


def test_every_command_says_what_its_parser_does(html, site, monkeypatch):
    monkeypatch.setitem(os.environ, "COLUMNS", "80")
    text = html[site / "reference/commands.html"].text
    for name in (*COMMANDS, *DRIVERS):
        shown = python("-m", "mpipar", name, "--help", env={"NO_COLOR": "1"}).stdout.strip()
        assert shown.startswith("usage: ")
        assert shown in text, name


def test_the_first_page_has_figures_if_they_are_measured(html, site):
    table = html[site / "index.html"].text.partition("What it costs")[2]
    if not (ROOT / "docs/benchmarks.json").exists():
        assert "mpipar's time over" not in table
        return
    generate, page = (
        runpy.run_path(str(ROOT / name)) for name in ("docs/generate.py", "benchmarks/page.py")
    )
    raw = json.loads((ROOT / "docs/benchmarks.json").read_text(encoding="utf-8"))
    for told, (name, what, other) in generate["FIGURES"].items():
        if name.partition("-")[0] in raw["failed"]:
            continue
        rows = [row for one in raw["tables"] if one["name"] == name for row in one["rows"]]
        named = [row for row in rows if what in row["what"] and row["other"] == other]
        assert len(named) == 1, (
            f"benchmarks.json has rows of other names than docs/generate.py: {told}"
        )
        [row] = named
        assert row["ours"] or row["failed"]
        shown = re.search(rf"{re.escape(told.replace('`', ''))}\s+(\S.*)\s+\S+ to \S+", table)
        assert bool(shown) == bool(row["ours"]), told
        if shown:
            assert (shown[1] == "≈ 1 (noise)") == (page["verdict"](row) == 0), told


def test_every_key_is_in_the_reference(html, site):
    text = html[site / "reference/keys.html"].text
    for key in (
        "run.driver",
        "resources.ranks_per_node",
        "restart.lost_nodes",
        "launcher",
        "start_seconds",
    ):
        assert key in text


def test_the_makefile_builds_it():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "mkdocs build --strict" in makefile
    assert "/site/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
