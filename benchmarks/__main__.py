"""Benchmarks against others: measures, keeps the raw results, makes the page and the picture.
python benchmarks

``make bench`` runs it in an environment with everything that is compared. What isn't installed is
left out, and named.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import machine
import page
from common import BUILD, HERE, PYTHON, Effort, Failed, mpirun, say

# Seconds for the rounds of each: for every pair of a topic, for all entrants of the pools.
TOPICS = {
    "pi": 15,
    "mcpi": 15,
    "primes": 15,
    "loops": 10,
    "roots": 15,
    "schedules": 0,
    "checkpoint": 25,
    "memory": 10,
    "startup": 5,
    "pools": 330,
    "kills": 0,
    "growth": 0,
}
RAW = "benchmarks.json"
APART = (
    "Separate are benchmarks/model.py (predictions of mpipar model) and benchmarks/gpu/compare.py"
    " (needs a GPU)."
)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks", description=__doc__.split("   ")[0], epilog=APART
    )
    parser.add_argument(
        "--only", nargs="+", choices=TOPICS, metavar="TOPIC", help=f"some of {', '.join(TOPICS)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny problems, once: does everything work?"
    )
    parser.add_argument(
        "--page",
        action="store_true",
        help="measure nothing: make the page of results that are there",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where to write (docs; with --quick or --only, benchmarks/build)",
    )
    options = parser.parse_args(arguments)
    if options.output is None:
        options.output = BUILD if options.quick or options.only else HERE.parent / "docs"
    return options


def measured(names: list[str], quick: bool) -> dict[str, Any]:
    """Return the raw results of some topics. A topic that fails is named, and stops no other."""
    began, warning = time.monotonic(), machine.warning()
    if warning:
        say(f"Warning: {warning}. The figures will be doubtful.")
    date = datetime.date.today().strftime("%-d %B %Y")
    only = [] if {*names} == {*TOPICS} else names
    raw: dict[str, Any] = {
        "quick": quick,
        "only": only,
        "date": date,
        "warning": warning,
        "machine": machine.describe(),
        "tables": [],
        "failed": {},
    }
    for number, name in enumerate(names, start=1):
        say(f"{name} ({number} of {len(names)}), after {time.monotonic() - began:.0f} s")
        try:
            tables = importlib.import_module(name).measure(Effort(quick, TOPICS[name]))
        except Exception as error:
            raw["failed"][name] = f"{type(error).__name__}: {error}"
            say(f"  {name} failed: {raw['failed'][name]}")
            continue
        raw["tables"] += [
            asdict(table) for table in (tables if isinstance(tables, list) else [tables])
        ]
    raw["seconds"] = time.monotonic() - began
    return raw


def write(raw: dict[str, Any], folder: Path) -> None:
    """Write the page and the picture."""
    try:
        import picture

        picture.draw(raw, folder / page.PICTURE)
        drawn = True
    except ImportError:
        say("no picture: matplotlib is not installed")
        drawn = False
    (folder / "benchmarks.md").write_text(page.page(raw, RAW, drawn))
    say(f"{folder / 'benchmarks.md'} is written")


def main() -> int:
    """Measure and write."""
    options = parsed()
    raw_file = options.output / RAW
    if options.page:
        if not raw_file.exists():
            print(
                f"there is no {raw_file}: measure first, or name its folder with --output",
                file=sys.stderr,
            )
            return 2
        write(json.loads(raw_file.read_text()), options.output)
        return 0
    try:
        mpirun(1, PYTHON, "-c", "import mpipar, mpi4py.MPI", limit=60.0)
    except Failed as failure:
        print(f"mpipar can't be run here: {failure}", file=sys.stderr)
        return 2
    raw = measured(options.only or list(TOPICS), options.quick)
    options.output.mkdir(parents=True, exist_ok=True)
    raw_file.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n")
    write(raw, options.output)
    return 1 if raw["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
