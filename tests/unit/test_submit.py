import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from fake_sbatch import FakeSlurm, job_environment

from mpipar.batch import record
from mpipar.batch.task_numbers import ranges
from mpipar.runtime import journal

PI = "[run]\ndriver = 'pi'\noptions.steps = 1e6\n"
SCRIPT = "[run]\nscript = 'ok.py'\n"


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    slurm = FakeSlurm(tmp_path, monkeypatch)
    slurm.file("ok.py", "")
    slurm.file("script.toml", SCRIPT)
    slurm.file("pi.toml", PI)
    monkeypatch.setenv("XDG_STATE_HOME", slurm.environment["XDG_STATE_HOME"])
    return slurm


def left(slurm: FakeSlurm) -> set[str]:
    return {path.name for path in slurm.work.iterdir()} - {"ok.py", "script.toml", "pi.toml"}


def options(slurm: FakeSlurm) -> list[str]:
    """Return the options of the last call of sbatch, but for --parsable."""
    words = slurm.calls("sbatch")[-1].arguments
    assert words[0] == "--parsable"
    return words[1 : next(index for index, word in enumerate(words) if not word.startswith("-"))]


def test_a_job_is_submitted_and_its_folder_and_record_written(slurm):
    ended = slurm.submit("pi.toml", "--set", "run.options.steps=2e6", "--nodes", "2")
    folder = slurm.work / "runs/pi"
    assert (ended.code, ended.stdout) == (0, "42\n"), ended.stderr
    assert (
        ended.stderr
        == f"mpipar submit: job 42 (pi) in {folder}\nmpipar submit: it evaluates 2_000_000 items in"
        " 31 blocks of 65_536\n"
    )
    step = [
        sys.executable,
        "-m",
        "mpipar.batch.step",
        "--name",
        "pi",
        "--folder",
        str(folder),
        "--attempts",
        "3",
        "--",
    ]
    program = ["-m", "mpipar.pi", "--steps=2000000", f"--output={folder}/pi.h5", "--resume"]
    given = [
        "--job-name=pi",
        f"--output={folder}/pi-%j.out",
        "--open-mode=append",
        "--signal=B:USR1@120",
        "--requeue",
    ]
    given += ["--nodes=2", "--ntasks-per-node=1"]
    command = [*given, f"{folder}/job.sbatch", *step, *program]
    assert [call.arguments for call in slurm.calls("sbatch")] == [["--parsable", *command]]
    assert sorted(path.name for path in folder.iterdir()) == [
        "job.sbatch",
        "job.toml",
        "submissions.jsonl",
    ]
    assert (folder / "job.toml").read_text() == PI
    (submission,) = record.of_folder(folder)
    assert (submission.id, submission.name, submission.cluster, submission.folder) == (
        "42",
        "pi",
        "",
        str(folder),
    )
    assert (submission.outputs, submission.tasks) == ({"": f"{folder}/pi.h5"}, "")
    assert submission.command == ["sbatch", *command]
    assert submission.overrides == ["run.options.steps=2e6", "resources.nodes=2"]
    assert record.of_id("42", "") == submission


def test_a_job_that_is_in_the_queue_is_not_submitted_again_unless_by_force(slurm):
    assert slurm.submit("script.toml").stdout == "42\n"
    for state in ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "SOMETHING_NEW"):
        slurm.queue(_42=state)
        ended = slurm.submit("script.toml")
        assert (ended.code, ended.stdout) == (2, "")
        folder = slurm.work / "runs/script"
        assert (
            ended.stderr
            == f"mpipar submit: error: {folder}: job 42 ({state}) has this output already; "
            "--force submits it all the same\n"
        )
    assert len(slurm.calls("sbatch")) == 1
    assert slurm.submit("script.toml", "--force").stdout == "43\n"
    slurm.queue(_42="FAILED", _43="TIMEOUT")
    assert slurm.submit("script.toml").stdout == "44\n"
    assert [one.id for one in record.of_folder(slurm.work / "runs/script")] == ["42", "43", "44"]


def test_another_output_folder_is_another_job(slurm):
    assert slurm.submit("script.toml").stdout == "42\n"
    slurm.queue(_42="RUNNING")
    assert slurm.submit("script.toml", "--set", "output.folder=other").stdout == "43\n"


def test_dry_run_shows_all_and_makes_nothing(slurm):
    ended = slurm.submit("pi.toml", "--dry-run", "--set", "output.folder=a/b c")
    assert (ended.code, ended.stderr) == (0, "")
    folder = slurm.work / "a/b c"
    assert ended.stdout.startswith(f"# {folder}/job.sbatch\n#!/bin/bash\n")
    assert 'exec "$@"\n' in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("sbatch --job-name=pi ")
    assert f"'{folder}/job.sbatch'" in ended.stdout
    assert left(slurm) == set()
    assert slurm.calls("sbatch") == []
    assert not (slurm.folder / "state/mpipar").exists()


def test_dry_run_as_json_is_what_would_be_submitted(slurm):
    ended = slurm.submit("pi.toml", "--dry-run", "--json")
    assert (ended.code, ended.stderr) == (0, "")
    told = json.loads(ended.stdout)
    folder = slurm.work / "runs/pi"
    assert (told["name"], told["folder"]) == ("pi", str(folder))
    assert (told["tasks"], told["finished"], told["problems"]) == (None, False, [])
    assert told["path"] == f"{folder}/job.sbatch"
    assert 'exec "$@"\n' in told["script"]
    assert "--job-name=pi" in told["options"]
    assert told["command"] == ["sbatch", *told["options"], told["path"], *told["arguments"]]
    assert told["driver"]["driver"] == "pi"
    assert told["driver"]["n_blocks"] == -(-told["driver"]["n"] // told["driver"]["block"])
    as_text = slurm.submit("pi.toml", "--dry-run").stdout
    assert as_text == f"# {told['path']}\n{told['script']}\n# the command\n" + (
        f"{shlex.join(told['command'])}\n"
    )
    script = json.loads(slurm.submit("script.toml", "--dry-run", "--json").stdout)
    assert script["driver"] is None
    assert slurm.calls("sbatch") == []
    assert left(slurm) == set()


@pytest.mark.parametrize(
    ("arguments", "option", "what"),
    [
        (["--set", "run.options.steps=-3"], "--steps", "expected a whole number from 1 on, got -3"),
        (["--after", "x"], "--after", "expected the number of a job, got 'x'"),
        (["--wiat"], "", "unrecognized arguments: --wiat; did you mean --wait, --site, --after?"),
        (["--ranks", "0"], "resources.ranks", "expected a whole number from 1 to 10000000, got 0"),
    ],
)
def test_dry_run_as_json_tells_problems(slurm, arguments, option, what):
    ended = slurm.submit("pi.toml", "--dry-run", "--json", *arguments)
    assert ended.code == 2
    (problem,) = json.loads(ended.stdout)["problems"]
    assert ended.stderr == f"mpipar submit: error: {problem['message']}\n"
    assert problem["option"] == option
    assert problem["what"] == what
    assert left(slurm) == set()


def test_json_is_for_dry_runs(slurm):
    ended = slurm.submit("pi.toml", "--json")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == "mpipar submit: error: argument --json: needs --dry-run\n"


def test_check_asks_slurm_and_submits_nothing(slurm):
    ended = slurm.submit("pi.toml", "--check")
    assert (ended.code, ended.stdout) == (0, "Job 1 to start at noon\n"), ended.stderr
    (call,) = slurm.calls("sbatch")
    assert "--test-only" in call.arguments
    assert left(slurm) == set()
    slurm.refuse(
        "sbatch", "sbatch: error: Batch job submission failed: Invalid partition name specified\n"
    )
    ended = slurm.submit("pi.toml", "--check")
    assert (ended.code, ended.stdout) == (2, "")
    assert (
        ended.stderr
        == "mpipar submit: error: sbatch: Batch job submission failed: Invalid partition name"
        " specified\n"
    )
    assert left(slurm) == set()


def test_a_job_may_begin_after_others(slurm):
    slurm.queue(_7="RUNNING", _8="COMPLETED")
    assert slurm.submit("script.toml", "--after", "7", "--after", "8").stdout == "42\n"
    assert options(slurm)[-2:] == ["--dependency=afterok:7:8", "--kill-on-invalid-dep=yes"]


@pytest.mark.parametrize(
    ("other", "told"), [("8", "has not ended well: FAILED"), ("9", "knows no job 9")]
)
def test_a_job_does_not_wait_for_what_will_not_end_well(slurm, other, told):
    slurm.queue(_7="RUNNING", _8="FAILED")
    ended = slurm.submit("script.toml", "--after", "7", "--after", other)
    assert (ended.code, ended.stdout) == (2, "")
    assert told in ended.stderr
    assert slurm.calls("sbatch") == []


def test_a_script_with_other_arguments_is_another_job(slurm):
    assert slurm.submit("script.toml").stdout == "42\n"
    (submission,) = record.of_folder(slurm.work / "runs/script")
    journal.append(submission.journal(), journal.NEXT, what="exit", code=0)
    assert "is finished; nothing is submitted" in slurm.submit("script.toml").stderr
    assert slurm.submit("script.toml", "--set", "run.arguments=[3000]").stdout == "43\n"


@pytest.mark.parametrize(
    ("time", "warning"),
    [
        ("", 120),
        ("10", 120),
        ("2", 30),
        ("1", 15),
        ("0:30", 10),
        ("4:00", 60),
        ("1:00:00", 120),
        ("1-0", 120),
    ],
)
def test_a_short_job_is_warned_late_enough(slurm, time, warning):
    assert slurm.submit("script.toml", *(["--time", time] if time else [])).code == 0
    assert f"--signal=B:USR1@{warning}" in options(slurm)
    late = slurm.submit("script.toml", "--time", "1", "--set", "restart.warn=60")
    assert late.code == 2
    assert "restart.warn: expected less than the time limit, which is 60 s, got 60" in late.stderr


@pytest.mark.parametrize(("folder", "made"), [("~/there", "there"), ("$SOMEWHERE/x", "else/x")])
def test_folders_may_be_named_by_variables(slurm, folder, made, monkeypatch):
    monkeypatch.setenv("HOME", str(slurm.work))
    monkeypatch.setenv("SOMEWHERE", str(slurm.work / "else"))
    slurm.environment.update(HOME=str(slurm.work), SOMEWHERE=str(slurm.work / "else"))
    assert slurm.submit("script.toml", "--set", f"output.folder={folder}").code == 0
    assert (slurm.work / made / "job.toml").exists()
    ended = slurm.submit("script.toml", "--set", "output.folder=$NOWHERE/x")
    assert ended.code == 2
    assert "output.folder: names a variable that is not set" in ended.stderr


@pytest.mark.parametrize(
    ("state", "code"), [("COMPLETED", 0), ("FAILED", 1), ("CANCELLED", 1), ("TIMEOUT", 1)]
)
def test_wait_tells_how_it_ended(slurm, state, code):
    slurm.queue(_42=state)
    ended = slurm.submit("script.toml", "--wait")
    assert (ended.code, ended.stdout) == (code, "42\n")
    assert ended.stderr.endswith(f"mpipar submit: job 42: {state}\n")


def test_wait_for_an_array_wants_all_tasks(slurm):
    slurm.file("array.toml", SCRIPT + "[array]\ntasks = 2\n")
    slurm.queue("array", _42_1="COMPLETED", _42_2="FAILED")
    ended = slurm.submit("array.toml", "--wait")
    assert ended.code == 1
    assert "job 42: COMPLETED, FAILED" in ended.stderr


def test_all_resources_become_options(slurm):
    text = """
        [resources]
        nodes = 2
        ranks_per_node = 3
        workers = 2
        memory = "4G"
        time = "1-00:00:00"
        partition = "p"
        account = "a"
        gpus_per_node = 1
        sbatch = { qos = "high", exclusive = true, nice = 0, comment = "a 'b' $(c)" }
        [restart]
        requeue = false
        warn = 60
        lost_nodes = "go-on"
        """
    slurm.file("all.toml", SCRIPT + text + "[output]\nfolder = 'out'\n")
    assert slurm.submit("all.toml").stdout == "42\n"
    assert sorted(options(slurm)) == sorted(
        [
            *(
                "--job-name=all",
                f"--output={slurm.work}/out/all-%j.out",
                "--open-mode=append",
                "--signal=B:USR1@60",
            ),
            *(
                "--no-requeue",
                "--no-kill",
                "--nodes=2",
                "--ntasks-per-node=3",
                "--cpus-per-task=2",
                "--gpus-per-node=1",
            ),
            *(
                "--mem=4G",
                "--time=1-00:00:00",
                "--partition=p",
                "--account=a",
                "--qos=high",
                "--exclusive",
                "--nice=0",
            ),
            "--comment=a 'b' $(c)",
        ]
    )
    words = slurm.calls("sbatch")[0].arguments
    step = words[words.index("mpipar.batch.step") + 1 : words.index("--")]
    assert step == [
        "--name",
        "all",
        "--folder",
        f"{slurm.work}/out",
        "--attempts",
        "3",
        "--workers",
        "2",
        "--no-requeue",
        "--shrink",
    ]


@pytest.mark.parametrize(
    ("given", "expected", "serial"),
    [
        ([], ["--ntasks-per-node=1"], True),
        (["--nodes", "2"], ["--nodes=2", "--ntasks-per-node=1"], False),
        (["--ranks", "8"], ["--ntasks=8"], False),
        (["--ranks", "1", "--workers", "4"], ["--ntasks=1", "--cpus-per-task=4"], True),
        (["--nodes", "2", "--ranks-per-node", "2"], ["--nodes=2", "--ntasks-per-node=2"], False),
        (["--ranks", "4", "--nodes", "2"], ["--nodes=2", "--ntasks=4"], False),
        (
            ["--nodes", "2", "--workers", "auto"],
            ["--nodes=2", "--ntasks-per-node=1", "--exclusive"],
            False,
        ),
        (
            ["--time", "90", "--partition", "p"],
            ["--ntasks-per-node=1", "--time=90", "--partition=p"],
            True,
        ),
        (
            ["--time", "1:00:00", "--memory", "1G"],
            ["--ntasks-per-node=1", "--mem=1G", "--time=1:00:00"],
            True,
        ),
    ],
)
def test_resources_from_the_command_line(slurm, given, expected, serial):
    assert slurm.submit("script.toml", *given).code == 0
    assert options(slurm)[5:] == expected
    assert ("--serial" in slurm.calls("sbatch")[0].arguments) == serial


def test_the_site_has_defaults_and_the_job_its_own(slurm):
    site = "partition = 'sp'\naccount = 'sa'\nscratch = 's'\npython = 'py'\nprologue = 'X=1'\n"
    site += "sbatch = {qos = 'q', nice = 3}\n"
    slurm.file("site.toml", site)
    slurm.file("own.toml", "resources = {partition = 'jp', sbatch = {qos = 'j'}}\n" + SCRIPT)
    assert slurm.submit("own.toml", "--site", "site.toml").stdout == "42\n"
    folder = slurm.work / "s/runs/own"
    assert options(slurm)[-4:] == ["--partition=jp", "--account=sa", "--qos=j", "--nice=3"]
    words = slurm.calls("sbatch")[0].arguments
    assert words[words.index("-m") - 1] == "py"
    assert words[words.index("--site") + 1] == str(folder / "site.toml"), (
        "nodes may not see the user's own"
    )
    assert (folder / "site.toml").read_text() == site
    assert "\nX=1\n" in (folder / "job.sbatch").read_text()


REFUSAL = (
    "sbatch: error: invalid account\nsbatch: error: Batch job submission failed: Invalid account or"
    " partition\n"
)


def test_what_sbatch_refuses_is_told_and_leaves_nothing(slurm):
    slurm.refuse("sbatch", REFUSAL)
    ended = slurm.submit("script.toml", "--set", "output.folder=a/b/c")
    assert (ended.code, ended.stdout) == (2, "")
    said = "invalid account; Batch job submission failed: Invalid account or partition"
    assert ended.stderr == f"mpipar submit: error: sbatch: {said}\n"
    assert left(slurm) == set()
    assert not (slurm.folder / "state/mpipar").exists()


def test_what_is_refused_with_a_site_leaves_nothing_either(slurm):
    slurm.refuse("sbatch", REFUSAL)
    site = slurm.file("site.toml", "partition = 'x'")
    assert slurm.submit("script.toml", "--site", str(site)).code == 2
    assert left(slurm) == {"site.toml"}


def test_going_on_with_fewer_nodes_needs_a_launcher_that_can(slurm):
    slurm.file("shrink.toml", SCRIPT + "[restart]\nlost_nodes = 'go-on'\n")
    slurm.file("site.toml", "launcher = 'ibrun'")
    ended = slurm.submit("shrink.toml", "--site", "site.toml")
    assert ended.code == 2
    assert ended.stderr.startswith("mpipar submit: error: shrink.toml:4: restart.lost_nodes: ")
    assert slurm.calls("sbatch") == []
    assert slurm.submit("shrink.toml").code == 0


def test_what_was_in_the_folder_before_stays_when_sbatch_refuses(slurm):
    (slurm.work / "out").mkdir()
    slurm.file("out/mine", "x")
    slurm.refuse("sbatch", REFUSAL)
    assert slurm.submit("script.toml", "--set", "output.folder=out").code == 2
    assert (slurm.work / "out/mine").exists()
    assert not (slurm.work / "out/submissions.jsonl").exists()


def test_a_controller_that_is_down_is_no_bad_input(slurm):
    assert slurm.submit("script.toml").code == 0
    slurm.refuse(
        "squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n"
    )
    ended = slurm.submit("script.toml")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    assert "Unable to contact slurm controller" in ended.stderr
    assert len(slurm.calls("sbatch")) == 1


def test_a_machine_without_slurm_is_no_bad_input(slurm):
    for name in ("bin/sbatch", "bin/squeue"):
        (slurm.folder / name).unlink()
    path = os.pathsep.join([str(slurm.folder / "bin"), os.path.dirname(sys.executable)])
    ended = slurm.submit("script.toml", env={"PATH": path})
    assert (ended.code, ended.stdout) == (1, "")
    assert (
        ended.stderr
        == "mpipar submit: there is no sbatch on this machine: Slurm isn't here, or not on the"
        " path\n"
    )
    assert left(slurm) == set()


def run_pi(slurm: FakeSlurm, output: Path, steps: int = 10**6) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    assert (
        slurm.run(sys.executable, "-m", "mpipar.pi", f"--steps={steps}", f"--output={output}").code
        == 0
    )


def test_what_is_finished_is_not_submitted_again(slurm):
    run_pi(slurm, slurm.work / "runs/pi/pi.h5")
    ended = slurm.submit("pi.toml")
    assert (ended.code, ended.stdout) == (0, "")
    assert (
        ended.stderr == f"mpipar submit: {slurm.work}/runs/pi is finished; nothing is submitted\n"
    )
    assert slurm.calls("sbatch") == []
    assert slurm.submit("pi.toml", "--force").stdout == "42\n"


def test_an_output_of_something_else_is_refused_with_the_difference(slurm):
    run_pi(slurm, slurm.work / "runs/pi/pi.h5", steps=10**5)
    for arguments in ([], ["--force"]):
        ended = slurm.submit("pi.toml", *arguments)
        assert (ended.code, ended.stdout) == (2, "")
        assert ended.stderr.count("\n") == 1
        assert "steps" in ended.stderr
        assert "100000" in ended.stderr.replace("_", "")
    assert slurm.calls("sbatch") == []


ARRAY = PI + "[array]\ntasks = 5\nat_once = 2\n"


def test_all_tasks_of_an_array_are_submitted_at_first_and_later_what_is_not_finished(slurm):
    slurm.file("many.toml", ARRAY)
    folder = slurm.work / "runs/many"
    ended = slurm.submit("many.toml")
    assert ended.stdout == "42\n", ended.stderr
    assert "--array=1-5%2" in options(slurm)
    assert f"--output={folder}/many-%A_%a.out" in options(slurm)
    assert f"--output={folder}/pi-{{task}}.h5" in slurm.calls("sbatch")[0].arguments
    (submission,) = record.of_folder(folder)
    assert submission.tasks == "1-5"
    assert submission.outputs == {str(task): f"{folder}/pi-{task}.h5" for task in range(1, 6)}

    for task in (1, 3, 4):
        run_pi(slurm, folder / f"pi-{task}.h5")
    ended = slurm.submit("many.toml")
    assert ended.stdout == "43\n", ended.stderr
    assert "job 43 (many, tasks 2,5)" in ended.stderr
    assert "--array=2,5%2" in options(slurm)
    assert record.of_folder(folder)[-1].outputs.keys() == {"2", "5"}

    assert slurm.submit("many.toml", "--force").stdout == "44\n"
    assert "--array=1-5%2" in options(slurm)
    for task in (2, 5):
        run_pi(slurm, folder / f"pi-{task}.h5")
    ended = slurm.submit("many.toml")
    assert (ended.code, ended.stdout) == (0, "")
    assert "is finished; nothing is submitted" in ended.stderr


def test_tasks_of_a_script_are_finished_if_their_journals_say_so(slurm):
    slurm.file("array.toml", SCRIPT + "arguments = ['{task}']\n[array]\ntasks = 4\n")
    assert slurm.submit("array.toml").stdout == "42\n"
    (submission,) = record.of_folder(slurm.work / "runs/array")
    journal.append(submission.journal("1"), journal.NEXT, what="exit", code=0)
    journal.append(submission.journal("2"), journal.NEXT, what="exit", code=1)
    journal.append(submission.journal("3"), journal.NEXT, what="requeue", code=75)
    journal.append(submission.journal("3"), journal.NEXT, what="exit", code=0)
    assert slurm.submit("array.toml").stdout == "43\n"
    assert "--array=2,4" in options(slurm)
    journal.append(
        record.of_folder(slurm.work / "runs/array")[-1].journal("2"),
        journal.NEXT,
        what="exit",
        code=0,
    )
    assert slurm.submit("array.toml").stdout == "44\n"
    assert "--array=4" in options(slurm)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([1], "1"), ([1, 2], "1-2"), ([1, 2, 3, 7], "1-3,7"), ([2, 4, 5, 9, 10], "2,4-5,9-10")],
)
def test_numbers_of_tasks_in_the_words_of_sbatch(numbers, text):
    assert ranges(numbers) == text


INSIDE = {
    **{
        name: value
        for name, value in job_environment(Path("/")).items()
        if name.startswith("SLURM_")
    },
    "SLURM_CPUS_PER_TASK": "3",
    "SLURM_MEM_PER_NODE": "5",
    "SBATCH_EXPORT": "NONE",
    "SRUN_CPUS_PER_TASK": "3",
    "SQUEUE_FORMAT": "%i",
    "OMPI_COMM_WORLD_SIZE": "1",
    "OMPI_COMM_WORLD_RANK": "0",
    "PMI_FD": "9",
    "PMIX_RANK": "0",
    "HYDI_CONTROL_FD": "7",
    "MPIPAR_JOURNAL": "/nowhere",
}


def test_nothing_of_the_job_that_it_is_called_from_leaks_into_another(slurm):
    env = {**INSIDE, "SLURM_CONF": "/etc/own.conf", "OMP_NUM_THREADS": "5", "MINE": "a\nb"}
    ended = slurm.submit("script.toml", env=env)
    assert ended.stdout == "42\n", ended.stderr
    (call,) = slurm.calls("sbatch")
    assert not INSIDE.keys() & call.environment.keys()
    assert call.environment["SLURM_CONF"] == "/etc/own.conf"
    assert call.environment["OMP_NUM_THREADS"] == "5"
    assert call.environment["MINE"] == "a\nb"
    assert record.of_folder(slurm.work / "runs/script")[0].cluster == "/etc/own.conf"


def test_what_a_user_sets_for_sbatch_outside_of_jobs_is_left(slurm):
    assert slurm.submit("script.toml", env={"SBATCH_ACCOUNT": "mine"}).code == 0
    assert slurm.calls("sbatch")[0].environment["SBATCH_ACCOUNT"] == "mine"


def test_two_submissions_at_a_time_are_one(slurm):
    # The second waits for the folder, and finds the first in the queue then.
    sbatch = slurm.folder / "bin/sbatch"
    row = "42|RUNNING|None|n|1:00|1:00|0|0:0|$EPOCHSECONDS|2|3|script"
    slow = f'sleep 0.5; echo "{row}" > "$here/queue"; number=$(('
    text = sbatch.read_text().replace("number=$((", slow, 1)
    sbatch.write_text(text)
    command = f"{sys.executable} -m mpipar submit script.toml"
    ended = slurm.run(
        "bash",
        "-c",
        f"{command} & first=$!; until ls {slurm.folder}/calls/*.sbatch.args; do sleep 0.01; done "
        f">/dev/null 2>&1; {command}; second=$?; wait $first; exit $second",
    )
    assert ended.code == 2, ended.stderr
    assert ended.stdout == "42\n"
    assert "has this output already" in ended.stderr
    assert len(slurm.calls("sbatch")) == 1


def test_what_is_on_record_is_json(slurm):
    assert slurm.submit("script.toml").code == 0
    lines = (slurm.work / "runs/script/submissions.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["42"]


def test_what_sbatch_says_of_a_job_that_it_takes_is_passed_on(slurm):
    program = slurm.folder / "bin" / "sbatch"
    program.write_text(program.read_text() + "echo 'sbatch: 3 hours are left to you' >&2\n")
    ended = slurm.submit("pi.toml")
    assert (ended.code, ended.stdout) == (0, "42\n")
    assert "mpipar submit: sbatch: 3 hours are left to you" in ended.stderr.splitlines()


def test_a_home_that_cannot_be_written_to_is_told_of(slurm):
    slurm.environment["XDG_STATE_HOME"] = "/proc/nowhere"
    ended = slurm.submit("pi.toml")
    assert (ended.code, ended.stdout) == (0, "42\n")
    assert "job 42 is known by its folder alone: /proc/nowhere/mpipar/jobs.jsonl" in ended.stderr
    assert "pi" in slurm.run("python", "-m", "mpipar", "status", "runs/pi").stdout
