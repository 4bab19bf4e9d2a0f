"""Puts mended bugs back, one at a time, and says which ring of the tests sees each.

    python tests/old_bugs.py [NUMBER ...]

A bug is a piece of the code of today and what stands there with the bug, in a copy of this tree.
Where the code has moved, ``tests/unit/test_old_bugs.py`` fails, and the piece here is to follow it.
The tests that could see a bug are named with it, as all of them take too long for each.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from suite.copies import copy_tree, environment_of

LEAST_IN_FIRST_RING = 0.8
_SEEN = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_FAILED, _NOTHING_TO_RUN = 1, 5  # exit codes of pytest


@dataclass(frozen=True)
class Bug:
    """A bug that was mended.

    Attributes
    ----------
    what : str
        What went wrong.
    file : str
        Below mpipar/.
    today, then : str
        A piece of the file, and what stands there with the bug.
    tests : str
        Files of tests, or tests, that could see it, the quickest first, below tests/.
    """

    what: str
    file: str
    today: str
    then: str
    tests: str

    def put_back(self, root: Path) -> str:
        """Return the file's text with the bug in it.

        Raises
        ------
        ValueError
            If the piece isn't there exactly once.
        """
        text = (root / "mpipar" / self.file).read_text()
        count = text.count(self.today)
        if count != 1:
            raise ValueError(f"{self.what}: {count} times in {self.file}, not once: {self.today!r}")
        return text.replace(self.today, self.then)


BUGS = (
    Bug(
        "a script that ended with 0 is FAILED",
        "batch/step.py",
        "is_done = code == 0 and is_exact",
        "is_done = False",
        "unit/test_step.py::test_a_script_with_a_pool_that_has_ended_with_0_is_done",
    ),
    Bug(
        "masks are lost",
        "core/partials.py",
        '        mask = getattr(array, "mask", None)\n',
        "        pass\n",
        "unit/test_partials.py unit/test_reduction.py",
    ),
    Bug(
        "integers of 64 bits are added as doubles",
        "core/exact.py",
        "if is_whole and values.dtype.itemsize == 8:",
        "if is_whole and values.dtype.itemsize == 16:",
        "unit/test_exact.py",
    ),
    Bug(
        "007 is taken for 7",
        "inputs/cells.py",
        'r"0|-?[1-9][0-9]{0,19}"',
        'r"-?[0-9]{1,20}"',
        "unit/test_csv_types.py",
    ),
    Bug(
        "SIGHUP ends a run without a commit",
        "runtime/interrupt.py",
        "signal.SIGINT, signal.SIGHUP)",
        "signal.SIGINT)",
        "unit/test_interrupt.py faults/test_faults.py",
    ),
    Bug(
        "where stdout is closed, a file gets its number",
        "runtime/outlets.py",
        "for number in range(3):",
        "for number in range(0):",
        "unit/test_outlets.py mpi/test_outlets_of_runs.py",
    ),
    Bug(
        "ranks that are pinned to too few cores aren't told",
        "runtime/pinning.py",
        "    if not found:\n",
        "    if True:\n",
        "unit/test_pinning.py slurm/test_affinity.py",
    ),
    Bug(
        "arguments are taken when a worker is free",
        "pool/constant.py",
        "    return all(map(is_constant_kind, kinds))\n",
        "    return True\n",
        "unit/test_snapshot.py pool/test_promises.py",
    ),
    Bug(
        "what a worker gives back is sent once it has no lock",
        "pool/evaluation.py",
        "            self._send(mailbox, PART, self._items.take_back())",
        "            returned = self._items.take_back()\n        self._send(mailbox, PART, returned)",
        "unit/test_evaluation.py pool/test_pool_stress.py",
    ),
    Bug(
        "SystemExit ends an executor's worker",
        "pool/evaluation.py",
        "if isinstance(raised, SystemExit) and not self._takes_exit:",
        "if isinstance(raised, SystemExit):",
        "unit/test_evaluation.py pool/test_executor.py",
    ),
    Bug(
        "the checksum of a log's record isn't compared",
        "store/record_file.py",
        "if len(data) < size or zlib.crc32(data) != checksum:",
        "if len(data) < size:",
        "unit/test_checkpoint.py unit/test_task_store.py",
    ),
    Bug(
        "the checksum of a checkpoint isn't compared",
        "store/checkpoint.py",
        'if not has_text(stored, "sha256", hashlib.sha256(data).hexdigest()):',
        "if False:",
        "unit/test_checkpoint.py unit/test_damage.py",
    ),
    Bug(
        "nohup doesn't hold",
        "runtime/interrupt.py",
        "return number == signal.SIGHUP and signal",
        "return False and signal",
        "unit/test_interrupt.py faults/test_faults.py",
    ),
    Bug(
        "a worker that dies before its first block ends the run",
        "runtime/pool_evaluator.py",
        "if worker.stillborn == MOST_DEATHS:",
        "if worker.stillborn >= 1:",
        "faults/test_workers_lost.py faults/test_faults.py",
    ),
    Bug(
        "a warning before the end of a job's time kills a user's script",
        "batch/ranks.py",
        "elif number != signal.SIGUSR1 or self._outlives_warning():",
        "else:",
        "unit/test_step.py::test_a_warning_does_not_end_a_program_of_another_kind",
    ),
    Bug(
        "images of 16 bits are turned as bytes",
        "kernels/pixels.py",
        "if is_deep(image) and not is_exact:",
        "if False:",
        "unit/test_pixels.py",
    ),
    Bug(
        "max(x, 0) is the largest of a block",
        "inputs/elementwise.py",
        "    for level in reversed(levels):\n",
        "    return\n    for level in reversed(levels):\n",
        "unit/test_formula.py unit/test_expression.py",
    ),
    Bug(
        "scale_factor is ignored",
        "inputs/packed.py",
        "            decoded *= self._scale",
        "            pass",
        "unit/test_netcdf_input.py",
    ),
    Bug(
        "a run goes on with an edited function",
        "store/identity.py",
        "if refused or (changed and not anyway):",
        "if refused:",
        "unit/test_identity.py faults/test_resume.py",
    ),
    Bug(
        "an output that is a link is replaced by a file",
        "store/output.py",
        "self._path = path = Path(os.path.realpath(path))",
        "self._path = path = Path(os.path.abspath(path))",
        "unit/test_output_names.py faults/test_resume.py faults/test_disk.py",
    ),
    Bug(
        "os._exit of a script leaves the other ranks",
        "pool/ending.py",
        "        os._exit = self._end_at_once",
        "        pass",
        "pool/test_ends.py",
    ),
    Bug(
        "an argument that can't be unpickled fails its neighbours",
        "pool/snapshot.py",
        "    except Exception as error:\n        return Broken(error)",
        "    except ZeroDivisionError as error:\n        return Broken(error)",
        "unit/test_snapshot.py pool/test_pool_failures.py",
    ),
    Bug(
        "equal tasks get one outcome of several files twice",
        "pool/known.py",
        "        for index in call.copies:\n",
        "        for index in ():\n",
        "unit/test_task_store.py pool/test_resumable_scripts.py",
    ),
    Bug(
        "a function with a large array as an attribute can't be a task",
        "pool/limited.py",
        "size = memoryview(data).nbytes",
        "size = len(data)",
        "unit/test_snapshot.py",
    ),
    Bug(
        "a damaged result is read as an input",
        "command/execute.py",
        "        _check_inputs(bound, comm)\n",
        "",
        "unit/test_damage.py",
    ),
    Bug(
        "a requeue is given up while the controller starts",
        "batch/leaving.py",
        "is_settled = not answer.problem or answer.is_refused",
        "is_settled = not answer.is_away",
        "unit/test_scheduler.py",
    ),
)


def ring_that_sees(bug: Bug, copy: Path) -> tuple[str | None, str]:
    """Put a bug into a copy of the tree; return the first ring that fails, None for neither, and
    the test.
    """
    file = copy / "mpipar" / bug.file
    healthy = file.read_text()
    file.write_text(bug.put_back(copy))
    try:
        for ring in ("test", "ci"):
            failed = _first_failure(ring, bug.tests.split(), copy)
            if failed is not None:
                return ring, failed
    finally:
        file.write_text(healthy)
    return None, "no test"


def _first_failure(ring: str, tests: list[str], copy: Path) -> str | None:
    """Return the first test that fails in a copy, or None."""
    files = [f"tests/{name}" for name in tests]
    quietly = ("-q", "-x", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *quietly, "--ring", ring, *files],
        cwd=copy,
        env=environment_of(copy),
        capture_output=True,
        text=True,
    )
    if ended.returncode in (0, _NOTHING_TO_RUN):
        return None
    seen = _SEEN.search(ended.stdout)
    if ended.returncode != _FAILED or seen is None:
        raise RuntimeError(f"pytest didn't run:\n{ended.stdout}\n{ended.stderr}")
    return seen[1]


def main() -> int:
    """Print a line for each bug; return 1 where one isn't seen, or too few by the first ring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int, nargs="*", help="of some bugs, from 0 on")
    numbers = parser.parse_args().number or range(len(BUGS))
    rings = []
    with tempfile.TemporaryDirectory(prefix="mpipar-bugs-") as folder:
        copy = Path(folder)
        copy_tree(copy)
        for number in numbers:
            began = time.monotonic()
            ring, test = ring_that_sees(BUGS[number], copy)
            rings.append(ring)
            took = time.monotonic() - began
            print(f"{number:2} {ring or 'NONE':4} {BUGS[number].what} | {test}, {took:.0f} s")
            sys.stdout.flush()
    first = rings.count("test")
    print(f"{len(rings)} bugs: {first} seen by the first ring, {rings.count(None)} by none")
    is_enough = first >= LEAST_IN_FIRST_RING * len(rings)
    return 0 if is_enough and None not in rings else 1


if __name__ == "__main__":
    sys.exit(main())
