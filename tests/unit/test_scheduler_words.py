"""Slurm has one room: no module outside of it has a word of Slurm's, but for those below."""

import re
from pathlib import Path

import mpipar

ROOT = Path(mpipar.__file__).parent
SLURM = "batch/slurm/"
FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(ROOT.rglob("*.py"))
}

_PROGRAMS = r"slurm|sbatch|squeue|sacct|scontrol|scancel|srun\b|salloc"
_STATES = r"\b(?-i:PENDING|CONFIGURING|COMPLETING|COMPLETED|CANCELLED|TIMEOUT|OUT_OF_MEMORY)\b"
_OPTIONS = (
    r"--(ntasks|cpus-per-task|gpus-per-node|test-only|parsable|no-kill|requeue|wrap|signal)\b"
)
WORDS = re.compile(f"{_PROGRAMS}|{_STATES}|{_OPTIONS}", re.IGNORECASE)

MAY = {
    "batch/schedulers.py": "says which scheduler is in use",
    "batch/scheduler.py": "says where each scheduler's answers are",
    "runtime/launcher_words.py": "the table of what launchers say, which can't ask batch above it",
    "runtime/run_options.py": "help: which job it is whose end is meant",
    "command/commands.py": "help: where a job goes, and what doctor is started by",
    "command/doctor.py": "help: what is looked at",
    "command/run_script.py": "help: what may start the ranks",
    "command/scale.py": "help: --on slurm",
}
"""Modules that have such words, and why."""


def words_of(name: str) -> set[str]:
    return {found[0] for found in WORDS.finditer(FILES[name])}


def test_words_of_slurm_are_in_its_room():
    outside = [name for name in FILES if not name.startswith(SLURM)]
    found = {name for name in outside if words_of(name)}
    assert found - MAY.keys() == set(), "they must ask mpipar.batch.scheduler instead"
    assert MAY.keys() - found == set(), "an exception is left over"


def test_the_words_are_found_where_they_are():
    assert {name for name in FILES if name.startswith(SLURM) and words_of(name)} >= {
        f"{SLURM}{name}.py" for name in ("sbatch", "squeue", "scancel", "options", "states")
    }
