"""Counts what README and docs/ promise and a test holds them to.

    python tests/promises.py [TREE ...]

Without a tree, of this one; two trees side by side show whether one has lost something.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pages

# Raise these as pages are added; whoever lowers one says where the promise is now.
AT_LEAST = {
    "blocks of Python": 8,
    "commands in sentences": 113,
    "files that are saved": 35,
    "job files and profiles": 15,
    "lines of output": 47,
    "lines of shell": 156,
    "rows of faults": 41,
}


def promises(tree: Path = pages.ROOT) -> Counter[str]:
    """Return how many promises of each kind a tree's pages have.

    Lines of shell that a test runs, blocks of Python, job files and profiles, files that the reader
    saves, lines of output that are compared, commands in sentences, and rows of the table of
    faults, each of which names its test.
    """
    count: Counter[str] = Counter()
    root, pages.ROOT = pages.ROOT, tree
    try:
        for page in _pages(tree):
            count += _of_page(page)
        faults = pages.text_of("docs/faults.md").splitlines()
    finally:
        pages.ROOT = root
    rows = [line for line in faults if line.startswith("|")][2:]
    count["rows of faults"] = sum("(not tested: " not in row for row in rows)
    return count


def _pages(tree: Path) -> list[str]:
    docs = sorted(str(path.relative_to(tree)) for path in (tree / "docs").rglob("*.md"))
    return ["README.md", *docs]


def _of_page(page: str) -> Counter[str]:
    count: Counter[str] = Counter()
    for line in pages.shell_lines(page):
        count["lines of shell"] += pages.kind_of(line) != pages.NOT_RUN
    for block in pages.blocks(page):
        count["files that are saved"] += block.name is not None
        count["blocks of Python"] += block.language == "python" and not block.name
        if block.language == "text":
            count["lines of output"] += len(block.text.splitlines())
    count["job files and profiles"] = len(pages.documents(page))
    count["commands in sentences"] = len(pages.inline_commands(page))
    return count


def main(trees: list[str]) -> None:
    """Print a table: a row for each kind, a column for each tree."""
    counts = [promises(Path(tree)) for tree in trees] or [promises()]
    for kind in sorted(set().union(*counts)):
        print(f"{kind:24}" + "".join(f"{count[kind]:8}" for count in counts))
    print(f"{'all':24}" + "".join(f"{count.total():8}" for count in counts))


if __name__ == "__main__":
    main(sys.argv[1:])
