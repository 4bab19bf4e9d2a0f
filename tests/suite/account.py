"""Where the suite's time goes: seconds and what was started, a test.

    make account            runs the tests and prints a table, by folder and by file
    python -m suite.account FILE

With ``--account FILE`` each test adds a line of JSON to the file: its seconds, the processor
seconds of this process and of what it has started, and how many interpreters, warm ones, and worlds
of ranks were started. What other processes than this one wait for, as daemons do for jobs, is not
among the processor seconds.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.starts import STARTS

COLUMNS = ("tests", "seconds", "own", "children", "interpreters", "warm", "worlds")

# A line of a .pth file, which Python runs at each start.
HOOK = (
    f'import os, sys; path = os.environ.get("{STARTS}");'
    ' rank = os.environ.get("PMI_RANK") or os.environ.get("OMPI_COMM_WORLD_RANK") or "-";'
    ' new = not hasattr(sys, "_mpipar_counted"); sys._mpipar_counted = True;'
    ' path and new and os.access(path, os.W_OK) and open(path, "a").write("cold " + rank + "\\n")\n'
)


class Account:
    """Writes a line for each test."""

    def __init__(self, path: Path, seconds_of_others: Callable[[], float]) -> None:
        self.path = path
        self.seconds_of_others = seconds_of_others
        self.starts = path.with_name(f"{path.name}.{os.getpid()}.starts")
        self.starts.touch()
        self.read = 0
        os.environ[STARTS] = str(self.starts)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        before, others, began = os.times(), self.seconds_of_others(), time.perf_counter()
        result = yield
        after = os.times()
        started = self._new_starts()
        row = {
            "test": item.nodeid,
            "tests": 1,
            "seconds": time.perf_counter() - began,
            "own": sum(after[:2]) - sum(before[:2]),
            "children": sum(after[2:4]) - sum(before[2:4]) + self.seconds_of_others() - others,
            "interpreters": sum(how == "cold" for how, _ in started),
            "warm": sum(how == "warm" for how, _ in started),
            "worlds": sum(rank == "0" for _, rank in started),
        }
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return result

    def _new_starts(self) -> list[list[str]]:
        with self.starts.open() as file:
            file.seek(self.read)
            text = file.read()
            self.read = file.tell()
        return [line.split() for line in text.splitlines()]

    def pytest_unconfigure(self) -> None:
        self.starts.unlink()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--account", type=Path, metavar="FILE", help="write where the time goes")


def start(config: pytest.Config, seconds_of_others: Callable[[], float]) -> None:
    """Begin to count, if asked to; the function tells processor seconds of what other processes
    have waited for.
    """
    path = config.getoption("--account")
    if path is None:
        return
    if not hasattr(config, "workerinput"):
        hook = Path(sysconfig.get_path("purelib"), "mpipar-tests-count.pth")
        hook.write_text(HOOK)
        config.add_cleanup(hook.unlink)
    config.pluginmanager.register(Account(path.absolute(), seconds_of_others))


def main(path: Path) -> None:
    """Print the tables."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    folders = _added(rows, lambda row: "/".join(row["test"].split("/")[:2]))
    files = _added(rows, lambda row: row["test"].split("::")[0])
    tests = _added(rows, lambda row: row["test"])
    _print("folder", [*folders, ("all", *_sum(rows))])
    _print("file", files[:30])
    _print("test", tests[:30])


def _added(
    rows: list[dict[str, Any]], key: Callable[[dict[str, Any]], str]
) -> list[tuple[Any, ...]]:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    table = [(name, *_sum(group)) for name, group in groups.items()]
    return sorted(table, key=lambda line: -line[2])


def _sum(rows: list[dict[str, Any]]) -> list[float]:
    return [sum(row[name] for row in rows) for name in COLUMNS]


def _print(what: str, table: list[tuple[Any, ...]]) -> None:
    print(f"\n{what:60}" + "".join(f"{name:>13}" for name in COLUMNS))
    for name, *numbers in table:
        print(f"{name[-60:]:60}" + "".join(f"{number:13.0f}" for number in numbers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
