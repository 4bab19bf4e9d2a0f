import dataclasses
import inspect
import json
import re
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mpipar.pi
from mpipar import BadInput, Dataset, Each, ExactSum, Plan, PositiveInt, driver
from mpipar._version import __version__
from mpipar.base.arguments import HelpWanted
from mpipar.batch import job_program
from mpipar.command.flags import flag_of
from mpipar.command.options import CommandLine, parse
from mpipar.runtime.failure import OnError
from mpipar.runtime.run_options import RunOptions, parameters

MODERATE = settings(max_examples=200, deadline=None)


@driver(n=lambda items: items[0] if items else 0, reduction=ExactSum, block=10)
def many(
    block,
    *,
    items: list[int],
    kind: Literal["fast", "slow"] = "fast",
    at_most: float | None = None,
    shift: bool = True,
    folder: Path = Path("."),
) -> float:
    """Take 100 % of all kinds of options."""
    return 0.0


@driver(
    n="items",
    reduction=Each(sum=ExactSum(), table=Dataset("rows", float), more=Dataset("names")),
    block=10,
)
def mapped(block, *, items: PositiveInt = 100):
    """Map items.

    Examples
    --------
    mpirun -np 3 python map.py --items 7 --output map.h5
    """


def pi(*arguments) -> CommandLine:
    return parse(mpipar.pi.pi, arguments, "prog")


def test_no_argument_gives_the_defaults():
    assert pi() == (mpipar.pi.pi.bind({}), RunOptions(), False, False)
    defaults = {
        "workers": 1,
        "schedule": "dynamic",
        "on_error": OnError(),
        "output": None,
        "compress": False,
    }
    assert dataclasses.asdict(RunOptions()).items() >= (defaults | {"progress": None}).items()


def test_all_options_of_every_driver_are_understood():
    line = pi(
        *("--steps", "1e6", "--block", "1_000", "--seed", "5", "--workers", "4"),
        *("--schedule", "slice", "--output", "a/b.h5", "--compress", "--on-error", "retry:3"),
        *("--json", "--no-progress"),
    )
    assert line.bound.parameters == {"steps": 10**6}
    assert line.bound.plan == Plan(10**6, 1000)
    assert line.bound.seed == 5
    assert line.options == RunOptions(
        block=1000,
        seed=5,
        workers=4,
        schedule="slice",
        on_error=OnError(retries=3),
        output=Path("a/b.h5"),
        compress=True,
        progress=False,
    )
    assert line.json
    settings = pi("--workers", "auto", "--progress", "--on-error", "skip").options
    assert (settings.workers, settings.progress, settings.on_error) == (
        "auto",
        True,
        OnError(skip=True),
    )


def test_last_one_wins_and_equals_signs_are_allowed():
    assert pi("--steps=5", "--steps", "7").bound.plan.n == 7


def test_parameters_of_a_kernel_are_options_by_their_types():
    given = [
        "--items",
        "30",
        "2e1",
        "--kind",
        "slow",
        "--at-most",
        "1.5",
        "--no-shift",
        "--folder",
        "a/b",
    ]
    bound = parse(many, given, "prog").bound
    assert bound.parameters == {
        "items": [30, 20],
        "kind": "slow",
        "at_most": 1.5,
        "shift": False,
        "folder": Path("a/b"),
    }
    assert bound.plan.n == 30
    assert parse(many, ["--items"], "prog").bound.parameters["items"] == []


@pytest.mark.parametrize(
    ("arguments", "named", "said"),
    [
        (["--steps", "0"], "--steps", "a whole number from 1 on, got 0"),
        (["--steps", "1.5"], "--steps", "a whole number, got '1.5'"),
        (["--steps", "1e999999999"], "--steps", "at most 64 bits"),
        (["--steps", "50%s%(x)d"], "--steps", "50%s%(x)d"),
        (["--steps"], "--steps", "expected one argument"),
        (["--steps", ""], "--steps", "a whole number"),
        (["--workers", "0"], "--workers", "a whole number from 1 on, or auto, got '0'"),
        (["--workers", "many"], "--workers", "or auto, got 'many'"),
        (["--schedule", "static"], "--schedule", "'static'"),
        (["--block", "0"], "--block", "a whole number from 1 on"),
        (["--seed", "-1"], "--seed", "a whole number from 0 on"),
        (["--output"], "--output", "expected one argument"),
        (
            ["--on-error", "ignore"],
            "--on-error",
            "stop, skip or retry:N with N from 1 to 1000, got 'ignore'",
        ),
        (["--on-error", "retry:0"], "--on-error", "got 'retry:0'"),
        (["--compress=9"], "--compress", "9"),
        (["--json=yes"], "--json", "yes"),
        (["--step", "5"], "--step", "unrecognized"),
        (["--nonsense"], "--nonsense", "unrecognized"),
        (["7"], "7", "unrecognized"),
    ],
)
def test_bad_option_is_refused_by_name(arguments, named, said):
    with pytest.raises(BadInput) as caught:
        pi(*arguments)
    assert named in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--items"),
        (["--items", "3", "x"], "--items: expected a whole number, got 'x'"),
        (["--items", "3", "--kind", "quick"], "--kind: expected fast or slow, got quick"),
        (["--items", "3", "--at-most", "nan"], "--at-most: expected a number, got nan"),
        (["--items", "-3"], "many can't have -3 items"),
    ],
)
def test_bad_value_of_a_parameter_is_refused_by_name(arguments, said):
    with pytest.raises(BadInput) as caught:
        parse(many, arguments, "prog")
    assert said in str(caught.value)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_tells_all_options_with_their_defaults(flag):
    with pytest.raises(HelpWanted) as wanted:
        parse(many, ["--items", "3", flag], "prog")
    text = str(wanted.value)
    for option in (
        "--items",
        "--kind {fast,slow}",
        "--at-most",
        "--no-shift",
        "--workers",
        "--schedule",
        "--output",
    ):
        assert option in text
    assert "Take 100 % of all kinds of options." in text
    assert "(default: fast)" in text
    with pytest.raises(HelpWanted, match=r"Number of intervals\. \(default: 1_000_000_000\)"):
        pi(flag)


def test_version_is_told():
    with pytest.raises(HelpWanted) as wanted:
        pi("--version")
    assert str(wanted.value).strip() == f"mpipar {__version__}"


FLAGS = (
    *(
        "--steps",
        "--workers",
        "--schedule",
        "--block",
        "--seed",
        "--output",
        "--json",
        "--progress",
        "--no-progress",
    ),
    *(
        "--help",
        "--version",
        "-h",
        "--steps=1e3",
        "--items",
        "--kind",
        "--shift",
        "--folder",
        "--",
        "-",
        "-1",
        "@file",
    ),
    *("--compress", "--on-error", "retry:2", "skip", "retry:"),
)
words = st.sampled_from((*FLAGS, "auto", "slice", "1e6", "0", "-5", "%s", "fast")) | st.text(
    max_size=6
)


@MODERATE
@given(arguments=st.lists(words, max_size=6), kernel=st.sampled_from([mpipar.pi.pi, many, mapped]))
@example(arguments=["--output", "\0"], kernel=mpipar.pi.pi)
@example(arguments=["--steps", "\ud800"], kernel=mpipar.pi.pi)
def test_any_command_line_is_understood_or_refused(arguments, kernel):
    try:
        outcome = parse(kernel, arguments, "prog")
    except (BadInput, HelpWanted) as error:
        outcome = str(error)
    assert isinstance(outcome, CommandLine) or outcome.strip()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "workers",
            "schedule",
            "output",
            "json",
            "block_",
            "seed",
            "help",
            "version",
            "no_progress",
        ),
        *("compress", "on_error"),
    ],
)
def test_parameter_named_like_an_option_of_every_driver_raises(name):
    name = name.rstrip("_")

    namespace = {"PositiveInt": PositiveInt}
    first = "index" if name == "block" else "block"
    exec(f"def kernel({first}, *, items: PositiveInt = 3, {name}: int = 1): ...", namespace)
    clashing = driver(n="items", reduction=ExactSum)(namespace["kernel"])
    with pytest.raises(TypeError, match=f"kernel: a parameter can't be named '{name}'"):
        parse(clashing, [], "prog")


def test_datasets_need_an_output():
    with pytest.raises(BadInput, match=r"--output: needed .* 'rows, names'"):
        parse(mapped, [], "prog")
    assert parse(mapped, ["--output", "x.h5"], "prog").options.output == Path("x.h5")
    with pytest.raises(HelpWanted):
        parse(mapped, ["--help"], "prog")


def test_example_in_the_help_is_that_of_the_docstring_or_made_up():
    with pytest.raises(
        HelpWanted, match=r"example: mpirun -np 3 python map\.py --items 7 --output map\.h5"
    ):
        parse(mapped, ["--help"], "prog")
    with pytest.raises(HelpWanted, match="example: mpirun -np 4 prog --steps 1e6 --workers 2"):
        pi("--help")
    with pytest.raises(HelpWanted, match="example: mpirun -np 4 prog --workers auto"):
        parse(many, ["--help"], "prog")


@pytest.mark.parametrize(("text", "workers"), [("3", 3), ("auto", "auto"), ("", 1)])
def test_workers_may_come_from_the_environment(monkeypatch, text, workers):
    monkeypatch.setenv("MPIPAR_WORKERS", text)
    assert pi().options.workers == workers
    assert pi("--workers", "2").options.workers == 2


def test_bad_workers_in_the_environment_are_refused(monkeypatch):
    monkeypatch.setenv("MPIPAR_WORKERS", "many")
    with pytest.raises(
        BadInput, match="MPIPAR_WORKERS: expected a whole number from 1 on, or auto, got 'many'"
    ):
        pi()


OF_TABLES = {name for name, option in parameters().items() if getattr(option, "of_tables", False)}
ON_COMMAND_LINES_ALONE = {*OF_TABLES, "stop_before"}
OF_MAPS = RunOptions.__dataclass_fields__.keys() - ON_COMMAND_LINES_ALONE - {"seed", "device"}


@pytest.mark.parametrize(
    ("function", "names", "others"),
    [
        (mpipar.run, parameters().keys() - ON_COMMAND_LINES_ALONE, {}),
        (mpipar.map, OF_MAPS, {"on_error": "skip"}),
    ],
)
def test_keywords_of_python_are_the_options_of_a_run(function, names, others):
    keywords = {
        one.name: one.default
        for one in inspect.signature(function).parameters.values()
        if one.kind is one.KEYWORD_ONLY and one.name in parameters()
    }
    assert keywords.keys() == names
    for name, default in keywords.items():
        if name == "on_error":
            assert parameters()[name].check_all(default) == OnError.parse(others.get(name, "stop"))
        else:
            assert default == parameters()[name].default, name


def test_the_table_of_options_in_the_docs_has_all_of_them():
    text = (Path(__file__).parents[2] / "docs/drivers.md").read_text(encoding="utf-8")
    table = text.partition("## Options of every driver")[2].partition("\n\nLarge counts")[0]
    documented = set(re.findall(r"^\| `(--[a-z-]+)", table, re.MULTILINE))
    flags = {f"--{name.replace('_', '-')}" for name in parameters() if name not in OF_TABLES}
    assert documented == flags | {"--json", "--dry-run", "--help"}


def test_options_are_described_by_parameters_of_their_names():
    for name, parameter in parameters().items():
        assert parameter.name == name
        assert parameter.help
        assert getattr(RunOptions(), name) == parameter.default


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workers": 0}, "workers: expected a whole number from 1 on, or auto, got 0"),
        ({"workers": "two"}, "workers: expected a whole number from 1 on, or auto, got 'two'"),
        ({"schedule": "fair"}, "schedule: expected stride, slice or dynamic, got fair"),
        ({"checkpoint": -1}, "checkpoint: expected a number from 0 on, got -1"),
        ({"resume": "no"}, "resume: expected true or false, got 'no'"),
        ({"on_error": "stopp"}, "on_error: expected stop, skip or retry:N"),
        ({"output": "a.txt"}, "output: expected a file of .h5 or .hdf5"),
        ({"device": "tpu"}, "device: expected cpu, compiled, gpu or auto, got tpu"),
    ],
)
def test_a_value_that_can_not_be_used_is_refused_by_name(given, said):
    with pytest.raises(BadInput, match=re.escape(said)):
        RunOptions(**given)


def test_values_are_taken_as_their_types():
    options = RunOptions(workers=2.0, output="a.h5", resume=1, on_error="retry:2", checkpoint=5)
    assert options == RunOptions(
        workers=2, output=Path("a.h5"), resume=True, on_error=OnError(retries=2), checkpoint=5.0
    )
    assert isinstance(options.checkpoint, float)
    assert options.resume is True


def test_keys_of_job_files_stand_for_the_options_that_say_so():
    """The job file's tables are not made of RunOptions, which would load NumPy: they agree."""
    keys = {
        flag_of(parameter): parameter.job_key
        for parameter in parameters().values()
        if getattr(parameter, "job_key", "")
    }
    said = {flag: what for flag, what in job_program._GIVEN.items() if what.startswith("use ")}
    assert said == {flag: f"use {key}" for flag, key in keys.items()}
    schema = json.loads(Path(job_program.__file__).with_name("job.schema.json").read_text())
    for key in keys.values():
        table, name = key.split(".")
        assert name in schema["properties"][table]["properties"], key
