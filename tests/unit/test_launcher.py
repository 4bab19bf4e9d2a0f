import os

import pytest

from mpipar.runtime.launcher import Launch, hidden_from_children, launch, launchers_terminal

LAUNCHERS = {
    "Open MPI": ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    "Hydra": ("PMI_SIZE", "PMI_RANK"),
    "MVAPICH": ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    "jsrun": ("JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_RANK"),
    "Flux": ("FLUX_JOB_SIZE", "FLUX_TASK_RANK"),
    "srun": ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
}

SLURM_STEP = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0"}


@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_launcher_is_recognised(name):
    size, rank = LAUNCHERS[name]
    assert launch({size: "12", rank: "7", "HOME": "/"}) == Launch(size, 12, 7)


@pytest.mark.parametrize("name", [name for name in LAUNCHERS if name != "srun"])
def test_launcher_inside_a_slurm_step_counts_and_not_the_step(name):
    size, rank = LAUNCHERS[name]
    assert launch({**SLURM_STEP, size: "4", rank: "3"}) == Launch(size, 4, 3)


def test_no_launcher_is_none():
    assert launch({}) is None
    assert (
        launch({"SLURM_JOB_ID": "3", "SLURM_NTASKS": "4", "OMP_NUM_THREADS": "2"}) is None
    )  # a job, but no step


@pytest.mark.parametrize("size", ["", "four", "-1", "2.0"])
def test_size_that_is_no_number_is_no_launcher(size):
    assert launch({"PMI_SIZE": size, "PMI_RANK": "0"}) is None
    assert launch({"OMPI_COMM_WORLD_SIZE": size, "PMI_SIZE": "3", "PMI_RANK": "1"}) == Launch(
        "PMI_SIZE", 3, 1
    )


@pytest.mark.parametrize("environment", [{"PMI_SIZE": "3"}, {"PMI_SIZE": "3", "PMI_RANK": "first"}])
def test_rank_that_is_not_known_is_0(environment):
    assert launch(environment) == Launch("PMI_SIZE", 3, 0)


def test_this_process_is_asked_by_default(monkeypatch):
    for size, rank in LAUNCHERS.values():
        monkeypatch.delenv(size, raising=False)
        monkeypatch.delenv(rank, raising=False)
    assert launch() is None
    monkeypatch.setenv("FLUX_JOB_SIZE", "5")
    assert launch() == Launch("FLUX_JOB_SIZE", 5, 0)


RANK_VARIABLES = {
    **{name: "1" for pair in LAUNCHERS.values() for name in pair},
    "PMI_FD": "9",
    "PMIX_RANK": "0",
    "PMIX_SERVER_URI41": "tcp",
    "HYDI_CONTROL_FD": "8",
    "I_MPI_INFO_NP": "2",
    "PALS_RANKID": "1",
    "SLURM_STEP_ID": "0",
    "SLURM_LOCALID": "0",
}
OTHER_VARIABLES = {
    "SLURM_JOB_ID": "5",
    "SLURM_CPUS_PER_TASK": "4",
    "OMP_NUM_THREADS": "1",
    "MPIPAR_OWN": "x",
}


@pytest.fixture
def job(monkeypatch):
    """Be a rank of a job."""
    for name, value in {**RANK_VARIABLES, **OTHER_VARIABLES}.items():
        monkeypatch.setenv(name, value)


def test_children_see_no_launcher_and_afterwards_all_is_back(job):
    before = dict(os.environ)
    with hidden_from_children():
        assert launch() is None
        assert not RANK_VARIABLES.keys() & os.environ.keys()
        assert OTHER_VARIABLES.items() <= os.environ.items()
    assert dict(os.environ) == before


def test_all_is_back_after_an_exception(job):
    before = dict(os.environ)
    with pytest.raises(KeyError), hidden_from_children():
        raise KeyError
    assert dict(os.environ) == before


def test_what_is_set_inside_stays(job, monkeypatch):
    monkeypatch.delenv("MPIPAR_OTHER", raising=False)
    with hidden_from_children():
        monkeypatch.setenv("MPIPAR_OTHER", "y")
    assert os.environ["MPIPAR_OTHER"] == "y"
    assert os.environ["PMI_FD"] == "9"


@pytest.mark.parametrize(
    ("name", "target", "seen"),
    [
        ("mpiexec.hydra", "/dev/pts/3", True),
        ("mpirun", "pipe:[7]", False),
        ("prterun", "/dev/tty1", True),
        ("bash", "/dev/pts/3", False),
    ],
)
def test_the_terminal_of_a_launcher_is_seen(name, target, seen, tmp_path):
    above = {
        30: ("hydra_pmi_proxy", "pipe:[1]", 20),
        20: (name, target, 10),
        10: ("systemd", "/dev/null", 0),
    }
    for process, (comm, second, parent) in above.items():
        (tmp_path / str(process) / "fd").mkdir(parents=True)
        (tmp_path / str(process) / "comm").write_text(f"{comm}\n")
        (tmp_path / str(process) / "stat").write_text(f"{process} ({comm}) S {parent} 1 1")
        (tmp_path / str(process) / "fd" / "2").symlink_to(second)
    assert launchers_terminal(tmp_path, 30) is seen
    assert launchers_terminal(tmp_path, 99) is False
