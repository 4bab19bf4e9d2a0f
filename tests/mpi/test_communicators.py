"""``comm=`` of mpipar.run: inside a code of mpi4py, over its communicators, and beside its own
messages.
"""

import textwrap

import pytest
from conftest import mpirun, python

import mpipar
from mpipar.pi import pi

HEAD = """
import mpipar, numpy
from mpi4py import MPI
from mpipar.pi import pi

world = MPI.COMM_WORLD
alone = 3.1415927369231267
"""


def run(ranks, text, tmp_path, **options):
    (tmp_path / "script.py").write_text(HEAD + textwrap.dedent(text))
    ended = mpirun(ranks, "script.py", cwd=tmp_path, **options)
    assert ended.code == 0, ended.stderr
    return sorted(ended.stdout.split())


@pytest.mark.each_mpi
def test_parts_of_the_world_run_apart_and_a_rank_may_stay_away(tmp_path):
    text = """
        part = world.Split(MPI.UNDEFINED if world.rank == 2 else 0)
        if part == MPI.COMM_NULL:
            world.send("late", 0, tag=1)
        else:
            for _ in range(2):
                result = mpipar.run(pi, steps=1000, comm=part, block=10)
                assert result.value == alone and result.ranks == 2, result
        if world.rank == 0:
            assert world.recv(source=2, tag=1) == "late"
        print("right", flush=True)
    """
    assert run(3, text, tmp_path) == ["right"] * 3


def test_messages_of_the_user_never_meet_ours(tmp_path):
    text = """
        other = 1 - world.rank
        requests = [world.isend(f"{tag} of {world.rank}", other, tag=tag) for tag in range(5)]
        result = mpipar.run(pi, steps=1000, block=1, comm=world, schedule="dynamic")
        assert result.value == mpipar.run(pi, steps=1000, comm=world, workers=2, output="x.h5").value == alone
        pending = numpy.zeros(1)
        request = world.Iallreduce(numpy.ones(1), pending)
        assert mpipar.run(pi, steps=1000, comm=world).value == alone
        request.Wait()
        assert pending[0] == 2
        assert [world.recv(source=other, tag=tag) for tag in range(5)] == [f"{tag} of {other}" for tag in range(5)]
        MPI.Request.Waitall(requests)
        try:
            mpipar.run(pi, steps=1000, comm=world, on_error="stop", block=-1)
        except mpipar.BadInput:
            print("right", flush=True)
    """
    assert run(2, text, tmp_path) == ["right"] * 2


def test_a_kernel_that_fails_on_one_rank_ends_the_run_on_all(tmp_path):
    text = """
        @mpipar.driver(n="n", reduction=mpipar.Count, block=1)
        def kernel(block, *, n: int = 4):
            return 1 // block.index

        @mpipar.driver(n="n", reduction=mpipar.Count, block=1)
        def fine(block, *, n: int = 4):
            return 1

        try:
            mpipar.run(kernel, comm=world)
        except mpipar.RunFailed as error:
            assert "ZeroDivisionError" in str(error)
            print("right", mpipar.run(fine, comm=world).value, flush=True)
    """
    assert run(2, text, tmp_path) == ["4", "4", "right", "right"]


def test_each_rank_alone_needs_no_other(tmp_path):
    text = """
        for times in range(world.rank + 1):
            assert mpipar.run(pi, steps=1000, comm=MPI.COMM_SELF).value == alone
        print("right", flush=True)
    """
    assert run(2, text, tmp_path) == ["right"] * 2


def test_no_copy_of_a_communicator_is_left_behind(tmp_path):
    text = """
        seen = []
        key = MPI.Comm.Create_keyval(
            copy_fn=lambda comm, key, value: seen.append("copied") or value,
            delete_fn=lambda comm, key, value: seen.append("freed"),
        )
        world.Set_attr(key, 7)
        for _ in range(3):
            mpipar.run(pi, steps=10, comm=world)
        assert seen.count("copied") == seen.count("freed") >= 3, seen
        print("right", flush=True)
    """
    assert run(2, text, tmp_path) == ["right"] * 2


def test_what_is_no_communicator_is_refused(tmp_path):
    text = """
        between = world.Split(world.rank).Create_intercomm(0, world, 1 - world.rank)
        for comm, told in ((MPI.COMM_NULL, "in no communicator"), (between, "Merge"), ("world", "got 'world'")):
            try:
                mpipar.run(pi, steps=10, comm=comm)
            except mpipar.BadInput as error:
                assert told in str(error), error
            else:
                raise AssertionError(told)
        print("right", flush=True)
    """
    assert run(2, text, tmp_path) == ["right"] * 2


def test_under_mpipar_run_it_is_refused(tmp_path):
    (tmp_path / "script.py").write_text(HEAD + "mpipar.run(pi, steps=10, comm=world)\n")
    ended = mpirun(2, "-m", "mpipar", "run", "script.py", cwd=tmp_path)
    assert ended.code != 0
    assert "the other ranks serve pools here; run it without `mpipar run`" in ended.stderr


def test_without_mpi_it_is_refused():
    with pytest.raises(mpipar.BadInput, match="comm: expected a communicator of mpi4py, got 5"):
        mpipar.run(pi, steps=10, comm=5)
    ended = python("-c", f"{HEAD}print(mpipar.run(pi, steps=1000, comm=world).value == alone)")
    assert ended.stdout == "True\n", ended.stderr
