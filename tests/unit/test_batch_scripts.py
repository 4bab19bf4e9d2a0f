import subprocess
from pathlib import Path

import pytest
from conftest import start
from fake_sbatch import ROOT

from mpipar.batch.slurm.script import LAYOUTS, job_script, own_script

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
WORDS = [
    "-m",
    "mpipar.pi",
    "a b",
    "",
    "a\nb",
    "$(touch canary)",
    "`touch canary`",
    "'\"\\",
    "*",
    "--",
    "-x",
    "é",
]

# Prints the arguments and the environment, each with a NUL.
PYTHON = "#!/bin/bash\nprintf '%s\\0' \"$@\" > arguments\nenv -0 > environment\n"


@pytest.fixture
def place(tmp_path) -> Path:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def ran(
    place: Path, script: str, *words: str, **variables: str
) -> tuple[list[str], dict[str, str]]:
    """Execute a script, and return what its Python was given."""
    (place / "script").write_text(script)
    env = {"PATH": f"{place}/bin:/usr/bin:/bin", **variables}
    given = [f"{name}={value}" for name, value in env.items()]
    ended = start(["env", "-i", *given, "bash", "script", *words], cwd=place)
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")
    assert not list(place.rglob("canary*"))
    arguments = (place / "arguments").read_bytes().decode().split("\0")[:-1]
    listed = (place / "environment").read_bytes().decode().split("\0")[:-1]
    return arguments, dict(one.split("=", 1) for one in listed)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_scripts_in_the_repository_are_these(name):
    # After a change: python -c 'from mpipar.batch.slurm.script import *; print(own_script("mpi"),
    # end="")' > slurm/mpi.sbatch
    assert (ROOT / f"slurm/{name}.sbatch").read_text(encoding="utf-8") == own_script(name)


@pytest.mark.parametrize("script", [own_script("mpi"), job_script("kill -USR1 $$")])
def test_a_warning_does_not_end_a_script_before_python_is_there(place, script):
    script = script.replace("# Here is the place", "kill -USR1 $$\n# Here is the place")
    _, environment = ran(place, script, f"{place}/bin/python")
    assert environment["MPIPAR_WARNED"] == "1"


def test_no_script_is_missing_or_left_over():
    assert {path.stem for path in (ROOT / "slurm").iterdir()} == set(LAYOUTS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_script_has_its_options_before_anything_that_is_run(name):
    lines = own_script(name).splitlines()
    assert lines[0] == "#!/bin/bash"
    options = [line for line in lines if line.startswith("#SBATCH")]
    assert options[0] == f"#SBATCH --job-name={name}"
    for option in (
        *LAYOUTS[name].options,
        "--signal=B:USR1@120",
        "--requeue",
        "--open-mode=append",
    ):
        assert f"#SBATCH {option}" in options
    first = next(index for index, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first:])
    assert all(len(line) <= 120 for line in lines)


SCRIPTS = {
    **{name: own_script(name) for name in LAYOUTS},
    "job": job_script(""),
    "prologue": job_script("\n\nX=1\n\n"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_valid_shell(name):
    ended = subprocess.run(
        ["bash", "-n"], input=SCRIPTS[name], capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("name", LAYOUTS)
def test_arguments_reach_the_step_as_they_are(place, name):
    step = LAYOUTS[name].step.split()
    assert ran(place, own_script(name), *WORDS)[0] == [
        "-m",
        "mpipar.batch.step",
        *step,
        "--",
        *WORDS,
    ]


def test_what_a_job_runs_reaches_it_as_it_is(place):
    assert ran(place, job_script(""), "python", *WORDS)[0] == WORDS


@pytest.mark.parametrize("name", SCRIPTS)
def test_libraries_get_one_thread_unless_the_user_wants_more(place, name):
    def threads(**variables: str) -> list[str | None]:
        environment = ran(place, SCRIPTS[name], "python", **variables)[1]
        return [environment.get(name) for name in THREADS]

    assert threads() == ["1", "1", "1"]
    assert threads(OMP_NUM_THREADS="3") == ["3", "3", "3"]
    assert threads(OMP_NUM_THREADS="3", MKL_NUM_THREADS="2") == ["3", "3", "2"]
    assert threads(OPENBLAS_NUM_THREADS="5") == ["1", "5", "1"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_srun_is_told_of_the_cores_of_a_rank_if_there_is_a_number(place, name):
    assert "SRUN_CPUS_PER_TASK" not in ran(place, SCRIPTS[name], "python")[1]
    assert (
        "SRUN_CPUS_PER_TASK" not in ran(place, SCRIPTS[name], "python", SLURM_CPUS_PER_TASK="")[1]
    )
    assert (
        ran(place, SCRIPTS[name], "python", SLURM_CPUS_PER_TASK="4")[1]["SRUN_CPUS_PER_TASK"] == "4"
    )


def test_a_prologue_is_run_first_and_can_set_what_the_rest_uses(place):
    prologue = "export SITE='a b'\nexport OMP_NUM_THREADS=7\nset -- one \"$@\"\n"
    arguments, environment = ran(
        place, job_script(prologue).replace('exec "$@"', 'exec python "$@"'), "two words"
    )
    assert arguments == ["one", "two words"]
    assert environment["SITE"] == "a b"
    assert [environment[name] for name in THREADS] == ["7", "7", "7"]


def test_nothing_of_a_job_is_in_its_script_and_no_option_either():
    assert "#SBATCH" not in job_script("")
    assert job_script("\nmodule load x\n").replace("module load x\n", "\n") == job_script("")
