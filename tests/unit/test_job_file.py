import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from conftest import Finished
from fake_sbatch import ROOT, FakeSlurm, job_environment
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mpipar import BadInput
from mpipar.batch.document import Document, schema_of
from mpipar.batch.job_file import Job, default_name, read_job
from mpipar.command.submit import main as submit

SCRIPT = '[run]\nscript = "ok.py"\n'


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("ok.py").write_text("")
    return tmp_path


def read(text: str, *changes: str) -> Job:
    Path("job.toml").write_text(text)
    document = Document(Path("job.toml"))
    for change in changes:
        document.change(change)
    return read_job(document, Path("/base"))


def refused(text: str, *changes: str) -> str:
    with pytest.raises(BadInput) as caught:
        read(text, *changes)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("*.toml")), ids=lambda path: path.stem)
def test_every_job_file_that_comes_with_mpipar_is_valid(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    document = Document(path)
    if path.stem == "pendulum":  # a grid, for sweep-array
        with pytest.raises(BadInput, match=r"there is no such key|'run' is missing"):
            read_job(document, ROOT)
    else:
        assert read_job(document, ROOT).name == path.stem


def test_a_script_needs_no_more_than_its_name(here):
    assert read(SCRIPT) == Job(
        name="job", arguments=["-m", "mpipar", "run", "ok.py"], check=None, folder="/base/runs/job"
    )


def test_outcomes_of_a_script_are_kept_where_its_output_says(here):
    job = read(f"{SCRIPT}arguments = ['--output=x']\n[output]\nfile = 'x.h5'\ncheckpoint = 5")
    kept = ["--output=/base/runs/job/x.h5", "--resume", "--checkpoint=5"]
    assert job.arguments == ["-m", "mpipar", "run", *kept, "ok.py", "--output=x"]
    assert (job.output, job.check) == ("x.h5", None)
    module = read("run.module = 'a.b'\noutput.file = 'x-{task}.h5'\narray.tasks = 2")
    assert module.arguments[3:] == ["--output=/base/runs/job/x-{task}.h5", "--resume", "-m", "a.b"]


def test_all_keys_come_through(here):
    job = read("""
        name = "long"
        [run]
        driver = "pi"
        options = { steps = 1e9, on_error = "retry:2" }
        options_per_rank = { seed = 3 }
        arguments = ["a b", 1.5, 2.0]
        [resources]
        nodes = 2
        ranks_per_node = 3
        ranks = 6
        workers = 2
        cores_per_rank = 4
        memory = "4G"
        time = "1-02:03:04"
        partition = "long,short"
        account = "me"
        gpus_per_node = 1
        sbatch = { nice = 0, exclusive = true, qos = "high" }
        [array]
        tasks = 3
        at_once = 2
        [output]
        folder = "a/b c"
        file = "x-{task}.h5"
        checkpoint = 5
        [restart]
        requeue = false
        warn = 60
        attempts = 5
        lost_nodes = "go-on"
        """)
    words = ["-m", "mpipar.pi", "--steps=1000000000", "--on-error=retry:2", "--seed=18"]
    words += ["--output=/base/a/b c/x-{task}.h5", "--resume", "--checkpoint=5"]
    assert job == Job(
        name="long",
        arguments=[*words, "a b", "1.5", "2"],
        check=[*words, "--dry-run", "a b", "1.5", "2"],
        nodes=2,
        ranks_per_node=3,
        ranks=6,
        workers=2,
        cores_per_rank=4,
        time="1-02:03:04",
        memory="4G",
        partition="long,short",
        account="me",
        gpus_per_node=1,
        own_options={"nice": 0, "exclusive": True, "qos": "high"},
        tasks=3,
        at_once=2,
        folder="/base/a/b c",
        output="x-{task}.h5",
        requeue=False,
        warn=60,
        attempts=5,
        shrink=True,
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("a = 1", ["--a=1"]),
        ("a = 1e9", ["--a=1000000000"]),
        ("a = 1.5", ["--a=1.5"]),
        ("a = 1e30", ["--a=1e+30"]),
        ("a = inf", ["--a=inf"]),
        ("a = true\nb_c = false", ["--a", "--no-b-c"]),
        ("a = ''", ["--a="]),
        ("a = '--b'", ["--a=--b"]),
        ("a = [1, 'x y', 2.0]", ["--a", "1", "x y", "2"]),
        ("a = '{folder}/x'", ["--a=/base/runs/job/x"]),
        ("a = '{task}'", None),
    ],
)
def test_options_become_arguments(here, options, words):
    text = f"{SCRIPT}[run.options]\n{options}\n"
    if words is None:
        assert refused(text) == "job.toml:1: run: {task} is for arrays: [array] tasks is missing"
    else:
        assert read(text).arguments[4:] == words


def test_the_tasks_of_an_array_are_counted_and_their_files_told_apart(here):
    text = "[run]\ndriver = 'pi'\narguments = ['{task}/{tasks}']\n[array]\ntasks = 4\n"
    job = read(text)
    assert job.arguments[-1] == "{task}/4"
    assert job.output == "pi-{task}.h5"
    said = refused(f"{text}[output]\nfile = 'x.h5'\n")
    assert said == "job.toml:7: output.file: expected a name with {task} in it, got 'x.h5'"


def test_a_name_of_a_file_that_begins_with_a_dash_is_no_option(here):
    Path("-c.py").write_text("")
    assert read("run.script = '-c.py'").arguments == ["-m", "mpipar", "run", "./-c.py"]


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("pi", "pi"),
        ("a b", "a-b"),
        ("-x-", "x"),
        ("日本", "job"),
        ("x" * 99, "x" * 64),
        ("$(touch x)", "touch-x"),
    ],
)
def test_the_name_of_the_file_is_that_of_the_job_as_far_as_it_can_be(name, becomes):
    assert default_name(Path(f"{name}.toml")) == becomes


def resources(*lines: str) -> str:
    return SCRIPT + "[resources]\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "job.toml:1: 'run' is missing"),
        ("name = 'x'", "job.toml:1: 'run' is missing"),
        ("[run]", "job.toml:1: run: expected one of driver, script and module"),
        ("[run]\noptions = {a = 1}", "job.toml:1: run: expected one of driver, script and module"),
        (f"{SCRIPT}driver = 'pi'", "job.toml:1: run: expected one of driver, script and module"),
        (f"{SCRIPT}module = 'a.b'", "job.toml:1: run: expected one of driver, script and module"),
        (
            "run.driver = 'pie'",
            "job.toml:1: run.driver: there is no driver 'pie'; there are pi, mcpi",
        ),
        (
            "run.driver = 'no.py:k'",
            "job.toml:1: run.driver: expected a file, got 'no.py', which isn't one",
        ),
        (
            "run.script = 'no.py'",
            "job.toml:1: run.script: expected a file, got 'no.py', which isn't one",
        ),
        ("run.script = '.'", "job.toml:1: run.script: expected a file, got '.', which isn't one"),
        (f"run.script = '{'a' * 5000}'", "job.toml:1: run.script: expected a file"),
        (
            "[run]\ndriver = 'pi'\noptions.output = 'x'",
            "job.toml:3: run.options.output: use output.file",
        ),
        (
            "[run]\ndriver = 'pi'\noptions.workers = 2",
            "job.toml:3: run.options.workers: use resources.workers",
        ),
        (
            "[run]\ndriver = 'pi'\noptions.dry_run = true",
            "job.toml:3: run.options.dry_run: can't be an option",
        ),
        (
            "[run]\ndriver = 'pi'\narguments = ['x', '--output=y']",
            "job.toml:3: run.arguments[2]: use output",
        ),
        (
            "[run]\ndriver = 'pi'\narguments = ['--help']",
            "job.toml:3: run.arguments[1]: can't be an option",
        ),
        (
            "run.driver = 'pi'\noutput.file = 'a{folder}'",
            "job.toml:2: output.file: expected the name of a file",
        ),
        (
            f"{SCRIPT}[output]\ncheckpoint = 3",
            "job.toml:4: output.checkpoint: is for what has an output: output.file is missing",
        ),
        (
            f"{SCRIPT}[output]\nfile = 'x.h5'\n[array]\ntasks = 2",
            "job.toml:4: output.file: expected a name with {task} in it, got 'x.h5'",
        ),
        (f"{SCRIPT}[array]\n", "job.toml:3: array: 'tasks' is missing"),
        (f"{SCRIPT}[array]\nat_once = 3", "job.toml:3: array: 'tasks' is missing"),
        (
            resources("node = 3"),
            "job.toml:4: resources.node: there is no such key; did you mean nodes?",
        ),
        (
            resources("nodes = 2", "ranks_per_node = 3", "ranks = 7"),
            (
                "job.toml:6: resources.ranks: 2 nodes × 3 ranks_per_node are 6 ranks, got 7; leave"
                " one out"
            ),
        ),
        (
            resources("ranks_per_node = 3", "ranks = 7"),
            (
                "job.toml:5: resources.ranks: 1 nodes × 3 ranks_per_node are 3 ranks, got 7; leave"
                " one out"
            ),
        ),
        (
            resources("ranks = 3", "nodes = 4"),
            "job.toml:4: resources.ranks: expected at least one rank for each of 4 nodes, got 3",
        ),
        (
            resources("workers = 8", "cores_per_rank = 4"),
            "job.toml:5: resources.cores_per_rank: expected at least as many as workers (8), got 4",
        ),
        (resources("sbatch.time = '1'"), "job.toml:4: resources.sbatch.time: use resources.time"),
        (resources("sbatch.tim = '1'"), "job.toml:4: resources.sbatch.tim: use resources.time"),
        (resources("sbatch.wrap = 'x'"), "job.toml:4: resources.sbatch.wrap: can't be set here"),
        (resources("sbatch.wra = 'x'"), "job.toml:4: resources.sbatch.wra: can't be set here"),
        (
            resources("sbatch.exclusive = false"),
            "job.toml:4: resources.sbatch.exclusive: expected text in one line",
        ),
        (
            resources("sbatch.Nice = 1"),
            "job.toml:4: resources.sbatch: expected long names of options of sbatch",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_with_its_line(here, text, said):
    assert refused(text).startswith(said)


@pytest.mark.parametrize(
    "option", ["export", "gpus", "mem-per-cpu", "nodelist", "time-min", "exclude", "nice", "qos"]
)
def test_options_of_sbatch_that_begin_like_others_are_not_refused(here, option):
    assert read(resources(f"sbatch.{option} = 'x'")).own_options == {option: "x"}


def test_changes_from_the_command_line_are_named_in_errors(here):
    assert read(SCRIPT, "resources.time=01:30:00").time == "01:30:00"
    assert read(SCRIPT, "resources.time=90").time == "90"
    assert read(SCRIPT, "resources.nodes=1e3").nodes == 1000
    assert refused(SCRIPT, "resources.nodes=0").startswith(
        "--set: resources.nodes: expected a whole number from 1"
    )
    assert refused(SCRIPT, "resources.nodes='1'").endswith("got '1'")
    assert (
        refused(SCRIPT, "run.driver=pi")
        == "job.toml:1: run: expected one of driver, script and module"
    )


# Hostile values, for every key.

HOSTILE = [
    *(
        '"$(touch canary)"',
        '"`touch canary`"',
        '"a;touch canary"',
        "'''a\"b'c'''",
        '"a\\nb"',
        '"a\\n"',
        '"\\nb"',
    ),
    '"ü日"',
    *(
        '"a b"',
        '"-x"',
        '"--wrap=x"',
        '"../.."',
        '"%j"',
        '"\\u0000"',
        '""',
        '" "',
        '"\\u2028"',
        '"\\u001b[31m"',
        '"1"',
    ),
    *(
        '"0:00"',
        '"00:00:00"',
        '"-1:00:00"',
        '"1:2:3:4"',
        '"1e9"',
        '"a\\\\b"',
        '"{task}"',
        '"{folder}"',
        '"{}"',
    ),
    *(
        "0",
        "-1",
        "1.5",
        "-0.5",
        "1e9",
        "1000000000",
        "1e300",
        "inf",
        "-inf",
        "nan",
        "true",
        "false",
        "[]",
        "{}",
    ),
    *(
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "[[]]",
        "[{}]",
        "{a = 1}",
        "[1, '\\n']",
    ),
    *("2026-01-01", "01:00:00", "[true]", "{driver = 'pi'}", f'"{"x" * 5000}"', "'pi'", "'ok.py'"),
]


def keys_of(schema: dict, key: tuple[str, ...] = ()) -> list[str]:
    found = [".".join(key)] if key else []
    for name, part in schema.get("properties", {}).items():
        found += keys_of(part, (*key, name))
    return found


@pytest.mark.parametrize("key", keys_of(schema_of("job")))
@pytest.mark.parametrize(
    "base", [SCRIPT, "[run]\ndriver = 'pi'\n", ""], ids=["script", "driver", "nothing"]
)
def test_a_hostile_value_is_refused_by_its_key_or_is_a_job(here, key, base):
    taken = 0
    for value in HOSTILE:
        found = job_or_problem(base, f"{key}={value}")
        if isinstance(found, Job):
            assert_is_sound(found)
            taken += 1
        else:
            assert found.isprintable()
            assert found.startswith(
                (f"--set: {key}", "--set: run: ", "--set: array: ", "job.toml:1: ")
            )
    assert taken <= (0 if base == "" and not key.startswith("run") else 25), "most are hostile"


def job_or_problem(text: str, *changes: str) -> Job | str:
    try:
        return read(text, *changes)
    except BadInput as error:
        return str(error)


def assert_is_sound(job: Job) -> None:
    """Look at what reaches sbatch, and at what reaches the program."""
    assert job.name.isascii()
    assert job.name.strip("._+-")
    assert not any(
        c.isspace() for c in job.name + job.time + job.memory + job.partition + job.account
    )
    assert not {*"%\n\0\\"} & {*(job.folder + job.output)}
    assert job.folder.startswith("/base")
    assert "/" not in job.output
    for number in (job.nodes, job.ranks_per_node, job.ranks, job.cores_per_rank, job.gpus_per_node):
        assert number is None or (type(number) is int and 1 <= number <= 10**7)
    assert not any("\0" in word for word in job.arguments)
    for name, value in job.own_options.items():
        assert name.replace("-", "").isalnum()
        assert "\n" not in str(value)


names = st.sampled_from(
    [
        *{part for key in keys_of(schema_of("job")) for part in key.split(".")},
        "steps",
        "a b",
        "é",
        "",
    ]
)
literals = st.sampled_from(HOSTILE)
pairs = st.lists(st.tuples(st.lists(names, min_size=1, max_size=3), literals), max_size=5)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pairs=pairs, base=st.sampled_from(["", SCRIPT, "run.driver = 'pi'\n", "run.module = 'a.b'\n"])
)
def test_any_document_is_a_job_or_refused_in_one_line(here, pairs, base):
    quoted = "".join(
        f"{'.'.join(json.dumps(name) for name in keys)} = {value}\n" for keys, value in pairs
    )
    is_job_or_refused(quoted + base)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.sampled_from("a[]{}=\"'\\.,#\n\r\t 1-:é\0\ufeff"), max_size=40))
@example(text="a = '")
@example(text='a = """')
@example(text="[")
def test_any_text_is_a_job_or_refused_in_one_line(here, text):
    is_job_or_refused(text + SCRIPT)
    is_job_or_refused(SCRIPT + text)


def is_job_or_refused(text: str) -> None:
    found = job_or_problem(text)
    if isinstance(found, Job):
        assert_is_sound(found)
    else:
        assert found.isprintable()
        assert found.startswith("job.toml")


# The same through the real command: what is hostile is refused, before sbatch is called.

BIG = "9" * 5000
REFUSED: dict[str, tuple[str | bytes | None, list[str], str]] = {
    # name: (job file, more arguments, what stderr names)
    "name, command": ("name = '$(touch canary)'\n" + SCRIPT, [], "job.toml:1: name: "),
    "name, backticks": ("name = '`touch canary`'\n" + SCRIPT, [], "job.toml:1: name: "),
    "name, semicolon": ("name = 'a;touch canary'\n" + SCRIPT, [], "job.toml:1: name: "),
    "name, quotes": ("name = '''a\"b'c'''\n" + SCRIPT, [], "job.toml:1: name: "),
    "name, newline": ('name = "a\\n#SBATCH --wrap=x"\n' + SCRIPT, [], "job.toml:1: name: "),
    "name, newline at the end": ('name = "a\\n"\n' + SCRIPT, [], "job.toml:1: name: "),
    "name, unicode": ("name = 'ü日'\n" + SCRIPT, [], "job.toml:1: name: "),
    "name, spaces": ("name = 'a b'\n" + SCRIPT, [], "job.toml:1: name: "),
    "name, dash": ("name = '--wrap=x'\n" + SCRIPT, [], "job.toml:1: name: "),
    "name, parents": ("name = '../..'\n" + SCRIPT, [], "job.toml:1: name: "),
    "name, pattern": ("name = '%j'\n" + SCRIPT, [], "job.toml:1: name: "),
    "name, NUL": ('name = "a\\u0000b"\n' + SCRIPT, [], "job.toml:1: name: "),
    "name, number": ("name = 3\n" + SCRIPT, [], "job.toml:1: name: "),
    "name, long": (f"name = '{'x' * 65}'\n" + SCRIPT, [], "job.toml:1: name: "),
    "nodes, many": (resources("nodes = 1000000000"), [], "job.toml:4: resources.nodes: "),
    "nodes, float": (resources("nodes = 1.5"), [], "job.toml:4: resources.nodes: "),
    "nodes, 0": (resources("nodes = 0"), [], "job.toml:4: resources.nodes: "),
    "nodes, negative": (resources("nodes = -1"), [], "job.toml:4: resources.nodes: "),
    "nodes, true": (resources("nodes = true"), [], "job.toml:4: resources.nodes: "),
    "nodes, text": (resources("nodes = '1;touch canary'"), [], "job.toml:4: resources.nodes: "),
    "nodes, inf": (resources("nodes = inf"), [], "job.toml:4: resources.nodes: "),
    "nodes, nan": (resources("nodes = nan"), [], "job.toml:4: resources.nodes: "),
    "nodes, digits": (
        resources(f"nodes = {BIG}"),
        [],
        "job.toml: expected numbers of at most 64 bits",
    ),
    "ranks, contradiction": (
        resources("nodes=2", "ranks_per_node=2", "ranks=5"),
        [],
        "job.toml:6: resources.ranks: ",
    ),
    "workers": (resources("workers = '$(touch canary)'"), [], "job.toml:4: resources.workers: "),
    "time, 0": (resources("time = '0:00'"), [], "job.toml:4: resources.time: "),
    "time, negative": (resources("time = '-1:00:00'"), [], "job.toml:4: resources.time: "),
    "time, negative minutes": (resources("time = -60"), [], "job.toml:4: resources.time: "),
    "time, without quotes": (resources("time = 01:00:00"), [], "job.toml:4: resources.time: "),
    "time, newline": (resources('time = "01:00:00\\n"'), [], "job.toml:4: resources.time: "),
    "memory": (resources("memory = '4G --wrap=x'"), [], "job.toml:4: resources.memory: "),
    "partition, spaces": (resources("partition = 'a b'"), [], "job.toml:4: resources.partition: "),
    "partition, dash": (resources("partition = '-x'"), [], "job.toml:4: resources.partition: "),
    "account, newline": (resources('account = "a\\n"'), [], "job.toml:4: resources.account: "),
    "sbatch, wrap": (
        resources("sbatch.wrap = 'touch canary'"),
        [],
        "job.toml:4: resources.sbatch.wrap: ",
    ),
    "sbatch, wrap, short": (
        resources("sbatch.wra = 'touch canary'"),
        [],
        "job.toml:4: resources.sbatch.wra: ",
    ),
    "sbatch, uid": (resources("sbatch.uid = 0"), [], "job.toml:4: resources.sbatch.uid: "),
    "sbatch, chdir": (resources("sbatch.chdir = '/'"), [], "job.toml:4: resources.sbatch.chdir: "),
    "sbatch, export-file": (
        resources("sbatch.export-file = 'x'"),
        [],
        "job.toml:4: resources.sbatch.export-file: ",
    ),
    "sbatch, output": (
        resources("sbatch.output = '/etc/x'"),
        [],
        "resources.sbatch.output: use output.folder",
    ),
    "sbatch, newline": (
        resources('sbatch.comment = "a\\nb"'),
        [],
        "job.toml:4: resources.sbatch.comment: ",
    ),
    "sbatch, name": (resources("sbatch.'x=$(touch canary)' = 1"), [], "resources.sbatch: "),
    "sbatch, list": (resources("sbatch.nice = [1]"), [], "job.toml:4: resources.sbatch.nice: "),
    "key": (
        SCRIPT + "skript = 'x'\n",
        [],
        "job.toml:3: run.skript: there is no such key; did you mean script?",
    ),
    "key, newline": (SCRIPT + '"a\\nb" = 1\n', [], "job.toml:3: run.a\\nb: "),
    "table": (
        SCRIPT + "[recources]\n",
        [],
        "job.toml:3: recources: there is no such key; did you mean resources?",
    ),
    "table, no table": ("resources = 3\n" + SCRIPT, [], "job.toml:1: resources: expected a table"),
    "run, list": ("[[run]]\nscript = 'ok.py'\n", [], "job.toml:1: run: expected a table"),
    "nothing": ("", [], "job.toml:1: 'run' is missing"),
    "driver": ("run.driver = 'pi;touch canary'", [], "job.toml:1: run.driver: "),
    "driver, its option": (
        "run.driver = 'pi'\nrun.options.steps = '$(touch canary)'",
        [],
        "run: argument --steps",
    ),
    "driver, its number": ("run.driver = 'pi'\nrun.options.steps = -5", [], "--steps"),
    "driver, abbreviation": ("run.driver = 'pi'\nrun.options.outpu = 'canary'", [], "--outpu"),
    "driver, among arguments": (
        "run.driver = 'pi'\nrun.arguments = ['--workers', 'x']",
        [],
        "run.arguments[1]: ",
    ),
    "script, NUL": ('run.script = "a\\u0000b"', [], "job.toml:1: run.script: "),
    "script, long": (f"run.script = '{'a' * 5000}'", [], "job.toml:1: run.script: expected a file"),
    "module": ("run.module = 'os;touch canary'", [], "job.toml:1: run.module: "),
    "option": (SCRIPT + "options.'a b;touch canary' = 1", [], "job.toml:3: run.options: "),
    "argument, NUL": (SCRIPT + 'arguments = ["a\\u0000b"]', [], "job.toml:3: run.arguments[1]: "),
    "argument, table": (SCRIPT + "arguments = [{a = 1}]", [], "job.toml:3: run.arguments[1]: "),
    "tasks": (SCRIPT + "[array]\ntasks = 1000000000", [], "job.toml:4: array.tasks: "),
    "folder, pattern": (SCRIPT + "[output]\nfolder = '%j'", [], "job.toml:4: output.folder: "),
    "folder, newline": (SCRIPT + '[output]\nfolder = "a\\nb"', [], "job.toml:4: output.folder: "),
    "folder, NUL": (SCRIPT + '[output]\nfolder = "a\\u0000b"', [], "job.toml:4: output.folder: "),
    "folder, long": (
        SCRIPT + f"[output]\nfolder = '{'a' * 300}'",
        [],
        "output.folder: File name too long",
    ),
    "folder, a file": (SCRIPT + "[output]\nfolder = 'ok.py'", [], "output.folder: "),
    "folder, under a file": (SCRIPT + "[output]\nfolder = 'ok.py/x'", [], "output.folder: "),
    "file, parents": ("run.driver = 'pi'\noutput.file = '../x'", [], "job.toml:2: output.file: "),
    "checkpoint": (
        "run.driver = 'pi'\noutput.checkpoint = -1",
        [],
        "job.toml:2: output.checkpoint: ",
    ),
    "warn": (SCRIPT + "[restart]\nwarn = 1", [], "job.toml:4: restart.warn: "),
    "attempts": (SCRIPT + "[restart]\nattempts = 'x'", [], "job.toml:4: restart.attempts: "),
    "lost_nodes": (
        SCRIPT + "[restart]\nlost_nodes = 'ignore'",
        [],
        "job.toml:4: restart.lost_nodes: ",
    ),
    "not UTF-8": (b"name = '\xff\xfe'", [], "job.toml: is not UTF-8 text"),
    "byte order mark": ("\ufeff" + SCRIPT, [], "job.toml:1: not TOML"),
    "binary": (bytes(range(256)), [], "job.toml: is not UTF-8 text"),
    "ELF": (b"\x7fELF\x02\x01\x01\x00", [], "job.toml:1: not TOML"),
    "huge": (b"#" * 10**7, [], "job.toml: has 10000000 bytes"),
    "no end": (SCRIPT + "arguments = ['''", [], "job.toml:3: not TOML"),
    "nesting": (SCRIPT + f"arguments = {'[' * 9999}", [], "job.toml: nested too deeply"),
    "nesting, closed": (SCRIPT + f"arguments = {'[' * 90}{']' * 90}", [], "nested too deeply"),
    "--set, nesting": (
        SCRIPT,
        ["--set", f"run.arguments={'[' * 9999}"],
        "--set: run.arguments: nested too deeply",
    ),
    "--set, keys": (SCRIPT, ["--set", ".".join("a" * 999) + "=1"], "--set: a: nested too deeply"),
    "--set, digits": (SCRIPT, ["--set", f"resources.nodes={BIG}"], "--set: resources.nodes: "),
    "--set, nonsense": (SCRIPT, ["--set", "nonsense"], "--set: expected KEY=VALUE"),
    "--set, nothing": (SCRIPT, ["--set", ""], "--set: expected KEY=VALUE"),
    "--set, no key": (SCRIPT, ["--set", "=$(touch canary)"], "--set: expected KEY=VALUE"),
    "--set, newline": (SCRIPT, ["--set", "name=a\nb"], "--set: name: "),
    "--set, bytes": (SCRIPT, ["--set", "name=\udcff"], "--set: name: "),
    "--set, through a value": (
        SCRIPT,
        ["--set", "run.script.x=1"],
        "--set: run.script.x: 'script' is not a table",
    ),
    "--set, unknown": (
        SCRIPT,
        ["--set", "resorces.nodes=1"],
        "--set: resorces: there is no such key",
    ),
    "--nodes": (SCRIPT, ["--nodes", "1;touch canary"], "--nodes: resources.nodes: "),
    "--nodes, negative": (SCRIPT, ["--nodes=-1"], "--nodes: resources.nodes: "),
    "--time": (SCRIPT, ["--time", "0:00"], "--time: resources.time: "),
    "--partition": (SCRIPT, ["--partition=--wrap=x"], "--partition: resources.partition: "),
    "--after": (SCRIPT, ["--after", "1;touch canary"], "--after: "),
    "--after, option": (SCRIPT, ["--after=-1"], "--after: "),
    "--nonsense": (SCRIPT, ["--nonsense"], "--nonsense"),
    "--site, missing": (SCRIPT, ["--site", "none.toml"], "none.toml: No such file"),
    "--site, a folder": (SCRIPT, ["--site", "."], ".: is a folder"),
    "--site, a job file": (SCRIPT, ["--site", "job.toml"], "job.toml:1: run: there is no such key"),
    "missing": (None, [], "job.toml: No such file or directory"),
}
SITES = {  # name: (site profile, what stderr names)
    "key": (
        "luncher = 'mpirun'",
        "site.toml:1: luncher: there is no such key; did you mean launcher?",
    ),
    "launcher": ("launcher = 3", "site.toml:1: launcher: "),
    "launcher, newline": ('launcher = "mpirun\\ntouch canary"', "site.toml:1: launcher: "),
    "partition": ("partition = '--wrap=x'", "site.toml:1: partition: "),
    "python": ("python = '-c'", "site.toml:1: python: "),
    "prologue": ('prologue = "a\\u0000b"', "site.toml:1: prologue: "),
    "start_seconds": ("start_seconds = 0", "site.toml:1: start_seconds: "),
    "start_seconds, nan": ("start_seconds = nan", "site.toml:1: start_seconds: "),
    "scratch": ('scratch = "a\\nb"', "site.toml:1: scratch: "),
    "sbatch": ("sbatch.wrap = 'touch canary'", "site.toml:1: sbatch.wrap: "),
    "sbatch, name": ("sbatch.'x=$(touch canary)' = 1", "site.toml:1: sbatch: "),
    "sbatch, value": ('sbatch.comment = "a\\n"', "site.toml:1: sbatch.comment: "),
}
FILES = {
    "folder": "is a folder",
    "pipe": "is not a regular file",
    "device": "is not a regular file",
}
ALL = [*REFUSED, *(f"site, {name}" for name in SITES), *(f"as file, {name}" for name in FILES)]


# The command itself calls the same function: a few show that nothing is lost on the way.
BY_COMMAND = ["name, newline", "--set, bytes", "not UTF-8", "as file, pipe", "site, key", "missing"]


@pytest.mark.parametrize(
    ("hostile", "by_command"),
    [*((name, False) for name in ALL), *((name, True) for name in BY_COMMAND)],
)
def test_what_is_hostile_is_refused_in_one_line_and_sbatch_is_not_called(
    hostile, by_command, tmp_path, monkeypatch, capsys
):
    slurm = FakeSlurm(tmp_path, monkeypatch)
    said, arguments = hostile_files(slurm, hostile)
    before = {path.name for path in slurm.work.iterdir()}
    if by_command:
        ended = slurm.submit("job.toml", *arguments)
    else:
        monkeypatch.chdir(slurm.work)
        for name in slurm.environment.keys() - {"PYTHONPATH"}:
            monkeypatch.setenv(name, slurm.environment[name])
        code = submit(["job.toml", *arguments])
        ended = Finished(code, *capsys.readouterr())
    assert ended.code == 2, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.rstrip("\n").isprintable()
    assert ended.stderr.startswith("mpipar submit: error: ")
    assert said in ended.stderr
    assert slurm.calls("sbatch") == slurm.calls("scancel") == []
    assert {path.name for path in slurm.work.iterdir()} == before, "nothing is left, and no canary"
    assert not list(slurm.folder.rglob("canary*"))


def hostile_files(slurm: FakeSlurm, name: str) -> tuple[str, list[str]]:
    """Write what a case asks for; return what is to be said, and the arguments."""
    slurm.file("ok.py", "")
    text, arguments, said = REFUSED.get(name, (SCRIPT, [], ""))
    path = slurm.work / "job.toml"
    if name.startswith("site, "):
        text, (site, said) = SCRIPT, SITES[name.removeprefix("site, ")]
        arguments = ["--site", slurm.file("site.toml", site).name]
    if name.startswith("as file, "):
        text, said = None, FILES[name.removeprefix("as file, ")]
        {
            "folder": path.mkdir,
            "pipe": lambda: os.mkfifo(path),
            "device": lambda: path.symlink_to("/dev/zero"),
        }[name.removeprefix("as file, ")]()
    if text is not None:
        slurm.file("job.toml", text)
    return said, arguments


# What looks hostile where any text is allowed goes through as it is, to the last byte.

TEXTS = [
    *(
        "a b",
        "",
        " ",
        "'",
        '"',
        "a'b\"c",
        "a\nb",
        "\n",
        "\t",
        "$(touch canary)",
        "`touch canary`",
        ";touch canary",
    ),
    *(
        "& touch canary",
        "| touch canary",
        "> canary",
        "$HOME",
        "${IFS}",
        "*",
        "~",
        "\\",
        "\\n",
        "!!",
        "#",
        "%j",
        "%%",
    ),
    *(
        "-x",
        "--",
        "--help",
        "--wrap=x",
        "-",
        "é日本\u202e",
        "\x01\x7f",
        "{",
        "{}",
        "{ranks}",
        "'; touch canary; '",
    ),
]
FOLDERS = ["$(touch canary)", "a'b\"c `touch canary`;touch canary *", "é日本", "-x", "--"]
SHOW = """import os, sys, pathlib
pathlib.Path("seen").write_bytes(b"\\0".join(map(os.fsencode, sys.argv[1:])))
"""


def toml(text: str) -> str:
    return json.dumps(text).replace("\x7f", "\\u007f")


def run_as_slurm_would(slurm: FakeSlurm, cwd: Path):
    """Execute what the last call of sbatch was given, here."""
    words = slurm.calls("sbatch")[-1].arguments
    place = next(index for index, word in enumerate(words) if not word.startswith("-"))
    env = job_environment(cwd, SLURM_JOB_NAME="job")
    return slurm.run("bash", *words[place:], cwd=cwd, env=env)


def no_canary(slurm: FakeSlurm) -> bool:
    return not list(slurm.folder.parent.rglob("canary*"))


def test_arguments_reach_the_script_as_they_are(tmp_path, monkeypatch):
    slurm = FakeSlurm(tmp_path, monkeypatch)
    slurm.file("show.py", SHOW)
    listed = ", ".join(map(toml, TEXTS))
    options = "\n".join(f"o{index} = {toml(text)}" for index, text in enumerate(TEXTS))
    slurm.file(
        "job.toml",
        f"[run]\nscript = 'show.py'\narguments = [{listed}]\n[run.options]\n{options}\nlist ="
        f" [{listed}]",
    )
    ended = slurm.submit("job.toml", "--set", f"run.options.last={TEXTS[9]}")
    assert (ended.code, ended.stdout) == (0, "42\n"), ended.stderr
    expected = [f"--o{index}={text}" for index, text in enumerate(TEXTS)]
    expected += ["--list", *TEXTS, f"--last={TEXTS[9]}", *TEXTS]
    assert slurm.calls("sbatch")[0].arguments[-len(expected) :] == expected
    ran = run_as_slurm_would(slurm, slurm.work)
    assert ran.code == 0, ran.stderr
    assert (slurm.work / "seen").read_bytes() == "\0".join(expected).encode()
    assert no_canary(slurm)


@pytest.mark.parametrize("folder", FOLDERS)
def test_any_output_folder_is_the_one_that_is_written_to(tmp_path, monkeypatch, folder):
    slurm = FakeSlurm(tmp_path, monkeypatch)
    slurm.file("show.py", SHOW)
    slurm.file(
        "job.toml",
        "[run]\nscript = 'show.py'\narguments = ['{folder}/x']\n[output]\nfolder ="
        f" {toml(folder)}",
    )
    assert slurm.submit("job.toml").stdout == "42\n"
    assert sorted(path.name for path in slurm.work.iterdir()) == sorted(
        ["job.toml", "show.py", folder]
    )
    ran = run_as_slurm_would(slurm, slurm.work)
    assert ran.code == 0, ran.stderr
    assert (slurm.work / "seen").read_bytes() == os.fsencode(slurm.work / folder / "x")
    assert [path.name for path in (slurm.work / folder).glob("*.journal")] == [
        f"job-{next((slurm.work / folder).glob('*.journal')).name.split('-')[1]}"
    ]
    assert no_canary(slurm)


def test_the_working_folder_may_have_any_name(tmp_path, monkeypatch):
    slurm = FakeSlurm(tmp_path, monkeypatch)
    cwd = slurm.work / "a b'$(touch canary)\n%j"
    cwd.mkdir()
    (cwd / "show.py").write_text(SHOW)
    (cwd / "job.toml").write_text("run.script = 'show.py'\nrun.arguments = ['{folder}']")
    assert slurm.submit("job.toml", cwd=cwd).stdout == "42\n"
    output = next(
        word for word in slurm.calls("sbatch")[0].arguments if word.startswith("--output=")
    )
    assert output == f"--output={str(cwd).replace('%', '%%')}/runs/job/job-%j.out"
    ran = run_as_slurm_would(slurm, cwd)
    assert ran.code == 0, ran.stderr
    assert (cwd / "seen").read_bytes() == os.fsencode(cwd / "runs/job")
    assert no_canary(slurm)


def test_what_dry_run_shows_is_for_a_shell(tmp_path, monkeypatch):
    slurm = FakeSlurm(tmp_path, monkeypatch)
    slurm.file("show.py", SHOW)
    slurm.file(
        "job.toml", f"[run]\nscript = 'show.py'\narguments = [{', '.join(map(toml, TEXTS))}]"
    )
    shown = slurm.submit("job.toml", "--dry-run").stdout
    words = shlex.split(shown.partition("# the command\n")[2])
    assert words[0] == "sbatch"
    assert words[-len(TEXTS) :] == TEXTS
    assert sys.executable in words
    assert slurm.calls("sbatch") == []
