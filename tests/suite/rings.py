"""Which tests a run takes: three rings, and who may run beside whom.

====================  =========================================  ==================================================
ring                  run by                                     takes
====================  =========================================  ==================================================
``test``              ``make test``, before each commit          what has no mark
``ci``                ``.ci/run``, before a change lands         these, and what is marked ``ci``
``rest``              the same, once ``test`` is done            of ``ci`` what ``test`` hasn't
``campaigns``         ``make campaigns``, before a release       all, with what is marked ``campaign``
====================  =========================================  ==================================================

Of examples that Hypothesis makes up, tests of the first ring try a few; ``rest`` takes those tests,
too, that ask for more. What is marked ``each_mpi`` may come out otherwise with another MPI:
``--ring each_mpi`` takes what of the first two rings has that mark, over ranks: without a launcher
no MPI is loaded (tests/mpi/test_modes.py). Of a test whose values are partly ``ci``, it takes the
others, as all values are over the same messages; a ``ci`` value that another MPI may change has a
mark of its own. What is marked ``alone`` measures time or memory: nothing runs beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

_LOCKS = "MPIPAR_TEST_LOCKS"  # a folder for all processes of a run
LEFT_OUT = {
    "test": {"ci", "campaign"},
    "ci": {"campaign"},
    "rest": {"campaign"},
    "each_mpi": {"campaign"},
    "campaigns": set(),
}
FEW_EXAMPLES = 25
_SETTINGS = "_hypothesis_internal_use_settings"  # by which Hypothesis' own plugin asks, too
NEEDED = {"rest": "ci", "each_mpi": "each_mpi"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ring", choices=LEFT_OUT, default="test", help="which tests to take (default: test)"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files that have nothing for another MPI: to import them all takes each process as
    long as many tests.
    """
    is_wanted = config.getoption("--ring") != "each_mpi" or collection_path.suffix != ".py"
    return None if is_wanted or "each_mpi" in collection_path.read_text() else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ring = config.getoption("--ring")
    taken, left_out = [], []
    shown = _shown_by_a_value(items)
    for item in items:
        if ring == "test":
            _try_few_examples(item)
        is_taken = _is_in(ring, item)
        if ring == "each_mpi" and is_taken:
            is_shown = _has_dear_values(item) and _test_of(item) in shown
            is_taken = not (_is_without_ranks(item) or is_shown)
        (taken if is_taken else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = taken


def in_ci(*values: object) -> list[object]:
    """Return values of a parameter that the first ring leaves out."""
    return [pytest.param(value, marks=pytest.mark.ci) for value in values]


def _shown_by_a_value(items: list[pytest.Item]) -> set[str]:
    """Return the tests that another MPI runs with a value that isn't dear."""
    return {
        _test_of(item)
        for item in items
        if item.get_closest_marker("each_mpi")
        and not _has_dear_values(item)
        and not _is_without_ranks(item)
    }


def _has_dear_values(item: pytest.Item) -> bool:
    """Return whether a value is for ``ci``, and not for each MPI."""
    values = getattr(item, "callspec", None)
    if values is None:
        return False
    marks = [mark.name for mark in values.marks]
    return marks.count("ci") > marks.count("each_mpi")


def _test_of(item: pytest.Item) -> str:
    """Return what a test is called without its values."""
    return item.nodeid.partition("[")[0]


def _is_without_ranks(item: pytest.Item) -> bool:
    """Return whether a test's values say that it has no launcher: ``ranks``, or the first of
    ``mode``.
    """
    values = getattr(item, "callspec", None)
    if values is None:
        return False
    if isinstance(mode := values.params.get("mode", values.params.get("place")), tuple):
        return mode[0] is None
    return values.params.get("ranks", 0) is None


def _is_in(ring: str, item: pytest.Item) -> bool:
    marks = {mark.name for mark in item.iter_markers()}
    has_what_it_needs = ring not in NEEDED or NEEDED[ring] in marks
    if ring == "rest" and _asks_for_more_examples(item):
        has_what_it_needs = True
    return has_what_it_needs and not marks & LEFT_OUT[ring]


def _asks_for_more_examples(item: pytest.Item) -> bool:
    """Return whether a test says itself how many, and more than the first ring tries."""
    asked = getattr(getattr(item, "obj", None), _SETTINGS, None)
    is_own = asked is not None and asked is not hypothesis.settings.default
    return is_own and asked.max_examples > FEW_EXAMPLES


def _try_few_examples(item: pytest.Item) -> None:
    if _asks_for_more_examples(item):
        asked = getattr(item.obj, _SETTINGS)
        setattr(item.obj, _SETTINGS, hypothesis.settings(asked, max_examples=FEW_EXAMPLES))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let tests run beside each other, but for those that must be alone."""
    _check_group(item)
    with _beside_others(alone=item.get_closest_marker("alone") is not None):
        return (yield)


def _check_group(item: pytest.Item) -> None:
    """Refuse to go on where tests of a group are spread over processes: each would start a cluster
    of its own.
    """
    by_group = getattr(item.config.option, "loadgroup", False)
    if by_group and item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
        raise pytest.UsageError(
            "this pytest-xdist doesn't keep groups of tests together with this pytest"
        )


@contextlib.contextmanager
def _beside_others(*, alone: bool) -> Iterator[None]:
    """Hold the machine with other tests of this run, or alone.

    Who wants to be alone closes the gate behind those that are inside, and waits for them to leave.
    """
    folder = Path(os.environ[_LOCKS])
    with (folder / "gate").open("w") as gate, (folder / "inside").open("w") as inside:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(inside, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


def share_locks(config: pytest.Config) -> None:
    """Make the locks that all processes of a run have in common."""
    if _LOCKS not in os.environ:  # else this is a worker of xdist
        os.environ[_LOCKS] = tempfile.mkdtemp(prefix="mpipar-tests-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(_LOCKS)))
