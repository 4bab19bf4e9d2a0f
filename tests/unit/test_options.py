from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mpipar.pi
from mpipar import BadInput, Dataset, Each, ExactSum, Plan, PositiveInt, driver
from mpipar._version import __version__
from mpipar.base.arguments import HelpWanted
from mpipar.command.execute import Settings
from mpipar.command.options import Options, parse
from mpipar.runtime.failure import OnError

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


def pi(*arguments) -> Options:
    return parse(mpipar.pi.pi, arguments, "prog")


def test_no_argument_gives_the_defaults():
    assert pi() == (mpipar.pi.pi.bind({}), Settings(), False, False)
    defaults = {
        "workers": 1,
        "schedule": "dynamic",
        "on_error": OnError(),
        "output": None,
        "compress": False,
    }
    assert Settings()._asdict().items() >= (defaults | {"progress": None}).items()


def test_all_options_of_every_driver_are_understood():
    options = pi(
        *("--steps", "1e6", "--block", "1_000", "--seed", "5", "--workers", "4"),
        *("--schedule", "slice", "--output", "a/b.h5", "--compress", "--on-error", "retry:3"),
        *("--json", "--no-progress"),
    )
    assert options.bound.parameters == {"steps": 10**6}
    assert options.bound.plan == Plan(10**6, 1000)
    assert options.bound.seed == 5
    assert options.settings == Settings(
        workers=4,
        schedule="slice",
        on_error=OnError(retries=3),
        output=Path("a/b.h5"),
        compress=True,
        progress=False,
    )
    assert options.json
    settings = pi("--workers", "auto", "--progress", "--on-error", "skip").settings
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
    assert isinstance(outcome, Options) or outcome.strip()


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
    assert parse(mapped, ["--output", "x.h5"], "prog").settings.output == Path("x.h5")
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
    assert pi().settings.workers == workers
    assert pi("--workers", "2").settings.workers == 2


def test_bad_workers_in_the_environment_are_refused(monkeypatch):
    monkeypatch.setenv("MPIPAR_WORKERS", "many")
    with pytest.raises(
        BadInput, match="MPIPAR_WORKERS: expected a whole number from 1 on, or auto, got 'many'"
    ):
        pi()
