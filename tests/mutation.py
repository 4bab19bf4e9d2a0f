"""Changes one operator, constant or branch at a time, and says which changes no test of units sees.

    make mutation [SAMPLE=100]

Cosmic Ray makes the changes, one a line, in copies of the tree. What is run for each are the files
of tests/unit that import the changed module, or what imports that, the nearest first. What has been
tried is kept in ``build/mutation``, so that an interrupted campaign goes on, and a larger sample
adds to it; ``make clean`` begins anew.

    --again        takes the tree of today, and tries again what survived
"""

from __future__ import annotations

import argparse
import ast
import collections
import functools
import json
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import cosmic_ray.plugins
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, WorkItem
from suite.copies import ROOT, copy_tree, environment_of

MUTATED = ("core", "store", "runtime/schedule.py", "batch/verdict.py")
FOLDER = ROOT / "build/mutation"
TREE, CHANGES, RESULTS = FOLDER / "tree", FOLDER / "changes.json", FOLDER / "results.jsonl"
MOST_FILES = 9  # of tests that are run for a change
SECONDS = 600.0  # after which a change makes the tests hang
PASSED = 0  # pytest's exit code
_NOT_RUN = {3, 4, 5, 70}  # … where no test was run
_HEALTHY = ["tests/unit/test_plan.py"]
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)

# Changes of what decides; "is" for "==" does the same for small numbers, and so on.
_OPERATORS = re.compile(
    r"core/(ReplaceBinaryOperator_.*|ReplaceComparisonOperator_(?!.*Is).*"
    r"|ReplaceComparisonOperator_(Is_IsNot|IsNot_Is)|ReplaceUnaryOperator_.*|AddNot"
    r"|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceAndWithOr|ReplaceOrWithAnd"
    r"|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ExceptionReplacer|NumberReplacer"
    r"|ZeroIterationForLoop)"
)
_MODULE = re.compile(r"^(?:from|import) (mpipar[\w.]*)(?: import (\([^)]*\)|.*))?", re.MULTILINE)
# These look at all of the source, or take minutes for what is elsewhere.
_OF_OTHERS = {
    "architecture",
    "cancel",
    "density",
    "model",
    "show",
    "status",
    "step",
    "timeline_picture",
}


# --- which changes there are ------------------------------------------------------------------------


def sampled(count: int | None, seed: int) -> list[MutationSpec]:
    """Return changes, one a line, in a random order: so many, or one for each."""
    by_line = collections.defaultdict(list)
    for change in _all_changes():
        by_line[change.module_path, change.start_pos[0]].append(change)
    lines = sorted(by_line)
    order = random.Random(seed)
    order.shuffle(lines)
    return [order.choice(by_line[line]) for line in lines[:count]]


def _all_changes() -> list[MutationSpec]:
    """Return all changes that make a difference to a program; they are kept, as finding them takes
    a minute.
    """
    if not CHANGES.exists():
        with tempfile.TemporaryDirectory() as folder:
            items = _changes_by_cosmic_ray(f"{folder}/all.sqlite")
        changes = [item.mutations[0] for item in items]
        wanted = [attrs.asdict(change) for change in changes if _is_wanted(change)]
        CHANGES.write_text(json.dumps(wanted, default=str))
    return [MutationSpec(**change) for change in json.loads(CHANGES.read_text())]


def _changes_by_cosmic_ray(session: str) -> tuple[WorkItem, ...]:
    paths = []
    for name in MUTATED:
        path = TREE / "mpipar" / name
        paths += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    with use_db(session, WorkDB.Mode.create) as changes:
        init(paths, changes, {})
        return changes.work_items


def _is_wanted(change: MutationSpec) -> bool:
    is_decision = _OPERATORS.fullmatch(change.operator_name) is not None
    return is_decision and not _is_annotation(change)


def _is_annotation(change: MutationSpec) -> bool:
    """Return whether a change is in an annotation, which no program evaluates."""
    return any(
        begin <= change.start_pos and change.end_pos <= end
        for begin, end in _annotations(change.module_path)
    )


@functools.cache
def _annotations(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    ranges = []
    for node in ast.walk(ast.parse(path.read_text())):
        for field in ("annotation", "returns"):
            found = getattr(node, field, None)
            if isinstance(found, ast.expr):
                end = (found.end_lineno or 0, found.end_col_offset or 0)
                ranges.append(((found.lineno, found.col_offset), end))
    return ranges


# --- which tests see a module -----------------------------------------------------------------------


def tests_of(path: Path) -> list[str]:
    """Return the files of tests that import a module, then those that import what imports it; of
    both, those that import least else first.
    """
    tests = _imports("tests/unit/test_*.py")
    own = f"test_{path.stem}.py"
    wanted = {_dotted(path)}
    found: list[str] = []
    while len(found) < MOST_FILES:
        new = [name for name, modules in tests.items() if modules & wanted and name not in found]
        found += sorted(new, key=lambda name: (not name.endswith(own), len(tests[name]), name))
        others = _imports("mpipar/**/*.py").items()
        wider = wanted | {_dotted(TREE / name) for name, modules in others if modules & wanted}
        if wider == wanted:
            break
        wanted = wider
    return found[:MOST_FILES]


@functools.cache
def _imports(pattern: str) -> dict[str, set[str]]:
    """Return the modules of mpipar that files of the copy import, by file."""
    found = {}
    for path in sorted(TREE.glob(pattern)):
        if path.stem.removeprefix("test_") in _OF_OTHERS and path.parts[-2] == "unit":
            continue
        modules = set()
        for module, names in _MODULE.findall(path.read_text()):
            for name in re.findall(r"\w+", names):
                modules.add(_public().get(name, module) if module == "mpipar" else module)
                modules.add(f"{module}.{name}")
            modules.add(module)
        found[str(path.relative_to(TREE))] = modules - {"mpipar"}
    return found


@functools.cache
def _public() -> dict[str, str]:
    """Return the module of each public name."""
    text = (TREE / "mpipar/__init__.py").read_text()
    return {
        name: module
        for module, names in re.findall(
            r"^    from (mpipar\.[\w.]+) import (.*)", text, re.MULTILINE
        )
        for name in re.findall(r"\w+", names)
    }


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(TREE).with_suffix("").parts).removesuffix(".__init__")


# --- the campaign -----------------------------------------------------------------------------------


class Runner(threading.Thread):
    """Tries changes in a copy of the tree that is its own.

    Parameters
    ----------
    copy : Path
    python : str
        Has what the tests need.
    waiting : queue.Queue
        Of changes.
    """

    def __init__(self, copy: Path, python: str, waiting: queue.Queue[MutationSpec]) -> None:
        super().__init__(daemon=True)
        self._copy = copy
        self._waiting = waiting
        self._healthy: dict[str, bool] = {}  # whether tests pass without a change
        self._broken: list[str] = []  # those that don't
        shutil.copytree(TREE, copy, dirs_exist_ok=True)
        self._pytest = subprocess.Popen(
            [python, "-m", "suite.warm_pytest", str(SECONDS)],
            cwd=copy,
            env=environment_of(copy, copy / "tests"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self) -> None:
        failed = self._first_failure(_HEALTHY)
        assert failed is None, failed
        while True:
            try:
                change = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._try(change)

    def _try(self, change: MutationSpec) -> None:
        seen_by, difference = self._seen_by(change)
        result = {"name": name_of(change), "seen by": seen_by, "change": difference}
        with RESULTS.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print("seen    " if seen_by else "survived", where(change), flush=True)

    def _seen_by(self, change: MutationSpec) -> tuple[str | None, str]:
        """Return the test that sees a change, and passes without; and what was changed."""
        path = self._copy / change.module_path.relative_to(TREE)
        operator = cosmic_ray.plugins.get_operator(change.operator_name)()
        while True:
            with use_mutation(path, operator, change.occurrence) as (today, changed):
                failed = self._first_failure(tests_of(change.module_path))
            if failed is None or self._passes(failed):
                return failed, _difference(today, changed)
            self._broken.append(failed)

    def _passes(self, test: str) -> bool:
        if test not in self._healthy:
            self._healthy[test] = self._first_failure([test]) is None
        return self._healthy[test]

    def _first_failure(self, tests: list[str]) -> str | None:
        tests = [test for test in tests if test not in self._broken]
        options = [f"--deselect={test}" for test in self._broken if "::" in test]
        code, output = self._tested([*options, *tests]) if tests else (PASSED, "")
        assert code not in _NOT_RUN, output
        if code == PASSED:
            return None
        failed = _FAILED.search(output)
        return failed[1] if failed else tests[0]

    def _tested(self, arguments: list[str]) -> tuple[int, str]:
        """Return the exit code of tests, and what pytest printed."""
        options = ["-q", "-x", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # what was loaded before
        assert self._pytest.stdin is not None
        assert self._pytest.stdout is not None
        print(json.dumps([*options, *arguments]), file=self._pytest.stdin, flush=True)
        code, output = json.loads(self._pytest.stdout.readline())
        return code, output


def _difference(today: str, changed: str) -> str:
    before, after = today.splitlines(), changed.splitlines()
    pairs = zip(before, after, strict=False)
    return next((f"- {old}\n+ {new}" for old, new in pairs if old != new), "")


def name_of(change: MutationSpec) -> str:
    """Return a name that is the same in each campaign."""
    path = change.module_path.relative_to(TREE)
    return f"{path}:{change.operator_name}:{change.occurrence}"


def where(change: MutationSpec) -> str:
    """Return where a change is, and what it is."""
    path = change.module_path.relative_to(TREE)
    return f"{path}:{change.start_pos[0]} {change.operator_name.removeprefix('core/')}"


def results() -> dict[str, tuple[str | None, str]]:
    """Return the test that has seen a change, None for a survivor, and the change, by its name."""
    if not RESULTS.exists():
        return {}
    rows = map(json.loads, RESULTS.read_text().splitlines())
    return {row["name"]: (row["seen by"], row["change"]) for row in rows}


def report(changes: list[MutationSpec]) -> Iterator[str]:
    """Tell what no test sees, and the share that is seen of each package."""
    done = results()
    counts: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    for change in changes:
        if name_of(change) not in done:
            continue
        seen_by, difference = done[name_of(change)]
        count = counts[change.module_path.relative_to(TREE).parts[1]]
        count[0] += 1
        count[1] += seen_by is not None
        if seen_by is None:
            yield f"\n{where(change)}\n{difference}"
    for package, (tried, seen) in sorted(counts.items()):
        yield f"{package}: {seen} of {tried} changes seen, {100 * seen / tried:.0f} %"


def main() -> None:
    """Run the campaign, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=str(ROOT / ".venv/bin/python"), help="for the tests")
    parser.add_argument("--sample", type=int, help="how many lines (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    if options.again:
        for stale in (TREE, *FOLDER.glob("copy-*")):
            shutil.rmtree(stale, ignore_errors=True)
        CHANGES.unlink(missing_ok=True)
    if not TREE.exists():
        copy_tree(TREE)
    changes = sampled(options.sample, options.seed)
    done = results()
    waiting: queue.Queue[MutationSpec] = queue.Queue()
    for change in changes:
        is_survivor = done.get(name_of(change), ("", ""))[0] is None
        if name_of(change) not in done or (options.again and is_survivor):
            waiting.put(change)
    runners = [
        Runner(FOLDER / f"copy-{number}", options.python, waiting) for number in range(options.jobs)
    ]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    print(*report(changes), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
