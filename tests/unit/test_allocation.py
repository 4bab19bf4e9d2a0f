import pytest
from fake_sbatch import FakeSlurm

from mpipar import BadInput
from mpipar.batch.allocation import Allocation
from mpipar.batch.slurm.variables import allocation, host_names, tasks_per_node

# As slurmd 23.11 sets them for what is asked for; SLURM_TASKS_PER_NODE counts cores of exclusive
# nodes.
LAYOUTS = {
    "--ntasks=1": ("1", "1", None, "1", [1]),
    "--ntasks=8 on one node": ("1", "8", None, "8", [8]),
    "--ntasks=7": ("4", "7", None, "2(x3),1", [2, 2, 2, 1]),
    "--ntasks=3, --nodes=2": ("2", "3", None, "2,1", [2, 1]),
    "--nodes=3": ("3", None, None, "1(x3)", [1, 1, 1]),
    "--nodes=2 --ntasks-per-node=2": ("2", "4", "2", "2(x2)", [2, 2]),
    "--nodes=2 --ntasks-per-node=2, without a total": ("2", None, "2", "2(x2)", [2, 2]),
    "--nodes=2 --ntasks-per-node=1 --exclusive": ("2", "2", "1", "8(x2)", [1, 1]),
    "--nodes=2 --ntasks=4 --exclusive": ("2", "4", None, "8(x2)", [2, 2]),
    "--nodes=2 --ntasks=5 --exclusive": ("2", "5", None, "16,8", [3, 2]),
    "--ntasks-per-node=4 is but the most": ("2", "5", "4", "4,1", [4, 1]),
    "nothing said": ("2", None, None, None, [1, 1]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_ranks_go_where_slurm_has_put_tasks(name):
    nodes, total, asked, spread, expected = LAYOUTS[name]
    given = {"SLURM_NTASKS": total, "SLURM_NTASKS_PER_NODE": asked, "SLURM_TASKS_PER_NODE": spread}
    environment = {key: value for key, value in given.items() if value is not None}
    assert tasks_per_node(environment, int(nodes)) == expected


JOB = {
    "SLURM_JOB_ID": "12",
    "SLURM_JOB_NAME": "pi",
    "SLURM_JOB_NODELIST": "n1,n2",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NTASKS": "4",
    "SLURM_TASKS_PER_NODE": "2(x2)",
    "SLURM_SUBMIT_DIR": "/home/me",
}


@pytest.fixture(autouse=True)
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    slurm = FakeSlurm(tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", slurm.environment["PATH"])
    return slurm


def test_a_job(monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "n2")
    found = allocation(JOB)
    assert found == Allocation("12", "", "12", "pi", "/home/me", ("n2", "n1"), 4, 2, 0)
    assert found.label == "pi-12"


def test_a_task_of_an_array_has_the_number_of_the_array_and_its_own():
    found = allocation(
        {**JOB, "SLURM_JOB_ID": "14", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}
    )
    assert (found.job, found.task, found.own_id, found.label) == ("12", "3", "12_3", "pi-12_3")


def test_a_requeued_job_knows_how_often():
    assert allocation({**JOB, "SLURM_RESTART_COUNT": "2"}).restarts == 2


def test_uneven_nodes_have_no_number_each():
    found = allocation({**JOB, "SLURM_NTASKS": "3", "SLURM_TASKS_PER_NODE": "2,1"})
    assert (found.ranks, found.ranks_per_node) == (3, None)


@pytest.mark.parametrize("environment", [{}, {"SLURM_JOB_ID": ""}, {"SLURM_NTASKS": "3"}])
def test_outside_of_a_job_it_is_refused(environment):
    with pytest.raises(BadInput, match="submit it by sbatch"):
        allocation(environment)


def test_names_of_nodes_are_written_out_by_scontrol_and_this_node_is_first(slurm, monkeypatch):
    path = slurm.folder / "bin/scontrol"
    path.write_text(
        path.read_text() + 'case "$3" in "n[1-3],gpu07") printf "%s\\n" n1 n2 n3 gpu07;; esac\n'
    )
    monkeypatch.setenv("SLURMD_NODENAME", "n3")
    assert host_names("n[1-3],gpu07") == ("n3", "n1", "n2", "gpu07")
    assert [call.arguments for call in slurm.calls("scontrol")] == [
        ["show", "hostnames", "n[1-3],gpu07"]
    ]
    assert host_names("n1") == ("n1",)
    assert host_names("n1,n2") == ("n1", "n2")
    assert len(slurm.calls("scontrol")) == 1, "what is written out needs no program"


def test_what_is_left_when_nodes_are_lost():
    given = Allocation("1", "", "1", "x", "/", ("a", "b", "c"), 6, 2, 0)
    left = given.without({"b"})
    assert (left.nodes, left.ranks, left.ranks_per_node) == (("a", "c"), 4, 2)
    assert given.without(set()) == given
    uneven = Allocation("1", "", "1", "x", "/", ("a", "b", "c"), 7, None, 0).without({"a"})
    assert (uneven.nodes, uneven.ranks, uneven.ranks_per_node) == (("b", "c"), 4, 2)
    assert (left.job, left.own_id, left.name, left.folder) == ("1", "1", "x", "/")


def test_components_of_a_heterogeneous_job_are_no_run():
    with pytest.raises(BadInput, match="heterogeneous job"):
        allocation({**JOB, "SLURM_HET_SIZE": "2"})
    assert allocation({**JOB, "SLURM_HET_SIZE": "1"}).ranks == 4
