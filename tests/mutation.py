"""Changes one operator, constant or branch at a time, and says which changes no test of units sees.

    make mutation [SAMPLE=100]

Cosmic Ray makes the changes, in a copy of the tree. Which tests run a line tells coverage, once; only
these are run. What has been tried is kept in ``build/mutation``, so that an
interrupted campaign goes on, and a larger sample adds to it; ``make clean`` begins anew.

    --again        tries those that survived with the tests of today, whole files of them
"""

from __future__ import annotations

import argparse
import ast
import collections
import functools
import json
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkItem, WorkResult
from suite.copies import ROOT, copy_tree, environment_of

MUTATED = ("core", "store", "runtime/schedule.py", "batch/verdict.py")
FOLDER = ROOT / "build/mutation"
TREE, SESSION, CONTEXTS = FOLDER / "tree", FOLDER / "session.sqlite", FOLDER / "contexts.json"
CHANGES = FOLDER / "changes.json"
TESTS = "tests/unit"
_USES = re.compile(r"\bmpipar\.(core|store|runtime\.schedule|batch\.verdict)\b")
# What these test is elsewhere, and takes minutes.
_OF_OTHERS = ("architecture", "cancel", "model", "show", "status", "step", "timeline_picture")
MOST_TESTS, MOST_FILES = 150, 12  # for a line that hundreds run
SECONDS = 600.0  # after which a change makes the tests hang

# Changes of what decides; "is" for "==" does the same for small numbers, and so on.
_OPERATORS = re.compile(
    r"core/(ReplaceBinaryOperator_.*|ReplaceComparisonOperator_(?!.*Is).*"
    r"|ReplaceComparisonOperator_(Is_IsNot|IsNot_Is)|ReplaceUnaryOperator_.*|AddNot"
    r"|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceAndWithOr|ReplaceOrWithAnd"
    r"|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ExceptionReplacer|NumberReplacer"
    r"|ZeroIterationForLoop)"
)


# --- which changes there are ------------------------------------------------------------------------


def sampled(paths: list[Path], count: int | None, seed: int) -> list[WorkItem]:
    """Return changes of some modules, one a line, in a random order: so many, or one for each."""
    by_line = collections.defaultdict(list)
    for change in _all_changes(paths):
        by_line[change.module_path, change.start_pos[0]].append(change)
    lines = sorted(by_line)
    order = random.Random(seed)
    order.shuffle(lines)
    return [_named(order.choice(by_line[line])) for line in lines[:count]]


def _all_changes(paths: list[Path]) -> list[MutationSpec]:
    """Return all changes that make a difference to a program; they are kept, as finding them takes
    a minute.
    """
    if not CHANGES.exists():
        with tempfile.TemporaryDirectory() as folder:
            items = _changes_by_cosmic_ray(paths, f"{folder}/all.sqlite")
        changes = [item.mutations[0] for item in items]
        wanted = [attrs.asdict(change) for change in changes if _is_wanted(change)]
        CHANGES.write_text(json.dumps(wanted, default=str))
    return [MutationSpec(**change) for change in json.loads(CHANGES.read_text())]


def _changes_by_cosmic_ray(paths: list[Path], session: str) -> tuple[WorkItem, ...]:
    with use_db(session, WorkDB.Mode.create) as changes:
        init(paths, changes, {})
        return changes.work_items


def _is_wanted(change: MutationSpec) -> bool:
    is_decision = _OPERATORS.fullmatch(change.operator_name) is not None
    return is_decision and not _is_annotation(change)


def _named(change: MutationSpec) -> WorkItem:
    """Return a change as an item whose name is the same in each session."""
    name = f"{change.module_path}:{change.operator_name}:{change.occurrence}"
    return WorkItem.single(name, change)


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


# --- which tests run a line -------------------------------------------------------------------------


def write_contexts(python: str) -> None:
    """Run the tests of the modules once, and write which of them run which lines."""
    settings = FOLDER / "coverage.cfg"
    settings.write_text(
        f"[run]\ninclude = {TREE}/mpipar/*\ndata_file = {FOLDER}/coverage.data\n"
        "dynamic_context = test_function\n"
    )
    coverage = [python, "-m", "coverage"]
    rc = f"--rcfile={settings}"
    pytest = ["-m", "pytest", "-q", "-n", "0", "-p", "no:randomly", *_relevant_tests()]
    for command in (
        [*coverage, "run", rc, *pytest],
        [*coverage, "json", rc, "--quiet", "--show-contexts", "-o", str(CONTEXTS)],
    ):
        subprocess.run(command, cwd=TREE, env=environment_of(TREE), check=True)


def _relevant_tests() -> list[str]:
    files = []
    for path in sorted((TREE / TESTS).glob("test_*.py")):
        is_of_others = path.stem.removeprefix("test_") in _OF_OTHERS
        if _USES.search(path.read_text()) and not is_of_others:
            files.append(str(path.relative_to(TREE)))
    return files


@functools.cache
def _contexts() -> dict[str, dict[int, list[str]]]:
    """Return the tests that run each line of each module."""
    files = json.loads(CONTEXTS.read_text())["files"]
    return {
        name[name.index("mpipar/") :]: {
            int(line): sorted(filter(None, tests)) for line, tests in file["contexts"].items()
        }
        for name, file in files.items()
    }


def tests_of(change: MutationSpec, *, whole_files: bool) -> list[str]:
    """Return the tests that run a line: where an import runs it, the files that use its module most."""
    lines = _contexts().get(str(change.module_path.relative_to(TREE)), {})
    tests = [_node(name) for name in lines.get(change.start_pos[0], [])]
    if tests and not whole_files:
        return tests[:MOST_TESTS]
    if not tests:
        tests = [_node(name) for name in set().union(*lines.values())]
    files = collections.Counter(test.partition("::")[0] for test in tests)
    return [file for file, _ in files.most_common(MOST_FILES) if (TREE / file).exists()]


def _node(context: str) -> str:
    """Return what pytest calls a test: ``test_exact.test_sums`` is in tests/unit/test_exact.py."""
    module, _, test = context.rpartition(".")
    return f"{TESTS}/{module.rpartition('.')[2]}.py::{test}"


# --- the campaign -----------------------------------------------------------------------------------


def modules() -> list[Path]:
    """Return the modules that are changed, in the copy."""
    paths = []
    for name in MUTATED:
        path = TREE / "mpipar" / name
        paths += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return paths


def try_all(session: WorkDB, items: list[WorkItem], python: str, *, again: bool) -> None:
    """Try each change that has no result yet, and keep what came of it."""
    done = dict(session.results)
    known = {item.job_id for item in session.work_items}
    session.add_work_items(item for item in items if item.job_id not in known)
    for number, item in enumerate(items, 1):
        result = done.get(item.job_id)
        if result is None or (again and not result.is_killed):
            result = _tried(item.mutations[0], python, whole_files=again)
            session.set_result(item.job_id, result)
            print(f"{number}/{len(items)} {result.test_outcome.value:9} {_where(item)}", flush=True)


def _tried(change: MutationSpec, python: str, *, whole_files: bool) -> WorkResult:
    tests = tests_of(change, whole_files=whole_files)
    options = "-m pytest -q -x -n 0 -p no:randomly -p no:cacheprovider"
    command = f"{shlex.quote(python)} {options} {shlex.join(tests)}" if tests else "true"
    return mutate_and_test([change], command, SECONDS)


def _where(item: WorkItem) -> str:
    change = item.mutations[0]
    operator = change.operator_name.removeprefix("core/")
    return f"{change.module_path.relative_to(TREE)}:{change.start_pos[0]} {operator}"


def report(session: WorkDB, items: list[WorkItem]) -> Iterator[str]:
    """Tell what no test sees, and the share that is seen of each package."""
    done = dict(session.results)
    counts: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    for item in items:
        result = done.get(item.job_id)
        if result is None:
            continue
        package = item.mutations[0].module_path.relative_to(TREE).parts[1]
        counts[package][0] += 1
        counts[package][1] += result.test_outcome != TestOutcome.SURVIVED
        if result.test_outcome == TestOutcome.SURVIVED:
            yield f"\n{_where(item)}\n{_change_of(result)}"
    for package, (tried, seen) in sorted(counts.items()):
        yield f"{package}: {seen} of {tried} changes seen, {100 * seen / tried:.0f} %"


def _change_of(result: WorkResult) -> str:
    lines = (result.diff or "").splitlines()
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "\n".join(changed)


def main() -> None:
    """Run the campaign, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=str(ROOT / ".venv/bin/python"), help="for the tests")
    parser.add_argument("--sample", type=int, help="how many lines (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    if not TREE.exists():
        copy_tree(TREE)
    if options.again:
        copy_tree(TREE, "tests")
    if not CONTEXTS.exists():
        write_contexts(options.python)
    os.environ.update(environment_of(TREE))
    os.chdir(TREE)
    items = sampled(modules(), options.sample, options.seed)
    with use_db(str(SESSION), WorkDB.Mode.create) as session:
        try_all(session, items, options.python, again=options.again)
        print(*report(session, items), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
