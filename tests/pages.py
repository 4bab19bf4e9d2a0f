"""The blocks of the README and of docs/, for the tests that run them as a reader would.

A page is read from its top: a block that follows "Save this as `name`:" is a file, ``sh`` blocks
are lines that are typed in the folder with these files, other ``python`` blocks are run by
themselves, other ``toml`` blocks are job files (on sites.md profiles), and a ``text`` block right
after one of them is what that prints, with … for what varies. Other ``text`` blocks are in
:data:`ILLUSTRATED_BY`, with the test that has their words. Blocks without a language are drawings.
Whatever is on a page is run by the test that :data:`RUN_BY` names for its kind, so that a new page
is run by itself.
"""

import atexit
import functools
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conftest import BIN, FOR_OPEN_MPI, UNBOUND, WARM, Finished, python, start

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    *sorted(f"docs/{path.relative_to(ROOT / 'docs')}" for path in (ROOT / "docs").rglob("*.md")),
)

HERE, SLURM, ALLOCATION, SCALE, SCALE_ON_SLURM = (
    "here",
    "slurm",
    "allocation",
    "scale",
    "scale on slurm",
)
MAKE, NOT_RUN, DOCUMENT = "make", "not run", "document"

RUN_BY = {
    HERE: "tests/docs/test_pages.py",
    f"{HERE}: README.md": "tests/mpi/test_readme.py",  # these also look at what comes out
    f"{HERE}: docs/tutorial.md": "tests/mpi/test_tutorial.py",
    f"{HERE}: docs/pools.md": "tests/pool/test_the_guide.py",
    f"{HERE}: docs/results.md": "tests/mpi/test_results.py",
    SLURM: "tests/slurm/test_guide.py",
    ALLOCATION: "tests/slurm/test_guide.py",
    SCALE: "tests/mpi/test_scale.py",
    SCALE_ON_SLURM: "tests/slurm/test_scale.py",
    # as targets of the Makefile: these lines run tests, which would run this one
    MAKE: "tests/docs/test_pages.py",
    NOT_RUN: "tests/docs/test_pages.py",
    DOCUMENT: "tests/unit/test_batch_docs.py",
}
"""Which test runs what."""

CANNOT_BE_RUN = {
    r"(MPICC=\$\(.*\) )?python -m pip install .*": "needs packages from elsewhere",
    r"python3 -m venv \.venv && \. \.venv/bin/activate": (
        "what follows is run in the environment of the tests"
    ),
}
"""Lines that no test runs, and why."""

ILLUSTRATED_BY = {
    ("docs/slurm.md", "1\nmpipar submit: job 1 (pi) in "): "tests/slurm/test_guide.py",
    ("docs/slurm.md", "job 1 (pi): cancelled, "): "tests/slurm/test_guide.py",
    ("docs/slurm.md", "mpipar cancel: waiting up to "): "tests/slurm/test_guide.py",
    ("docs/slurm.md", "mpipar: job pi-2: 4 ranks on n1, n2\n"): "tests/unit/test_step.py",
}
"""Texts that are not compared with what the block before them prints, by page and beginning, and
what compares them.
"""

_MAY_BE_1 = re.compile(
    r".*\bmpipar doctor\b.*"
)  # the exit code, where the machine of the tests has a problem

_KINDS = {
    r"make\b.*": MAKE,
    r"mpipar scale .*--on slurm.*": SCALE_ON_SLURM,
    r"(python -m )?mpipar scale .*": SCALE,
    r"(sbatch|mpipar (submit|status|logs|cancel)|job=).*": SLURM,
    r"(srun|salloc) .*": ALLOCATION,
    r"(\w+=\S+ )*(python3?|mpirun|mpipar|timeout) .*": HERE,
}
_INLINE = re.compile(r"(?:mpirun -np \d+ )?(?:python -m )?mpipar[ .]([a-z]+)(?![\w(.])(.*)")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SAVED = re.compile(r"Save this as\s`([\w./-]+)`[^`]*\Z")


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes
    ----------
    page, language, text : str
    name : str or None
        The file that it is saved as.
    follows : Block or None
        The block right before it, if it is what that prints.
    """

    page: str
    language: str
    text: str
    name: str | None = None
    follows: "Block | None" = None

    @property
    def is_compared(self) -> bool:
        """Whether it is what the block before it prints on this machine."""
        before = self.follows
        if before is None or before.name:
            return False
        return before.language == "python" or (
            before.language == "sh" and all(kind_of(line) == HERE for line in before.lines)
        )

    @property
    def lines(self) -> list[str]:
        """The lines of a ``sh`` block, without comments; those that are continued are one."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [
            line for line in (re.sub(r"(^|  +)#.*", "", line).strip() for line in lines) if line
        ]


def text_of(page: str) -> str:
    """Return a page as it is written."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    text, found, end = text_of(page), [], 0
    for fence in FENCE.finditer(text):
        between, end = text[end : fence.start()], fence.end()
        saved = _SAVED.search(between)
        is_output = fence[1] == "text" and found and not between.strip()
        found.append(
            Block(
                page,
                fence[1],
                fence[2],
                saved and saved[1] if fence[1] != "sh" else None,
                found[-1] if is_output else None,
            )
        )
    return found


def kind_of(line: str) -> str:
    """Return how a line of shell is tested. Raises LookupError if nobody would run it."""
    for pattern, kind in (dict.fromkeys(CANNOT_BE_RUN, NOT_RUN) | _KINDS).items():
        if re.fullmatch(pattern, line):
            return kind
    raise LookupError(f"no test would run this line: {line}")


def shell_lines(page: str, *kinds: str) -> list[str]:
    """Return the lines of shell of a page, or those of some kinds."""
    lines = [line for block in blocks(page) if block.language == "sh" for line in block.lines]
    return [line for line in lines if not kinds or kind_of(line) in kinds]


def pages_with(*kinds: str) -> list[str]:
    """Return the pages that have lines of some kinds."""
    return [page for page in PAGES if shell_lines(page, *kinds)]


def saved_files(page: str) -> dict[str, str]:
    """Return {name: text} of what a page has the reader save."""
    return {block.name: block.text for block in blocks(page) if block.name}


def documents(page: str) -> list[str]:
    """Return the TOML of a page."""
    return [block.text for block in blocks(page) if block.language == "toml"]


def illustrations(page: str) -> list[str]:
    """Return the texts of a page that are not compared with what the block before them prints."""
    return [
        block.text for block in blocks(page) if block.language == "text" and not block.is_compared
    ]


def inline_commands(page: str) -> list[tuple[str, str]]:
    """Return the name, and what follows it, of each command of mpipar in a page's sentences."""
    outside = FENCE.sub("", text_of(page))
    inline = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", outside)]
    found = [_INLINE.fullmatch(code) for code in inline]
    return [(command[1], command[2]) for command in found if command]


def is_run_by(page: str) -> str:
    """Return the test that runs a page's lines and code on this machine."""
    return RUN_BY.get(f"{HERE}: {page}", RUN_BY[HERE])


def warm_programs() -> Path:
    """Return a folder with ``python``, ``python3`` and ``mpipar`` that are warm, where they may be
    (see suite.warm).
    """
    folder = _folder_of_programs()
    client = shlex.join(WARM.command([]))
    by_name = (
        f'case "$1" in -m | -c | [!-]*) exec {client} "$@" ;; esac\nexec'
        f' {shlex.quote(sys.executable)} "$@"'
    )
    for name, text in {
        "python": by_name,
        "python3": by_name,
        "mpipar": f'exec {client} -m mpipar "$@"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


# What a module starts, it starts by the interpreter that it is run by: let that be a warm one.
_WITH_WARM_RUNS = """
import runpy, sys
_, sys.executable, module, *sys.argv[1:] = sys.argv
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def with_warm_runs(module: str, *arguments: str) -> tuple[str, ...]:
    """Return what follows ``python`` to run a module that starts Python itself, and warm."""
    return ("-c", _WITH_WARM_RUNS, str(warm_programs() / "python"), module, *arguments)


@functools.cache
def _folder_of_programs() -> Path:
    folder = tempfile.mkdtemp(prefix="mpipar-programs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def type_in(line: str, folder: Path, *, cold: bool = False, **options) -> Finished:
    """Type a line into a shell in a folder; the environment's programs are first on the path.

    They are warm, unless ``cold`` says that they must be those that are installed.
    """
    programs = [BIN] if cold or "MPIPAR_TEST_COLD" in os.environ else [warm_programs(), BIN]
    path = os.pathsep.join((*map(str, programs), os.environ["PATH"]))
    environment = {**FOR_OPEN_MPI, **UNBOUND, "NO_COLOR": "1", "PATH": path}
    environment["PYTEST_ADDOPTS"] = (
        "-p no:randomly"  # ranks that take tests in orders of their own would wait forever
    )
    return start(["bash", "-c", line], cwd=folder, env=environment, **options)


def read(page: str, folder: Path, *, cold: bool = False) -> Iterator[tuple[Block, str, Finished]]:
    """Do what a page says, block by block, in a folder; yield each block, the line (or name) and
    what came of it.

    Output that the page shows must come so, and every exit code must be 0. ``cold`` is for
    :func:`type_in`.
    """
    printed = ""
    for number, block in enumerate(blocks(page)):
        if block.name:
            (folder / block.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.name).write_text(block.text)
        elif block.language == "sh":
            printed = ""
            for line in block.lines:
                if kind_of(line) == HERE:
                    ended = type_in(line, folder, cold=cold)
                    assert ended.code == 0 or (ended.code == 1 and _MAY_BE_1.fullmatch(line)), (
                        line,
                        ended,
                    )
                    printed += ended.stdout + "".join(f"{error}\n" for error in ended.own_errors)
                    yield block, line, ended
        elif block.language == "python":
            name = f"block{number}.py"
            (folder / name).write_text(block.text)
            ended = python(name, cwd=folder, cold=cold)
            assert ended.code == 0, ended.stderr
            printed = ended.stdout
            yield block, name, ended
        elif block.is_compared:
            assert matches(block.text, printed), (
                f"{page} shows\n{block.text}\nbut this came:\n{printed}"
            )


def matches(shown: str, printed: str) -> bool:
    """Return whether an output is as shown, where … stands for any text within a line, or alone for
    any lines.
    """
    pattern = ""
    for line in shown.strip().splitlines():
        pattern += (
            r"(?:.*\n)*?"
            if line.strip() == "…"
            else re.escape(line.rstrip()).replace("…", ".*?") + r"[ ]*\n"
        )
    return re.fullmatch(pattern, printed.strip() + "\n") is not None
