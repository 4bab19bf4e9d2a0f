import os
from pathlib import Path

import pytest

from mpipar import BadInput
from mpipar.batch.allocation import Allocation
from mpipar.batch.launchers import Launcher, can_shrink, launcher
from mpipar.runtime.mpirun import INTEL_MPI, MPICH, OPEN_MPI, UNKNOWN, find_mpirun, vendor_of

GIVEN = Allocation("7", "", "7", "pi", "/", ("n1", "n2"), 8, 4, 0)
UNEVEN = Allocation("7", "", "7", "pi", "/", ("n1", "n2"), 7, None, 0)

SAYS = {
    "openmpi5": (
        OPEN_MPI,
        "mpirun (Open MPI) 5.0.8\n\nReport bugs to https://www.open-mpi.org/community/help/",
    ),
    "openmpi4": (
        OPEN_MPI,
        "mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/",
    ),
    "prrte": (OPEN_MPI, "prterun (PRRTE) 3.0.7, of Open-MPI"),
    "intel": (
        INTEL_MPI,
        "Intel(R) MPI Library for Linux* OS, Version 2021.13 Build 20240701\nCopyright 2003-2024",
    ),
    "mpich": (
        MPICH,
        "HYDRA build details:\n    Version:                                 4.3.0\n    CC: gcc",
    ),
    "cray": (UNKNOWN, "mpiexec version 1.4.0"),
    "fails": (UNKNOWN, ""),
}


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """Have programs that say what each vendor's mpirun does about its version."""
    for name, (_, text) in SAYS.items():
        write(
            tmp_path / name / "mpirun",
            f"cat <<'END'\n{text}\nEND\n" + "exit 1\n" * (name == "fails"),
        )
    for name in ("srun", "ibrun", "aprun"):
        write(tmp_path / "bin" / name, "exit 3\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}")
    path.chmod(0o755)


@pytest.mark.parametrize("name", SAYS)
def test_the_vendor_is_known_by_what_it_says(programs, name):
    assert vendor_of(str(programs / name / "mpirun")) == SAYS[name][0]


def test_the_vendor_of_what_cannot_be_run_is_unknown(programs):
    assert vendor_of(str(programs / "nothing")) == UNKNOWN
    (programs / "text").write_text("Open MPI")
    assert vendor_of(str(programs / "text")) == UNKNOWN


EACH = ["-ppn", "4"]
PPR = ["--map-by", "ppr:4:node"]
OFF = ["--bind-to", "none"]
PLACED = {"I_MPI_JOB_RESPECT_PROCESS_PLACEMENT": "0"}
VENDORS = [
    ("openmpi5", GIVEN, {}, PPR, {}),
    ("openmpi5", UNEVEN, {}, ["--map-by", "slot"], {}),
    ("openmpi5", GIVEN, {"pinned": False}, [*PPR, *OFF], {}),
    ("openmpi5", GIVEN, {"whole": False}, [*PPR, "--host", "n1:4,n2:4"], {}),
    ("openmpi4", GIVEN, {"whole": False, "pinned": False}, [*PPR, *OFF, "--host", "n1:4,n2:4"], {}),
    ("mpich", GIVEN, {}, EACH, {}),
    ("mpich", UNEVEN, {}, [], {}),
    ("mpich", GIVEN, {"pinned": False}, EACH, {}),
    ("mpich", GIVEN, {"whole": False}, [*EACH, "-hosts", "n1,n2"], {}),
    ("intel", GIVEN, {}, EACH, PLACED),
    ("intel", UNEVEN, {}, [], {}),
    ("intel", UNEVEN, {"pinned": False}, [], {"I_MPI_PIN": "off"}),
    ("intel", GIVEN, {"pinned": False}, EACH, {**PLACED, "I_MPI_PIN": "off"}),
    ("intel", GIVEN, {"whole": False}, [*EACH, "-hosts", "n1,n2"], PLACED),
    ("cray", GIVEN, {}, [], {}),
]


@pytest.mark.parametrize(("name", "given", "options", "flags", "environment"), VENDORS)
def test_each_mpirun_is_told_what_goes_where_in_its_own_words(
    programs, monkeypatch, name, given, options, flags, environment
):
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    program = str(programs / name / "mpirun")
    found = launcher(f"{program} --own 'a b'", given, **options)
    assert found.command == [program, "-n", str(given.ranks), *flags, "--own", "a b"]
    path = found.environment.pop("PATH")
    assert path.split(os.pathsep)[0] == str(programs / name)
    assert found.environment == environment


@pytest.mark.parametrize(
    ("name", "cores", "flags", "environment"),
    [
        ("openmpi5", "1", PPR, {}),
        ("openmpi5", "2", [*PPR, *OFF], {}),
        (
            "intel",
            "2",
            [*EACH, "-genv", "SLURM_CPUS_PER_TASK", "2"],
            {**PLACED, "I_MPI_PIN": "off"},
        ),
    ],
)
def test_a_rank_with_several_cores_is_not_pinned_to_one(
    programs, monkeypatch, name, cores, flags, environment
):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", cores)
    found = launcher(str(programs / name / "mpirun"), GIVEN)
    assert found.command[3:] == flags
    assert environment.items() <= found.environment.items()
    assert ("I_MPI_PIN" in found.environment) == ("I_MPI_PIN" in environment)


@pytest.mark.parametrize("name", ["mpirun", "mpiexec"])
def test_mpirun_without_a_path_is_that_of_this_environment(name):
    found = launcher(name, GIVEN)
    assert found.command[:3] == [find_mpirun(), "-n", "8"]


def test_it_is_told_if_there_is_no_mpirun(programs, monkeypatch):
    monkeypatch.setattr("mpipar.batch.launchers.find_mpirun", lambda: None)
    with pytest.raises(BadInput, match="launcher: there is no mpirun"):
        launcher("mpirun", GIVEN)


@pytest.mark.parametrize(
    "text", ["nonsense", "/no/such/mpirun", "''", "nonsense -n {ranks}", "'a b'"]
)
def test_it_is_told_if_there_is_no_such_program(programs, text):
    with pytest.raises(BadInput, match="launcher: there is no program "):
        launcher(text, GIVEN)


@pytest.mark.parametrize("text", ["srun 'a", '"', "srun \\", ""])
def test_words_that_a_shell_could_not_split_are_refused(programs, text):
    with pytest.raises(BadInput, match="can't be split into words"):
        launcher(text, GIVEN)


def test_srun_starts_a_step_over_all_ranks(programs):
    options = ["--kill-on-bad-exit=1", "--nodes=2", "--ntasks=8", "--ntasks-per-node=4"]
    assert launcher("srun --mpi=pmix", GIVEN) == Launcher(["srun", *options, "--mpi=pmix"], {})
    assert launcher("srun", GIVEN, whole=False).command == ["srun", *options, "--nodelist=n1,n2"]
    assert launcher("srun", UNEVEN).command == ["srun", *options[:2], "--ntasks=7"]
    assert launcher(f"{programs}/bin/srun", UNEVEN).command[0] == f"{programs}/bin/srun"


def test_words_with_ranks_are_filled_in(programs):
    assert launcher("aprun -n {ranks} -N {ranks_per_node} 'a {ranks}'", GIVEN) == Launcher(
        ["aprun", "-n", "8", "-N", "4", "a 8"], {}
    )
    assert launcher("srun --ntasks={ranks} {x}", GIVEN).command == ["srun", "--ntasks=8", "{x}"]


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("mpirun", True),
        ("/a/mpiexec -x", True),
        ("srun --mpi=pmix", True),
        ("ibrun", False),
        ("srun -n {ranks}", False),
    ],
)
def test_what_can_be_told_to_leave_nodes_out(text, can):
    assert can_shrink(text) == can


def test_anything_else_is_taken_as_it_is(programs):
    assert launcher("ibrun -x '$(touch canary)'", GIVEN) == Launcher(
        ["ibrun", "-x", "$(touch canary)"], {}
    )


EACH_TASK = {
    "SLURM_CPUS_PER_TASK": "2",
    "SRUN_CPUS_PER_TASK": "2",
    "SLURM_GPUS_PER_TASK": "1",
    "SLURM_TRES_PER_TASK": "gres/gpu:1",
    "SLURM_HINT": "nomultithread",
    "SLURM_THREADS_PER_CORE": "1",
    "SLURM_CPU_BIND": "cores",
}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("mpich/mpirun", set(EACH_TASK)),
        ("intel/mpirun", set(EACH_TASK)),
        ("openmpi5/mpirun", set(EACH_TASK) - {"SLURM_CPUS_PER_TASK"}),
        ("mpich/mpirun -n {ranks}", set(EACH_TASK) - {"SLURM_CPUS_PER_TASK"}),
        ("srun", set()),
        ("ibrun", set()),
    ],
)
def test_the_proxies_of_an_mpirun_do_not_get_the_share_of_one_rank(
    programs, monkeypatch, text, hidden
):
    for name, value in EACH_TASK.items():
        monkeypatch.setenv(name, value)
    found = launcher(f"{programs}/{text}" if "/" in text else text, GIVEN)
    assert hidden == set(EACH_TASK) & set(found.hidden)
    given_back = (
        found.command[found.command.index("-genv") :][:3] if "-genv" in found.command else []
    )
    assert given_back == (
        ["-genv", "SLURM_CPUS_PER_TASK", "2"] if "SLURM_CPUS_PER_TASK" in hidden else []
    )


def test_only_open_mpi_may_hide_that_ranks_were_lost(programs):
    exact = {
        name: launcher(f"{programs}/{name}/mpirun", GIVEN).exact
        for name in ("mpich", "intel", "openmpi5")
    }
    assert exact == {"mpich": True, "intel": True, "openmpi5": False}
    assert launcher("srun", GIVEN).exact
