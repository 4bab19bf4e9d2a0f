"""What users and sites set for Slurm's programs changes nothing of what a job gives."""

import json
from pathlib import Path

import pytest

from slurm.conftest import ON_SITE
from slurm.jobs import LAUNCHERS, VENDOR, User, harmonic, value_of

pytestmark = [ON_SITE, pytest.mark.campaign]

ITEMS = 8
TWO = "nodes = 2\nranks_per_node = 1\nmemory = '300M'\ntime = 5"
SETTINGS = [
    {},
    {"SBATCH_EXPORT": "NONE"},
    {"SLURM_EXPORT_ENV": "NONE"},
    {"SBATCH_GET_USER_ENV": "1"},
    {"SBATCH_NO_REQUEUE": "1"},
    {"SBATCH_REQUEUE": "1"},
    {"SBATCH_SIGNAL": "B:TERM@200"},
    {"SBATCH_OPEN_MODE": "truncate"},
    {"SBATCH_OUTPUT": "elsewhere", "SBATCH_ERROR": "elsewhere"},
    {"SBATCH_INPUT": "/dev/zero"},
    {"SBATCH_JOB_NAME": "another"},
    {"SBATCH_ARRAY_INX": "1-3", "SBATCH_WAIT": "1"},
    {"SBATCH_DISTRIBUTION": "cyclic", "SBATCH_HINT": "nomultithread"},
    {"SBATCH_MEM_PER_CPU": "100"},
    {"SBATCH_MEM_PER_NODE": "100"},
    {"SBATCH_EXCLUSIVE": ""},
    {"SBATCH_OVERCOMMIT": "1"},
    {"SBATCH_DEBUG": "2"},
    {"SBATCH_NO_KILL": ""},
    {"SBATCH_PARTITION": "short", "SBATCH_TIMELIMIT": "3"},
    {"SQUEUE_FORMAT": "%i", "SQUEUE_STATES": "PENDING", "SQUEUE_PARTITION": "spare"},
    {"SACCT_FORMAT": "jobid", "SINFO_FORMAT": "%N", "SINFO_PARTITION": "urgent"},
    {"SLURM_TIME_FORMAT": "relative", "TZ": "Asia/Tokyo"},
    {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    {"HOME": "/nonexistent", "XDG_STATE_HOME": "/nonexistent", "XDG_CONFIG_HOME": "/proc"},
    {"TMPDIR": "/nonexistent"},
    {"SLURM_CPU_BIND": "none", "SRUN_CPUS_PER_TASK": "1"},
    {"SLURM_NTASKS": "7", "SLURM_NNODES": "1", "SLURM_NTASKS_PER_NODE": "7"},
]


def submit(user: User, launcher: str, settings: dict[str, str]) -> str:
    (user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    user.environment.update(settings)
    job = user.slow_job(items=ITEMS, seconds=0.0, resources=TWO)
    return user.submit(job, "--site", "site.toml")


def problem(user: User, number: str) -> str:
    """Return what is wrong with a job that has ended; empty if nothing is."""
    told = user.mpipar("status", "--json", number)
    if told.code:
        told = user.mpipar("status", "--json", "out")
    facts = json.loads(told.stdout)
    log = Path(facts["log"]).read_text()
    if facts["outcome"] != "done" or "slow = " not in log or "2 ranks on" not in log:
        return f"{facts}\n{log}"
    if value_of(user.place / "out" / "slow.h5") != harmonic(ITEMS):
        return "another value"
    return ""


@pytest.mark.parametrize("launcher", ["mpirun", LAUNCHERS[VENDOR]])
def test_what_is_set_around_a_submission(somebody, cluster, launcher):
    users = [somebody(str(index)) for index in range(len(SETTINGS))]
    bad = {}
    numbers = {}
    for user, settings in zip(users, SETTINGS, strict=True):
        try:
            numbers[user] = submit(user, launcher, settings)
        except AssertionError as error:
            bad[str(settings)] = str(error)
    for user, settings in zip(users, SETTINGS, strict=True):
        if user in numbers:
            cluster.wait(numbers[user], timeout=180)
            wrong = problem(user, numbers[user])
            if wrong:
                bad[str(settings)] = wrong
    assert not bad, "\n\n".join(f"{settings}: {wrong}" for settings, wrong in bad.items())
