"""Tests wait for events: none sleeps, but in a loop that looks for one, or where a time is the
subject.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]

# Their functions are the work of blocks and tasks, or a whole program.
PROGRAMS = {
    "faults/fault_pool.py",
    "faults/fault_programs.py",
    "mpi/programs.py",
    "pool/killed_script.py",
    "pool/manager_program.py",
    "pool/pool_calls.py",
}
OF_USERS = ("pool/as_plain/", "pool/resumable/", "pool/scripts/")

MAY = {
    "faults/scenarios.py": "a worker that starts is killed at some moment",
    "slurm/test_early_deaths.py": "how soon a node dies",
    "slurm/test_outages.py": "how long a controller is away",
    "unit/fake_slurm.py": "scancel signals again 5 s later",
    "unit/test_channel.py": "much has come by then",
    "unit/test_evaluate.py": "blocks that take so long",
    "unit/test_evaluation.py": "a lock that is held so long",
    "unit/test_jobs.py": "nothing is taken meanwhile",
    "unit/test_slurm.py": "scancel signals again 5 s later",
    "unit/test_start.py": "a limit that would be over",
    "unit/test_timeline.py": "spans that are so long",
}
"""Modules that sleep, and why."""


def naps(node: ast.AST, *, is_in_loop: bool = False) -> Iterator[ast.Call]:
    """Give the calls of ``sleep`` that are in no loop."""
    if isinstance(node, ast.While | ast.For):
        is_in_loop = True
    elif isinstance(node, ast.FunctionDef | ast.Lambda):
        is_in_loop = False
    if isinstance(node, ast.Call) and not is_in_loop:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "sleep":
            yield node
    for child in ast.iter_child_nodes(node):
        yield from naps(child, is_in_loop=is_in_loop)


def test_naps_are_found_where_they_are():
    source = "time.sleep(1)\nwhile not done():\n    sleep(0.1)\ndef f():\n    sleep(2)\n"
    assert [nap.lineno for nap in naps(ast.parse(source))] == [1, 5]


def test_no_test_waits_for_a_time():
    found = set()
    for path in TESTS.rglob("*.py"):
        name = path.relative_to(TESTS).as_posix()
        is_program = name in PROGRAMS or name.startswith(OF_USERS)
        if not is_program and any(naps(ast.parse(path.read_text(encoding="utf-8")))):
            found.add(name)
    assert found - MAY.keys() == set(), "wait for an event; or say which time is the subject"
    assert MAY.keys() - found == set(), "an exception is left over"
