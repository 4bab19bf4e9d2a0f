"""What the site makes from the code as it is built: a hook of MkDocs.

Pages: the command line (each ``--help``, from the real parsers), the keys of job files and site
profiles (from their schemas), and the changes; and on the first page some ratios of the benchmarks.
Links that are named by their file get the title of the page; links out of docs/ have nowhere to go
in the site, and become names of files; RST roles in docstrings become links or code.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import posixpath
import re
import runpy
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
RAW = ROOT / "docs/benchmarks.json"
PAGE_OF_BENCHMARKS = ROOT / "benchmarks/page.py"
FIGURES = {
    "π, by C with MPI (`-O3 -march=native`), 2 ranks": (
        "pi",
        "np 2",
        "C + MPI, `-O3 -march=native`",
    ),
    "the same with `-ffast-math`": ("pi", "np 2", "C + MPI, `-O3 -march=native -ffast-math`"),
    "10⁸ rows to the disk, by h5py alone": ("roots", "np 1", "h5py alone"),
    "many tasks that do nothing, by `multiprocessing.Pool`, with the best chunksize": (
        "pools-nothing",
        "at its best",
        "multiprocessing.Pool",
    ),
    "the same, by `mpi4py.futures`: 2 workers and a manager against 2 workers": (
        "pools-nothing",
        "at its best",
        "mpi4py.futures, np 3 (2 work)",
    ),
    (
        "uneven tasks, by `mpi4py.futures` on as many ranks: 3 workers and a manager against 4"
        " workers"
    ): (
        "pools-skewed",
        "at its best",
        "mpi4py.futures, np 4 (3 work)",
    ),
    "arrays of 10 MiB to tasks and back, by `multiprocessing.Pool`": (
        "pools-large",
        "10 MiB",
        "multiprocessing.Pool",
    ),
    "a pool's start, by `multiprocessing.Pool`": (
        "pools-start",
        "start-up",
        "multiprocessing.Pool",
    ),
}
"""What the first page shows of the benchmarks: {what, and by whom else: (table, end or beginning of
a row, other)}.
"""

SCHEMAS = {
    "job": (
        "Job files",
        (
            "What `mpipar submit` and `mpipar scale` read; [the guide](../slurm.md) tells how they"
            " are used."
        ),
    ),
    "site": (
        "Site profiles",
        "What is special about a cluster; [the guide](../sites.md) tells how to find out.",
    ),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    made = {
        "reference/commands.md": commands(),
        "reference/keys.md": keys(),
        "changes.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Name pages by their titles, and replace links to what isn't part of the site by the path in
    the repository.
    """
    here, titles = posixpath.dirname(page.file.src_uri), dict(_titles(config.nav))

    def named(match: re.Match[str]) -> str:
        text, target = (
            match["text"],
            posixpath.normpath(posixpath.join("docs", here, match["target"])),
        )
        if target.startswith("docs/"):
            title = titles.get(target.removeprefix("docs/"))
            return (
                f"[{title}]({match['target']})"
                if title and text == posixpath.basename(target)
                else match[0]
            )
        if not (ROOT / target).exists():
            raise FileNotFoundError(f"{page.file.src_uri}: there is no {target}")
        return f"`{target}`" if text.strip("`/") == target else f"{text} (`{target}`)"

    markdown = re.sub(r"\[(?P<text>[^\]\n]+)\]\((?P<target>[^)\s:#]+)\)", named, markdown)
    return markdown.replace("<!-- figures -->", _figures())


def _figures() -> str:
    """Return a table of some ratios of the benchmarks, or nothing if they have not been
    measured.
    """
    rows = []
    told_by = runpy.run_path(str(PAGE_OF_BENCHMARKS))
    tables = json.loads(RAW.read_text(encoding="utf-8"))["tables"] if RAW.exists() else []
    for told, (name, what, other) in FIGURES.items():
        for row in (row for table in tables if table["name"] == name for row in table["rows"]):
            if what in row["what"] and row["other"] == other and row["ours"]:
                ratios = told_by["ratios"](row)
                middle = (
                    f"**{statistics.median(ratios):.2g}**"
                    if told_by["verdict"](row)
                    else "≈ 1 (noise)"
                )
                rows.append(f"| {told} | {middle} | {min(ratios):.2g} to {max(ratios):.2g} |")
    head = ["| mpipar's time over that taken for | ratio | in pairs |", "|---|---|---|"]
    return "\n".join([*head, *rows]) if rows else ""


def _titles(nav: Any) -> Iterator[tuple[str, str]]:
    """Yield the file and the title of each page."""
    for entry in nav:
        for title, value in entry.items():
            if isinstance(value, str):
                yield value, title
            else:
                yield from _titles(value)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make links, or code, of RST's roles."""
    import mpipar

    def linked(match: re.Match[str]) -> str:
        name = match["name"]
        public = name.rpartition(".")[2]
        if name.startswith("mpipar.") and public in dir(mpipar):
            return f'<a href="#mpipar.{public}"><code>{public}</code></a>'
        return f"<code>{public if match['short'] else name}</code>"

    return re.sub(r":\w+:<code>(?P<short>~?)(?P<name>[\w.]+)</code>", linked, html)


def commands() -> str:
    """Return a page with what each command says of itself."""
    from mpipar.base.drivers import DRIVERS
    from mpipar.command.commands import COMMANDS

    parts = [
        "# Command line",
        (
            "What each command prints with `--help`. `mpipar NAME` is short for `python -m"
            " mpipar.NAME`."
        ),
        f"## mpipar\n\n{_fence(help_of())}",
        *(f"## mpipar {name}\n\n{_fence(help_of(name))}" for name in COMMANDS),
        "## Drivers",
        *(f"### mpipar {name}\n\n{_fence(help_of(name))}" for name in DRIVERS),
    ]
    return "\n\n".join(parts) + "\n"


def help_of(*command: str) -> str:
    """Return what ``mpipar COMMAND --help`` prints, from the parser itself."""
    from mpipar.__main__ import main

    printed = io.StringIO()
    environment = {"COLUMNS": "80", "NO_COLOR": "1"}
    with (
        mock.patch.object(sys, "argv", ["mpipar", *command, "--help"]),
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(printed),
    ):
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(
                    f"mpipar {' '.join(command)} --help ended with {end.code}"
                ) from None
    if not printed.getvalue().startswith("usage: "):
        raise RuntimeError(f"mpipar {' '.join(command)} --help printed no usage")
    return printed.getvalue()


def keys() -> str:
    """Return a page with the keys of job files and site profiles."""
    parts = [
        "# Job files and site profiles",
        "All keys, from the schemas that files are checked against.",
    ]
    for name, (title, introduction) in SCHEMAS.items():
        schema = json.loads((ROOT / f"mpipar/batch/{name}.schema.json").read_text(encoding="utf-8"))
        rows = [f"| `{key}` | {told} | {expected} |" for key, told, expected in _rows(schema)]
        parts += [
            f"## {title}",
            introduction,
            "\n".join(["| key | meaning | value |", "|---|---|---|", *rows]),
        ]
    return "\n\n".join(parts) + "\n"


def _rows(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, inner in schema.get("properties", {}).items():
        if "properties" in inner:
            yield f"[{prefix}{name}]", _cell(inner.get("description", "")), "a table"
            yield from _rows(inner, f"{prefix}{name}.")
        else:
            yield (
                f"{prefix}{name}",
                _cell(inner.get("description", "")),
                _cell(inner.get("expected", "")),
            )


def _cell(text: str) -> str:
    for character in "\\|*_<[":
        text = text.replace(character, f"\\{character}")
    return text


def _fence(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"
