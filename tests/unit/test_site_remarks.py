"""What the configurations of sites mean for jobs, said before they are submitted."""

import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slurm_sites import QOS, RECORDED, SMALL, THREADS, WHOLE, Site

from mpipar.batch.scheduler import Request
from mpipar.batch.slurm.scheduler import Slurm
from mpipar.batch.slurm.site.case import Case, megabytes
from mpipar.batch.slurm.site.remarks import facts, facts_of, remarks_of

SITES = {"20.11": THREADS, "21.08": QOS, "22.05": RECORDED, "23.02": WHOLE, "24.11": SMALL}
MODEST = {"time": "1:00:00", "memory": "1G"}
FOUR = {**MODEST, "nodes": 2, "ranks_per_node": 2}
SRUN = "srun"

CASES = [
    # Hyperthreads: a CPU is half a core.
    ("20.11", {**MODEST, "ranks": 1}, ["OverTimeLimit"]),
    ("20.11", {**FOUR, "own_options": {"hint": "nomultithread"}}, ["OverTimeLimit"]),
    ("20.11", FOUR, ["2 to a core: ranks and workers share cores", "ends jobs 5 min after"]),
    ("20.11", {**MODEST, "ranks": 1, "cores_per_rank": 2}, ["2 to a core", "OverTimeLimit"]),
    ("20.11", {**MODEST, "whole_nodes": True}, ["a worker for each thread", "OverTimeLimit"]),
    # Memory by the CPU.
    (
        "20.11",
        {"time": "60", "ranks": 1, "cores_per_rank": 4, "own_options": {"hint": "nomultithread"}},
        ["gets 2000 MB for each of its CPUs: 8000 MB on each node (DefMemPerCPU)", "OverTime"],
    ),
    (
        "20.11",
        {"time": "60", "ranks": 1, "memory": "64G"},
        ["65536 MB are more than MaxMemPerCPU=4000 MB for 1: ", "OverTimeLimit"],
    ),
    (
        "20.11",
        {"time": "60", "ranks": 1, "own_options": {"mem-per-cpu": "8G"}},
        ["charges for, 3 CPUs for each CPU asked for", "OverTimeLimit"],
    ),
    (
        "20.11",
        {"time": "60", "ranks": 1, "memory": "1T"},
        ["the largest has 190000 MB", "MaxMemPerCPU", "OverTimeLimit"],
    ),
    # Limits of partitions.
    ("20.11", {"memory": "1G"}, ["gets 01:00:00 (DefaultTime of partition batch)", "OverTime"]),
    (
        "20.11",
        {"memory": "1G", "time": "3-00"},
        ["beyond MaxTime=2-00:00:00 of partition batch: sbatch refuses it", "OverTimeLimit"],
    ),
    ("20.11", {**MODEST, "nodes": 17}, ["17 nodes are more than MaxNodes=16", "OverTimeLimit"]),
    ("20.11", {**MODEST, "cores_per_rank": 97}, ["no node of partition batch has 97 CPUs", "2 to"]),
    ("20.11", {**MODEST, "partition": "nowhere"}, ["no partition nowhere, only batch"]),
    ("20.11", {**MODEST, "tasks": [1, 1001]}, ["array.tasks may be 1000 at most", "OverTimeLimit"]),
    ("23.02", {**MODEST, "nodes": 1, "ranks_per_node": 256}, ["MinNodes=2", "MaxTasksPerNode=64"]),
    (
        "21.08",
        {**MODEST, "partition": "old"},
        ["partition old is DOWN", "PreemptMode=CANCEL", "KillWait"],
    ),
    # Of QOS and accounts.
    (
        "21.08",
        {**MODEST, "own_options": {"qos": "high", "exclusive": True}},
        ["2 to a core: another job may share this one's", "scancel leaves the job 10 s to commit"],
    ),
    (
        "21.08",
        {
            "memory": "1G",
            "time": "2-00",
            "own_options": {"qos": "scavenger"},
            "tasks": [*range(11)],
        },
        [
            "beyond MaxWall=1-00:00:00: it would wait for ever",
            "11 jobs are more than MaxSubmitJobsPerUser=10 of this QOS",
            "PreemptMode=REQUEUE): it is requeued, 60 s after it is told (GraceTime), less than",
        ],
    ),
    (
        "21.08",
        {**MODEST, "time": "13:00:00", "account": "lab", "tasks": [*range(1, 22)]},
        [
            "beyond MaxWall=12:00:00",
            "21 jobs are more than MaxSubmitJobs=20 of this account",
            "PreemptMode=CANCEL): it is ended: the same submission goes on; at once (GraceTime=0)",
        ],
    ),
    (
        "21.08",
        {**MODEST, "own_options": {"qos": "low"}, "warn": 60},
        ["it commits, and has itself requeued, 300 s after it is told (GraceTime)"],
    ),
    (
        "21.08",
        {**MODEST, "own_options": {"qos": "scavenger"}, "requeue": False},
        ["it is ended: the same submission goes on, 60 s", "ForceRequeueOnFail"],
    ),
    ("21.08", {"time": "60", "memory": "65000"}, ["more than MaxMemPerNode=64000 MB"]),
    ("21.08", {"time": "60"}, ["gets all of its nodes': no other job runs beside it"]),
    # The cluster of the tests.
    ("22.05", MODEST, ["it is requeued; at once (GraceTime=0)", "KillWait"]),
    ("22.05", {**MODEST, "partition": "spare"}, ["15 s after it is told", "KillWait"]),
    ("22.05", {**MODEST, "time": "5", "partition": "short"}, ["KillWait"]),
    # Whole nodes, which nobody shares.
    (
        "23.02",
        {**MODEST, "nodes": 2, "ranks_per_node": 2},
        ["2 to a core", "whole nodes: the job has, and may be charged for, 256 CPUs", "CR_CORE"],
    ),
    (
        "23.02",
        {"time": "60", "partition": "shared"},
        ["TaskPlugin=task/none): others on its nodes"],
    ),
    (
        "23.02",
        {"time": "60", "partition": "shared", "own_options": {"exclusive": True}},
        [],
    ),
    # No accounts; jobs that are suspended; a task/cgroup that holds nobody.
    (
        "24.11",
        {"time": "60"},
        [
            "holds no job to its cores here (TaskPlugin=task/cgroup)",
            "gets 8000 MB on each node (DefMemPerNode)",
            "PreemptMode=SUSPEND): it is suspended on its nodes, and goes on later",
            "Slurm forgets the job 300 s after its end (MinJobAge)",
        ],
    ),
]


def told(site: str, wanted: dict, launcher: str = "mpirun") -> list[str]:
    return remarks_of(Case(SITES[site].read(), Request("x", "/x", **wanted), launcher))


@pytest.mark.parametrize(("site", "wanted", "expected"), CASES)
def test_what_matters_for_a_job_is_said_in_a_line_each(site, wanted, expected):
    lines = told(site, wanted)
    for words in expected:
        assert sum(words in line for line in lines) == 1, (words, lines)
    assert all(line.isprintable() for line in lines)
    if not expected:
        assert lines == []


def test_what_is_well_is_not_said():
    """Of jobs that fit their sites nothing is said but what nobody can change."""
    hint = {"own_options": {"hint": "nomultithread"}}
    assert told("22.05", {**FOUR, "partition": "short", "time": "5"})[0].startswith("scancel")
    assert [line.partition(" ")[0] for line in told("20.11", {**FOUR, **hint})] == ["Slurm"]


@pytest.mark.parametrize(
    ("site", "launcher", "expected"),
    [
        ("22.05", "srun", "MpiDefault=none"),
        ("24.11", "srun --hint=nomultithread", "MpiDefault=none"),
        ("22.05", "srun --mpi=pmi2", ""),
        ("23.02", "srun", "starts ranks as MpiDefault=cray_shasta has it"),
        ("22.05", "mpirun", ""),
    ],
)
def test_what_srun_does_by_itself_is_said(site, launcher, expected):
    lines = [line for line in told(site, FOUR, launcher) if "MpiDefault" in line]
    assert len(lines) == bool(expected)
    assert expected in "".join(lines)
    assert not any("MpiDefault" in line for line in told(site, {"ranks": 1}, launcher))


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        (
            "20.11",
            {"pinning": "jobs are held to their cores (TaskPlugin=task/affinity,task/cgroup)"},
        ),
        ("20.11", {"Slurm's CPUs": "hardware threads (CR_CORE_MEMORY)", "preemption": "none"}),
        (
            "20.11",
            {"time limits": "batch 2-00:00:00 (the default)", "memory of jobs": "shared out"},
        ),
        ("21.08", {"preemption": "preempt/qos, PreemptMode=CANCEL"}),
        ("22.05", {"Slurm's CPUs": "cores (CR_CPU_MEMORY)"}),
        ("22.05", {"accounts": "accounting_storage/slurmdbd"}),
        ("23.02", {"memory of jobs": "not shared out", "preemption": "none"}),
        ("24.11", {"accounts": "none: Slurm forgets jobs 300 s after their end (MinJobAge)"}),
        ("24.11", {"pinning": "jobs are not held to their cores (TaskPlugin=task/cgroup)"}),
    ],
)
def test_what_a_site_says_to_everybody(site, expected):
    assert expected.items() <= dict(facts_of(SITES[site].read())).items()


def test_what_few_sites_have_is_said():
    said = dict(facts_of(WHOLE.read()))["this site"]
    for words in ("JobRequeue=0", "UsePAM", "JobSubmitPlugins=lua", "use_interactive_step"):
        assert words in said
    assert "UsePAM" not in dict(facts_of(SMALL.read()))["this site"]


PIECES = [line for site in SITES.values() for text in site for line in text.splitlines()]
WORDS = sorted({word for line in PIECES for word in re.split(r"[ |=]", line)})
ANY_LINE = st.one_of(
    st.sampled_from(PIECES),
    st.text(max_size=40),
    st.builds("{}={}".format, st.sampled_from(WORDS), st.sampled_from(WORDS)),
    st.builds("PartitionName=main {}={}".format, st.sampled_from(WORDS), st.sampled_from(WORDS)),
    st.lists(st.sampled_from(WORDS), min_size=7, max_size=7).map("|".join),
    st.lists(st.sampled_from(WORDS), min_size=5, max_size=5).map("|".join),
)
ANY_TEXT = st.lists(ANY_LINE, max_size=12).map("\n".join)


@settings(max_examples=200, deadline=None)
@given(site=st.builds(Site, *[ANY_TEXT] * 5), wanted=st.sampled_from([case[1] for case in CASES]))
def test_no_text_is_too_odd(site, wanted):
    config = site.read()
    assert all(map(str, remarks_of(Case(config, Request("x", "/x", **wanted), SRUN))))
    assert dict(facts_of(config))


def test_amounts_of_memory():
    given = ["2048", "2048M", "2G", "1T", "1024K", "0", "much", ""]
    assert [megabytes(text) for text in given] == [2048, 2048, 2048, 2**20, 1, 0, None, None]


def site_programs(folder, site: Site) -> None:
    """Put programs into a folder that print what a site's do."""
    answers = {
        "scontrol": f'case "$*" in *config*) cat <<"E"\n{site.config}\nE\n;; *) cat <<"E"\n'
        f"{site.partition}\nE\n;; esac",
        "sinfo": f'cat <<"E"\n{site.nodes}\nE',
        "sacctmgr": f'case "$*" in *qos*) cat <<"E"\n{site.qos}\nE\n;; *) cat <<"E"\n'
        f"{site.associations}\nE\n;; esac",
    }
    for name, text in answers.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)


def test_the_programs_are_asked(tmp_path, monkeypatch):
    site_programs(tmp_path, QOS)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin:/bin")
    wanted = Request("x", "/x", time="13:00:00", account="lab", memory="1G")
    lines = Slurm().remarks(wanted, "mpirun")
    assert lines == remarks_of(Case(QOS.read(), wanted, "mpirun"))
    assert dict(facts()) == dict(facts_of(QOS.read()))


@pytest.mark.parametrize("program", ["", "exit 1", "kill -9 $$", "echo '||||||'", "echo = ="])
def test_programs_that_say_nothing_of_use_are_no_error(tmp_path, monkeypatch, program):
    for name in ("scontrol", "sinfo", "sacctmgr"):
        if program:
            (tmp_path / name).write_text(f"#!/bin/sh\n{program}\n")
            (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin:/bin")
    assert all(map(str, Slurm().remarks(Request("x", "/x"), "mpirun")))
    assert all(map(str, dict(facts())))
