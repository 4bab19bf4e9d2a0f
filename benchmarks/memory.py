"""Peak memory: of a rank over the number of steps, and of a script over the number of a pool's
tasks.
"""

from __future__ import annotations

from common import PROGRAMS, PYTHON, Effort, Table, mpirun, over, pair, run, shown

TEXT = """The peak of a rank's resident memory with a thousand times the work; and that of a script that fetches as
many results of `imap`, one by one, from mpipar's pool and from multiprocessing's. mpipar's has more modules to begin
with, but only it takes endless iterators."""


def peak(printed: str) -> float:
    """Return the largest peak that a program of memory.py has told, in MiB."""
    return max(float(line.split()[1]) for line in printed.splitlines() if line.startswith("peak"))


def measure(effort: Effort) -> Table:
    """Measure in turn."""
    program = str(PROGRAMS / "memory.py")
    many, few = effort.pick(("3e9", "3e6"), ("1e7", "1e5"))
    tasks = effort.pick("200000", "500")

    def steps(number: str) -> float:
        return peak(mpirun(2, PYTHON, program, "steps", number))

    def imap(kind: str) -> float:
        return peak(run(PYTHON, program, kind, tasks))

    commands = (
        shown(over(2, PYTHON, program, "steps", many)),
        shown((PYTHON, program, "mpipar", tasks)),
    )
    rows = [
        pair(
            effort,
            f"π, {many} steps, np 2",
            f"{few} steps",
            lambda: steps(many),
            lambda: steps(few),
            unit="MiB",
            command=commands[0],
            bound=True,
        ),
        pair(
            effort,
            f"imap of {int(tasks):,} tasks",
            "multiprocessing.Pool",
            lambda: imap("mpipar"),
            lambda: imap("multiprocessing"),
            unit="MiB",
            command=commands[1],
        ),
    ]
    return Table("memory", "Memory", TEXT, rows)
