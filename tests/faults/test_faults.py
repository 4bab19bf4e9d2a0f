"""A few of each kind of fault; hundreds of them are in campaign.py (make faults)."""

import random
import re
import signal
import sys

import conftest
import pytest
import scenarios
from scenarios import IS_OPEN_MPI, leave_nothing  # noqa: F401
from suite.rings import in_ci

twice = pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.each_mpi), *in_ci(2)])


@twice
def test_a_job_that_is_killed_goes_on_where_it_committed(seed, tmp_path):
    scenarios.whole_job(random.Random(seed), tmp_path)


@twice
def test_a_worker_that_is_killed_is_replaced(seed, tmp_path):
    scenarios.one_worker(random.Random(seed), tmp_path)


@twice
def test_tasks_of_a_pool_are_done_again_when_their_worker_is_killed(seed, tmp_path):
    scenarios.pool_workers(random.Random(seed), tmp_path)


@twice
def test_tasks_of_a_pool_are_done_again_or_the_job_ends_when_their_rank_is_killed(seed, tmp_path):
    scenarios.pool_rank(random.Random(seed), tmp_path)


@twice
@pytest.mark.skipif(not IS_OPEN_MPI, reason="other MPIs have no ulfm; the next test is for them")
def test_ranks_go_on_without_one_that_is_killed(seed, tmp_path):
    scenarios.one_rank_survived(random.Random(seed), tmp_path)


@pytest.mark.ci
@pytest.mark.each_mpi
@pytest.mark.parametrize("how", ["kill -9 $$", "exit 0"])
def test_a_rank_that_ends_before_mpi_starts_ends_the_others(how):
    shell = 'if [ "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" = 1 ]; then ' + how + '; fi; exec "$@"'
    flags = ("--with-ft", "ulfm", "--oversubscribe", "--bind-to", "none") if IS_OPEN_MPI else ()
    command = [
        str(scenarios.MPIRUN),
        *flags,
        "-np",
        "4",
        "sh",
        "-c",
        shell,
        "sh",
        sys.executable,
        "-m",
        "mpipar.pi",
    ]
    end = conftest.start(command, env=conftest.FOR_OPEN_MPI)
    assert end.code != 0
    assert "3.14" not in end.stdout
    said = [line for line in end.own_errors if line.startswith("mpipar: ")]
    by_the_launcher = not said and not IS_OPEN_MPI  # which has ended them before
    assert by_the_launcher or re.fullmatch(
        "mpipar: MPI can't start: 1 rank on host .* ended before that", *said[:1]
    )
    assert len(said) <= 1


@twice
def test_a_killed_rank_ends_the_job_which_goes_on_later(seed, tmp_path):
    scenarios.one_rank_fatal(random.Random(seed), tmp_path)


@pytest.mark.each_mpi
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_stops_all_ranks_together(number, tmp_path):
    if IS_OPEN_MPI and number != signal.SIGUSR1:
        scenarios.ended_by_its_launcher(random.Random(number), tmp_path, number)
    else:
        scenarios.told_to_stop(random.Random(number), tmp_path, number)


@pytest.mark.parametrize("kilobytes", [30, *in_ci(8, 120, 300)])
def test_a_full_disk(kilobytes, tmp_path):
    assert scenarios.may_mount(), "this test needs the right to mount a file system"
    scenarios.full_disk(random.Random(kilobytes), tmp_path, kilobytes)


@pytest.mark.parametrize("how", ["truncated", "flipped"])
def test_a_damaged_checkpoint_is_refused_or_right(how, tmp_path):
    rng = random.Random(how)
    stopped = scenarios.stopped_run(tmp_path)
    for _ in range(3):
        scenarios.damaged(rng, tmp_path, stopped, how)
