import os

import pytest
import threadpoolctl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpipar.runtime import node


def cores(*numbers):
    return frozenset(numbers)


ALL = cores(*range(8))


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Pretend to be on a node of 8 cores without limits, with no word of Slurm nor of the user."""
    for name in (*node.THREAD_VARIABLES, "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(node, "affinity", lambda: ALL)
    monkeypatch.setattr(node, "cgroup_cores", lambda: None)


def shares(monkeypatch, affinities):
    """Return the share of each rank, asked in a process that is pinned as that rank."""
    found = []
    for rank, own in enumerate(affinities):
        monkeypatch.setattr(node, "affinity", lambda own=own: own)
        found.append(node.share_of_cores(affinities, rank))
    return found


@pytest.mark.parametrize(
    ("affinities", "expected"),
    [
        ([ALL], [8]),
        ([ALL] * 2, [4, 4]),
        ([ALL] * 3, [2, 2, 2]),
        ([ALL] * 20, [1] * 20),
        ([cores(0, 1), cores(2, 3)], [2, 2]),
        ([cores(0), cores(1, 2, 3)], [1, 3]),
        ([cores(0, 1, 2, 3)] * 2 + [cores(4, 5, 6, 7)] * 2, [2, 2, 2, 2]),
        ([cores(0, 1), cores(1, 2), cores(4)], [1, 1, 1]),
    ],
)
def test_ranks_share_the_cores_they_have_in_common(monkeypatch, affinities, expected):
    assert shares(monkeypatch, affinities) == expected


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(affinities=st.lists(st.frozensets(st.integers(0, 7), min_size=1), min_size=1, max_size=10))
def test_share_is_at_least_one_and_within_the_affinity(monkeypatch, affinities):
    for own, share in zip(affinities, shares(monkeypatch, affinities), strict=True):
        assert 1 <= share <= len(own)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("SLURM_CPUS_PER_TASK", "3", 3),
        ("SLURM_CPUS_PER_TASK", "100", 4),  # no more than the share
        ("SLURM_CPUS_ON_NODE", "6", 3),
        ("SLURM_CPUS_ON_NODE", "1", 1),
        ("SLURM_CPUS_ON_NODE", "100", 4),
        ("SLURM_CPUS_PER_TASK", "", 4),
        ("SLURM_CPUS_PER_TASK", "0", 4),
        ("SLURM_CPUS_ON_NODE", "many", 4),
    ],
)
def test_slurm_may_grant_fewer_cores(monkeypatch, variable, value, expected):
    monkeypatch.setenv(variable, value)
    assert node.share_of_cores([ALL, ALL], 0) == expected


@pytest.mark.parametrize(
    ("quota", "expected"), [(None, 8), (4.0, 4), (2.5, 2), (0.1, 1), (64.0, 8)]
)
def test_control_group_may_grant_fewer_cores(monkeypatch, quota, expected):
    monkeypatch.setattr(node, "cgroup_cores", lambda: quota)
    assert node.share_of_cores([ALL], 0) == expected


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Return a function that makes a tree of control groups and reads what they grant."""
    monkeypatch.undo()

    def grant(own, files):
        for name, text in files.items():
            (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "groups" / name).write_text(text)
        (tmp_path / "own").write_text(own)
        return node.cgroup_cores(tmp_path / "groups", tmp_path / "own")

    return grant


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"job/step/cpu.max": "150000 100000\n"}, 1.5),
        ({"job/step/cpu.max": "max 100000\n"}, None),
        ({"job/step/cpu.max": "max 100000\n", "job/cpu.max": "400000 100000\n"}, 4.0),
        ({"job/step/cpu.max": "800000 100000\n", "job/cpu.max": "400000 100000\n"}, 4.0),
        ({"job/step/cpu.max": "200000 100000\n", "job/cpu.max": "400000 100000\n"}, 2.0),
        ({"cpu.max": "300000 100000\n"}, 3.0),  # as in a container
        ({"other/cpu.max": "100000 100000\n", "job/step/other/cpu.max": "100000 100000\n"}, None),
        ({"job/step/cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_smallest_limit_on_the_way_up_counts_in_version_2(groups, files, expected):
    assert groups("0::/job/step\n", files) == expected


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({"cpu/job/step": 150000}, 1.5),
        ({"cpu/job/step": -1}, None),
        ({"cpu/job/step": -1, "cpu/job": 400000}, 4.0),
        ({"cpu/job/step": 200000, "cpu/job": 100000, "cpu": -1}, 1.0),
        ({"memory/job/step": 100000}, None),
    ],
)
def test_smallest_limit_on_the_way_up_counts_in_version_1(groups, quotas, expected):
    files = {f"{folder}/cpu.cfs_quota_us": f"{quota}\n" for folder, quota in quotas.items()}
    files |= {f"{folder}/cpu.cfs_period_us": "100000\n" for folder in quotas}
    assert (
        groups("5:memory:/job/step\n4:cpu,cpuacct:/job/step\n3:cpuset:/\n1:name=systemd:/\n", files)
        == expected
    )


def test_no_control_groups_no_limit(groups, tmp_path):
    assert node.cgroup_cores(tmp_path, tmp_path / "missing") is None


def settings_of_threads():
    return {name: os.environ.get(name) for name in node.THREAD_VARIABLES}


def test_one_thread_is_set_inside_and_restored_after():
    before = settings_of_threads()
    with node.one_thread():
        assert set(settings_of_threads().values()) == {"1"}
    assert settings_of_threads() == before == dict.fromkeys(node.THREAD_VARIABLES)


def test_one_thread_is_restored_after_an_exception():
    with pytest.raises(KeyError), node.one_thread():
        raise KeyError
    assert settings_of_threads() == dict.fromkeys(node.THREAD_VARIABLES)


def test_variable_that_was_set_to_nothing_is_so_again(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    with node.one_thread():
        assert os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ.get("OMP_NUM_THREADS") == ""


@pytest.mark.parametrize("name", node.THREAD_VARIABLES)
def test_choice_of_the_user_is_respected(monkeypatch, name):
    monkeypatch.setenv(name, "3")
    before = settings_of_threads()
    with node.one_thread():
        assert settings_of_threads() == before
    assert settings_of_threads() == before


def test_libraries_that_are_loaded_get_one_thread_and_theirs_back():
    import numpy  # noqa: F401 - its BLAS

    def threads():
        return [library["num_threads"] for library in threadpoolctl.threadpool_info()]

    with threadpoolctl.threadpool_limits(2):
        before = threads()
        with node.one_thread():
            assert set(threads()) <= {1}
        assert threads() == before
