import pytest

from mpipar.runtime.pinning import Place, _remedy, advice, shortages

ALL = range(8)


def ranks(*cores, workers=1, host="a", machine=8, quota=None, sees=None):
    """Return the places of ranks that may run on these cores of a host with eight."""
    return [
        Place(host, frozenset(own), workers, sees or len(frozenset(own)), machine, quota, "")
        for own in cores
    ]


@pytest.mark.parametrize(
    ("places", "told"),
    [
        (ranks(ALL), None),
        (ranks(*[ALL] * 8), None),
        (ranks(*[ALL] * 20), None),  # all there are: a laptop, and its user knows
        (ranks(*[[core] for core in ALL] * 3), None),  # the same, where each rank is bound
        (ranks(ALL, workers=16), None),
        (ranks([0], [1], [2]), None),
        (ranks([0, 1], [0, 1], [2, 3]), None),
        (ranks([0, 1, 2, 3], [4, 5], workers=2), None),
        (ranks([0], [0]), "host a: 2 ranks share 1 core, as they are pinned"),
        (ranks([3], [3], [3], [3], [4], [5]), "host a: 4 ranks share 1 core"),
        (ranks([0, 1], [1, 2], [0, 2], [0, 1, 2]), "host a: 4 ranks share 3 cores"),
        (ranks([0, 1], [0, 1], workers=2), "host a: 2 ranks with 4 workers in all share 2 cores"),
        (
            ranks([0], workers=4),
            "rank 0 on host a: its 4 workers share 1 core, as the rank is pinned",
        ),
        (ranks([0, 1], workers=4), "rank 0 on host a: its 4 workers share 2 cores"),
        (ranks(ALL, workers=4, sees=1), "rank 0 on host a: its 4 workers share 1 core"),
        (
            ranks(ALL, ALL, workers=2, quota=2),
            "host a: 2 ranks with 4 workers in all have the time of 2 cores, by",
        ),
        (ranks(ALL, ALL, workers=2, quota=4), None),
        (
            ranks([0], [1], quota=1),
            "host a: 2 ranks have the time of 1 core, by their control group",
        ),
        (ranks([0]) + ranks([0], host="b"), None),
        (ranks([0]) + ranks([0], [0], host="b"), "host b: 2 ranks share 1 core"),
        (ranks([0], [0]) + ranks([0], [0], host="b"), "host a (and 1 more): 2 ranks share 1 core"),
        (ranks([0], [0], machine=1), None),
    ],
)
def test_ranks_with_too_few_cores_are_told_of_in_one_line(places, told):
    found = advice(places)
    assert (found is None) == (told is None), found
    assert found is None or found.startswith(told), found
    assert found is None or "\n" not in found


def test_the_doctor_is_told_of_a_machine_that_is_too_small_too():
    assert [one.what for one in shortages(ranks(ALL, ALL, workers=16))] == [
        "2 ranks with 32 workers in all share 8 cores"
    ]
    assert not list(shortages(ranks(*[ALL] * 8)))


HYDRA = {"PMI_RANK": "0", "MPI_LOCALNRANKS": "2"}
STEP = {"SLURM_STEP_ID": "0"}


@pytest.mark.parametrize(
    ("environment", "remedy"),
    [
        ({}, ""),
        (HYDRA, "pass -bind-to none to mpirun"),
        ({**HYDRA, "I_MPI_PIN": "on"}, "set I_MPI_PIN=off"),
        ({**HYDRA, **STEP}, "pass -bind-to none to mpirun"),
        ({**HYDRA, **STEP, "SRUN_CPUS_PER_TASK": "1"}, "unset SRUN_CPUS_PER_TASK before mpirun"),
        ({"OMPI_COMM_WORLD_SIZE": "2", **STEP}, "pass --bind-to none to mpirun"),
        (
            {"OMPI_COMM_WORLD_SIZE": "2", **STEP, "SRUN_CPUS_PER_TASK": "1"},
            "unset SRUN_CPUS_PER_TASK before mpirun",
        ),
        (STEP, "pass --cpus-per-task=3 or --cpu-bind=none to srun"),
        (
            {**STEP, "PMI_RANK": "0"},
            "pass --cpus-per-task=3 or --cpu-bind=none to srun",
        ),  # srun --mpi=pmi2
        ({**STEP, "PMI_RANK": "0", "I_MPI_PMI_LIBRARY": "x"}, "pass --cpus-per-task=3"),
        ({**STEP, "PMIX_RANK": "0", "SRUN_CPUS_PER_TASK": "1"}, "pass --cpus-per-task=3"),
    ],
)
def test_the_remedy_is_that_of_the_launcher(environment, remedy):
    assert _remedy(3, environment).startswith(remedy)
    assert bool(_remedy(3, environment)) == bool(remedy)
