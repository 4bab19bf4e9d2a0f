import math
import os
import subprocess
import time

import pytest
from fake_slurm import JOB, FakeSlurm, account, job

from mpipar.base.errors import BadInput
from mpipar.batch.job_state import state_of
from mpipar.batch.scheduler import AccountsUnavailable, SchedulerUnavailable, SubmitRefused
from mpipar.batch.slurm import calls, sbatch, scancel, scontrol
from mpipar.batch.slurm.records import records
from mpipar.batch.slurm.squeue import nodes, states
from mpipar.batch.slurm.states import STATES, exit_code_of
from mpipar.batch.task_numbers import ranges, tasks_of
from mpipar.batch.walltime import seconds_of


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setattr(calls, "_away_at", -math.inf)
    return FakeSlurm(tmp_path / "bin", monkeypatch)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """On a busy machine the fake's programs take as long as a controller that is away."""
    monkeypatch.setattr(calls, "_SOON", 30.0)


def test_all_jobs_are_asked_for_in_one_call(fake):
    fake.set(
        queue={
            "1": job(),
            "2": job(State="PENDING", Reason="Priority", NodeList=""),
            "3": job(RestartCnt="2"),
        }
    )
    found = states(["1", "2", "3", "1"])
    assert len(fake.calls) == 1
    assert "--jobs=1,2,3" in fake.calls[0]
    assert (found["1"].kind, found["1"].nodes, found["1"].elapsed, found["1"].limit) == (
        "running",
        "n[1-2]",
        600.0,
        3600.0,
    )
    assert (found["2"].kind, found["2"].reason, found["2"].nodes) == ("waiting", "Priority", "")
    assert found["3"].restarts == 2
    assert states([]) == {}
    assert len(fake.calls) == 1


def test_accounts_are_asked_for_what_the_controller_has_forgotten(fake):
    fake.set(
        queue={"3": job()},
        accounts={
            "1": account(),
            "2": account(State="CANCELLED by 1000", ExitCode="0:15", TimelimitRaw="UNLIMITED"),
            "3": account(State="FAILED"),
        },
    )
    found = states(["1", "2", "3", "4"])
    assert [call[0] for call in fake.calls] == ["squeue", "sacct"]
    assert "--jobs=1,2,4" in fake.called("sacct")[0]
    assert (found["1"].good, found["1"].elapsed, found["1"].limit, found["1"].end) == (
        True,
        61,
        3600,
        1700000061,
    )
    assert (found["2"].state, found["2"].exit_code, found["2"].limit) == ("CANCELLED", 143, None)
    assert found["3"].state == "RUNNING"
    assert "4" not in found


def test_accounts_that_do_not_answer_have_not_forgotten(fake):
    away = [1, "", "sacct: error: Problem talking to the database: Connection refused\n"]
    fake.set(queue={"3": job()}, said={"sacct": away})
    with pytest.raises(AccountsUnavailable, match=r"^sacct: Problem talking to the da") as raised:
        states(["1", "3"])
    assert raised.value.found.keys() == {"3"}
    assert states(["3"]).keys() == {"3"}
    fake.set(down=True, said={"sacct": away})
    with pytest.raises(SchedulerUnavailable, match=r"^squeue: Unable to contact"):
        states(["1"])


def test_the_heading_of_a_cluster_that_was_chosen_is_left_out(fake):
    between = "~"
    text = "CLUSTER: c\n" + "~".join(["12", *JOB.values()]) + "~\nCLUSTER: d\n"
    found = list(records(text, between, ("id", *JOB)))
    assert len(found) == 1
    assert (found[0]["id"], found[0]["State"]) == ("12", "RUNNING")


def test_what_nobody_remembers_is_absent(fake):
    assert states(["7"]) == {}
    assert states(["7", "8"]) == {}
    assert len(fake.calls) == 4


def test_tasks_of_arrays(fake):
    fake.set(
        queue={"5_2": job(), "5_3": job(State="PENDING"), "5": job(State="CANCELLED")},
        accounts={
            "5_1": account(),
            "5_2": account(State="FAILED"),
            "5_[7-8,10%2]": account(State="CANCELLED by 0"),
        },
    )
    found = states(["5"])
    assert len(fake.calls) == 2
    assert {id: state.state for id, state in found.items()} == {
        "5": "CANCELLED",
        "5_1": "COMPLETED",
        "5_2": "RUNNING",
        "5_3": "PENDING",
        "5_7": "CANCELLED",
        "5_8": "CANCELLED",
        "5_10": "CANCELLED",
    }
    assert state_of(found, "5", "2").state == "RUNNING"
    assert state_of(found, "5", "99").state == "CANCELLED"
    assert states(["5_2"]).keys() == {"5_2"}
    assert len(fake.calls) == 3


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "a|b~x",
        "a\n9~x~RUNNING~x~\nb",
        "π\n",
        "",
        "x\udcff",
        "1 \n1\n2_3\n",
        "JobId=3 JobState=FAILED",
    ],
)
def test_hostile_names(fake, name):
    fake.set(
        queue={"1": job(Name=name), "2": job(Name="b")},
        accounts={"3": account(JobName=name), "4": account()},
    )
    found = states(["1", "2", "3", "4"])
    assert found.keys() == {"1", "2", "3", "4"}
    shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    assert found["1"].name.strip() == found["3"].name.strip() == shown.strip()
    assert found["2"].name == "b"


@pytest.mark.parametrize(
    "text", ["garbage", "1~2~3\n4|5", "\0\0\n\n", "JOBID STATE\n1 RUNNING\n", "\udcff\udcfe" * 99]
)
def test_garbage_is_left_out(fake, text):
    fake.set(said={"squeue": [0, text, ""], "sacct": [0, text, ""]})
    assert states(["1", "2"]) == {}


def test_a_controller_that_is_down(fake):
    fake.set(down=True)
    with pytest.raises(
        SchedulerUnavailable,
        match=r"^squeue: Unable to contact slurm controller \(connect failure\)$",
    ):
        states(["1"])
    with pytest.raises(SchedulerUnavailable, match="scancel: Unable to contact"):
        scancel.cancel(["1"])
    fake.set(down=True, accounts={"1": account()})
    assert states(["1"])["1"].good


def test_a_program_that_fails_without_a_word_is_an_error(fake):
    fake.set(said={"squeue": [1, "", ""]})
    with pytest.raises(SchedulerUnavailable, match="squeue: exit code 1"):
        states(["1"])


def test_no_slurm_on_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for call in (
        lambda: states(["1"]),
        lambda: scancel.cancel(["1"]),
        lambda: sbatch.submit(["job"]),
    ):
        with pytest.raises(SchedulerUnavailable, match=r"there is no s[a-z]+ on this machine"):
            call()


def test_a_program_that_does_not_answer(fake, monkeypatch):
    (fake.folder / "squeue").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(calls.ask, "__kwdefaults__", {"timeout": 0.2})
    fake.set(said={"scontrol": [0, "Slurmctld(primary) at ctl is UP\n", ""]})
    with pytest.raises(SchedulerUnavailable, match=r"has not answered for 0\.2 s"):
        states(["1"])


def test_the_nodes_of_a_job_are_known_or_not(fake):
    listed = {
        "12": job(JobID="12", NodeList="n1,gpu07"),
        "13": job(JobID="13", NodeList="n[1-2]"),  # this scontrol can't tell which
        "14_3": job(JobID="14_3", NodeList="n2", Name="a\nb"),
    }
    fake.set(queue=listed)
    found = [nodes(id) for id in ("12", "13", "14_3", "15")]
    assert found == [{"n1", "gpu07"}, set(), {"n2"}, set()]
    fake.set(queue=listed, down=True)
    assert nodes("12") == set()


def test_lists_of_tasks_are_asked_for_whole(fake):
    states(["1"])
    assert {each["SLURM_BITSTR_LEN"] for each in fake.environments} == {"0"}


def test_a_controller_that_is_away_is_not_waited_for(fake, monkeypatch):
    """Slurm's programs try for some ten seconds."""
    monkeypatch.setattr(calls, "_SOON", 0.7)
    (fake.folder / "squeue").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    fake.set(
        said={"scontrol": [1, "Slurmctld(primary) at ctl is DOWN\n", ""]}, accounts={"2": account()}
    )
    for _ in range(3):
        with pytest.raises(SchedulerUnavailable, match="Slurm's controller doesn't answer"):
            states(["1"])
    assert states(["2"])["2"].good


def test_the_environment_has_nothing_of_a_job(fake, monkeypatch):
    for name in (
        "SLURM_JOB_ID",
        "SLURM_NTASKS",
        "SBATCH_X",
        "SRUN_CPUS",
        "PMI_RANK",
        "SQUEUE_FORMAT",
        "SLURM_JWT",
    ):
        monkeypatch.setenv(name, "5")
    monkeypatch.setenv("SLURM_CONF", "/etc/other.conf")
    assert scontrol.cluster() == "/etc/other.conf"
    found = calls.environment()
    assert (found["SLURM_CONF"], found["SLURM_JWT"]) == ("/etc/other.conf", "5")
    assert not found.keys() & {
        "SLURM_JOB_ID",
        "SLURM_NTASKS",
        "SBATCH_X",
        "SRUN_CPUS",
        "SQUEUE_FORMAT",
    }
    assert "PMI_RANK" in found  # a user's, without a launcher
    monkeypatch.setenv("PMI_SIZE", "2")
    assert not calls.environment().keys() & {"PMI_RANK", "PMI_SIZE"}
    states(["1"])
    assert fake.environments[0]["SLURM_TIME_FORMAT"] == "%s"
    assert "SLURM_JOB_ID" not in fake.environments[0]
    monkeypatch.delenv("SLURM_JOB_ID")
    assert calls.environment()["SBATCH_X"] == "5"  # the user's own


def test_cancel(fake):
    fake.set(queue={"1": job(), "2": job(State="PENDING")})
    scancel.cancel(["1", "2"], signal="TERM", batch=True)
    assert fake.called("scancel") == [["--batch", "--signal=TERM", "--state=RUNNING", "1", "2"]]
    scancel.cancel(["1", "2"], only="PENDING")
    assert {id: fields["State"] for id, fields in fake.state["queue"].items()} == {
        "1": "RUNNING",
        "2": "CANCELLED",
    }
    scancel.cancel(["1"])
    assert fake.called("scancel")[-1] == ["1"]


def test_a_task_whose_array_has_others_that_wait_is_signalled_once(fake, monkeypatch):
    monkeypatch.setattr(scancel, "_SIGNAL_SECONDS", 2.0)
    fake.set(queue={"1_1": job(), "1_2": job(), "1_3": job(State="PENDING")})
    scancel.cancel(["1_1", "1_1"], signal="TERM", batch=True)
    time.sleep(5)
    assert fake.called("scancel") == [["--batch", "--signal=TERM", "--state=RUNNING", "1_1"]]


@pytest.mark.parametrize("code", [228, 229])
def test_a_signal_that_slurm_delivers_and_is_not_content_with(fake, code):
    fake.set(said={"scancel": [code, "", ""]})
    scancel.cancel(["1_1"], signal="TERM", batch=True)
    fake.set(
        said={
            "scancel": [1, "", "scancel: error: 1_1: Job can not be altered now, try again later\n"]
        }
    )
    scancel.cancel(["1_1"], signal="TERM", batch=True)
    fake.set(
        said={
            "scancel": [
                1,
                "",
                "scancel: error: Kill job error on job id 1_1: Access/permission denied\n",
            ]
        }
    )
    with pytest.raises(SchedulerUnavailable, match="denied"):
        scancel.cancel(["1_1"], signal="TERM", batch=True)
    fake.set(said={"scancel": [code, "", ""]})
    with pytest.raises(SchedulerUnavailable, match="without a message"):
        scancel.cancel(["1_1"])


def test_many_tasks_are_signalled_though_scancel_is_stopped(fake, monkeypatch):
    monkeypatch.setattr(scancel, "_SIGNAL_SECONDS", 2.0)
    fake.set(queue={**{f"1_{task}": job() for task in range(25)}, "1_99": job(State="PENDING")})
    scancel.cancel((f"1_{task}" for task in range(25)), signal="TERM")
    assert [id for call in fake.called("scancel") for id in call[2:]] == [
        f"1_{task}" for task in range(25)
    ]


def test_the_name_of_the_cluster_is_asked_for_once(fake, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", "/etc/own.conf")
    fake.set(name="big-1")
    assert scontrol.cluster() == "big-1"
    fake.set(down=True)
    assert scontrol.cluster() == "big-1"
    monkeypatch.setenv("SLURM_CONF", "/etc/other.conf")
    assert scontrol.cluster() == "/etc/other.conf"


@pytest.mark.parametrize("inside", [False, True])
def test_no_job_becomes_an_array_by_the_environment(fake, monkeypatch, inside):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if inside:
        monkeypatch.setenv("SLURM_JOB_ID", "5")
    for name in ("SBATCH_ARRAY_INX", "SBATCH_WAIT"):
        monkeypatch.setenv(name, "1-3")
    assert not calls.environment().keys() & {"SBATCH_ARRAY_INX", "SBATCH_WAIT"}


def test_a_job_whose_files_slurm_could_not_open(fake):
    fake.set(
        queue={
            "1": job(State="FAILED", exit_code="4021"),
            "2": job(State="FAILED", exit_code=str(181 << 8)),
        },
        accounts={"3": account(State="FAILED", ExitCode="0:53")},
    )
    found = states(["1", "2", "3"])
    for id in "13":
        assert found[id].exit_code is None
        assert "could not open its log" in found[id].words
    assert (found["2"].exit_code, found["2"].words) == (181, "failed")


def test_cancelling_what_has_ended_is_no_error(fake):
    fake.set(
        said={
            "scancel": [
                1,
                "",
                "scancel: error: Kill job error on job id 9: Invalid job id specified\n",
            ]
        }
    )
    scancel.cancel(["9"])
    fake.set(
        said={
            "scancel": [
                1,
                "",
                "scancel: error: Kill job error on job id 9: Access/permission denied\n",
            ]
        }
    )
    with pytest.raises(SchedulerUnavailable, match="Access/permission denied"):
        scancel.cancel(["9"])


PRINTED = [
    "12\n",
    "12;mycluster\n",
    "a banner of the site\n12\n",
    "12\n\n3 hours are left of your 500\n",
    "\x1b[1;32m12;c\x1b[0m\r\n\x1b[1mthank you\x1b[0m\n",
    "Submitted batch job 12\n",
    "Submitted batch job 12 on cluster c\n",
]


@pytest.mark.parametrize("printed", PRINTED)
@pytest.mark.parametrize("said", ["", "sbatch: your account has 3 hours left\n"])
def test_submit(fake, printed, said):
    fake.set(said={"sbatch": [0, printed, said]})
    accepted = sbatch.submit(["--ntasks=2", "job.sbatch", "a b"])
    assert accepted == ("12", said.strip())
    assert fake.called("sbatch") == [["--parsable", "--ntasks=2", "job.sbatch", "a b"]]


def test_a_job_that_is_refused(fake):
    said = (
        "sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed:"
        " Invalid partition\n"
    )
    fake.set(said={"sbatch": [1, "", said]})
    expected = (
        "^sbatch: invalid partition specified: x; Batch job submission failed: Invalid partition$"
    )
    with pytest.raises(SubmitRefused, match=expected):
        sbatch.submit(["job.sbatch"])
    with pytest.raises(SubmitRefused, match=expected):
        sbatch.test(["job.sbatch"])


@pytest.mark.parametrize(
    ("code", "printed", "said", "told"),
    [
        (0, "", "", "sbatch printed no number of a job, and ended with 0: the job may have been"),
        (0, "thank you\n", "slow\n", r"no number of a job, and ended with 0 \(slow\): the job may"),
        (0, "12\n13\n", "", "sbatch printed 12 and 13, and ended with 0: the job may have been"),
        (3, "12\n", "it failed\n", r"printed 12, and ended with 3 \(it failed\): the job may have"),
    ],
)
def test_a_job_that_may_have_been_submitted_is_not_said_to_be_refused(
    fake, code, printed, said, told
):
    fake.set(said={"sbatch": [code, printed, said]})
    with pytest.raises(SchedulerUnavailable, match=told):
        sbatch.submit(["job.sbatch"])


@pytest.mark.parametrize("ask", [sbatch.submit, sbatch.test])
def test_an_array_that_is_too_large_is_told_the_limit(fake, ask):
    said = "sbatch: error: Batch job submission failed: Invalid job array specification\n"
    config = "SlurmctldPort = 6817\nMaxArraySize            = 1001\nMaxJobCount = 10000\n"
    fake.set(said={"sbatch": [1, "", said], "scontrol": [0, config, ""]})
    with pytest.raises(
        SubmitRefused, match=r"MaxArraySize is 1001: array\.tasks may be 1000 at most"
    ):
        ask(["--array=1-2000", "job.sbatch"])
    fake.set(said={"sbatch": [1, "", said], "scontrol": [1, "", "no"]})
    with pytest.raises(SubmitRefused, match=r"Invalid job array specification$"):
        ask(["--array=1-2000", "job.sbatch"])


@pytest.mark.parametrize("ask", [sbatch.submit, sbatch.test])
@pytest.mark.parametrize(
    ("variables", "refusal"),
    [
        ({"SBATCH_CLUSTERS": "other"}, "set SLURM_CLUSTERS instead"),
        ({"SBATCH_CLUSTERS": "a", "SLURM_CLUSTERS": "b"}, "set SLURM_CLUSTERS instead"),
        ({"SLURM_CLUSTERS": "a,b"}, "expected one cluster, got 'a,b'"),
        ({"SLURM_CLUSTERS": "all"}, "expected one cluster, got 'all'"),
        ({"SBATCH_CLUSTERS": "a", "SLURM_CLUSTERS": "a"}, ""),
        ({"SLURM_CLUSTERS": "other"}, ""),
    ],
)
def test_a_job_goes_to_the_cluster_that_is_asked_of_it_later(
    fake, monkeypatch, ask, variables, refusal
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    fake.set(said={"sbatch": [0, "12\n", "sbatch: it would start\n"]})
    if refusal:
        with pytest.raises(BadInput, match=refusal):
            ask(["job.sbatch"])
        assert fake.called("sbatch") == []
    else:
        assert ask(["job.sbatch"])


@pytest.mark.parametrize("ask", [sbatch.submit, sbatch.test])
def test_a_controller_that_is_away_has_refused_nothing(fake, ask):
    said = (
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect"
        " failure)\n"
    )
    fake.set(said={"sbatch": [1, "", said]})
    with pytest.raises(SchedulerUnavailable, match="Unable to contact slurm controller"):
        ask(["job.sbatch"])


def test_only_a_test(fake):
    fake.set(said={"sbatch": [0, "", "sbatch: Job 10 to start at 3047-08-28 using 1 processors\n"]})
    assert sbatch.test(["job.sbatch"]) == "Job 10 to start at 3047-08-28 using 1 processors"
    assert fake.called("sbatch") == [["--test-only", "job.sbatch"]]


def test_numbers_as_slurm_prints_them():
    assert [seconds_of(text) for text in ("0:05", "10:00", "1:00:00", "2-01:00:00")] == [
        5,
        600,
        3600,
        176400,
    ]
    assert {seconds_of(text) for text in ("UNLIMITED", "INVALID", "", "NOT_SET", "1:2:3:4")} == {
        None
    }
    assert [exit_code_of("FAILED", text) for text in ("768", "3:0", "0:9", "9", "x")] == [
        3,
        3,
        137,
        137,
        None,
    ]
    assert exit_code_of("RUNNING", "0") is None


def test_tasks_as_sbatch_takes_them():
    assert tasks_of("1-5:2,9%2") == ["1", "3", "5", "9"]
    assert tasks_of("3,7") == ["3", "7"]
    assert tasks_of("") == tasks_of("1-") == tasks_of("x") == []


@pytest.mark.parametrize("text", ["", "5", "1-3", "1-3,7", "1,3,5-6"])
def test_ranges(text):
    numbers = [int(task) for task in tasks_of(text)]
    assert ranges(reversed(numbers + numbers)) == text


def test_every_state_has_a_kind_and_a_new_one_is_not_taken_for_ended(fake):
    assert {meaning.kind for meaning in STATES.values()} == {"waiting", "running", "ended"}
    assert [name for name, meaning in STATES.items() if meaning.good] == ["COMPLETED"]
    fake.set(queue={"1": job(State="NEW_STATE")})
    state = states(["1"])["1"]
    assert (state.kind, state.ended, state.good, state.words) == (
        "running",
        False,
        False,
        "new state",
    )


@pytest.mark.parametrize("ask", [scontrol.requeue, scontrol.end])
def test_a_job_outlives_an_answer_in_another_encoding(fake, ask):
    for program in ("scontrol", "scancel"):
        said = "#!/bin/sh\nprintf 'error: refus\\351\\n' >&2\nexit 1\n"
        (fake.folder / program).write_text(said)
    assert ask("1").problem == "error: refus\N{REPLACEMENT CHARACTER}"


def test_programs_have_no_input(fake):
    (fake.folder / "squeue").write_text("#!/bin/sh\nread line\necho $line\n")
    assert states(["1", "2"]) == {}


def test_the_fake_is_what_is_called(fake):
    assert (
        subprocess.run(
            ["squeue", "--jobs=1", "--Format=Name:x"], check=False, capture_output=True
        ).returncode
        == 1
    )
    assert os.listdir(fake.folder)
