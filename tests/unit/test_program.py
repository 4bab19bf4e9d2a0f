"""Which words of a program's command line are mpipar's."""

from pathlib import Path

import pytest

from mpipar.batch.program import RUN_OPTIONS_WITH_VALUES, output_of, resuming
from mpipar.command.run_script import _parser

RUN = ["-m", "mpipar", "run"]


@pytest.mark.parametrize(
    ("program", "output"),
    [
        (["-m", "mpipar.pi", "--output", "a.h5"], "a.h5"),
        (["-m", "mpipar.pi", "--output=a.h5", "--steps=10"], "a.h5"),
        (["script.py"], None),
        ([*RUN, "--output=a.h5", "script.py", "--output=b.txt"], "a.h5"),
        ([*RUN, "--workers", "2", "--output", "a.h5", "script.py"], "a.h5"),
        ([*RUN, "--output", "a.h5", "-m", "package.module", "--output", "b"], "a.h5"),
        ([*RUN, "script.py", "--output", "b.txt"], None),
        ([*RUN, "--seed", "3", "script.py", "--output=b.txt"], None),
        ([*RUN, "-m", "package.module", "--output=b.txt"], None),
        ([*RUN, "file.py:kernel", "--output=a.h5"], "a.h5"),
        (RUN, None),
        ([*RUN, "--output"], "."),
    ],
)
def test_output(program, output):
    assert output_of(program) == (None if output is None else Path(output))


@pytest.mark.parametrize(
    ("program", "goes_on"),
    [
        (["-m", "mpipar.pi", "--output=a.h5"], ["-m", "mpipar.pi", "--output=a.h5", "--resume"]),
        (
            [*RUN, "--output=a.h5", "script.py", "--resume"],
            [*RUN, "--output=a.h5", "--resume", "script.py", "--resume"],
        ),
        ([*RUN, "--output=a.h5", "-m", "x.y"], [*RUN, "--output=a.h5", "--resume", "-m", "x.y"]),
        ([*RUN, "a.py:k", "--output=a.h5"], [*RUN, "a.py:k", "--output=a.h5", "--resume"]),
        ([*RUN, "--resume", "script.py"], [*RUN, "--resume", "script.py"]),
    ],
)
def test_going_on(program, goes_on):
    assert resuming(program) == goes_on
    assert resuming(goes_on) == goes_on


def test_a_script_whose_name_looks_like_a_kernel_is_one_if_it_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a:b.py").write_text("")
    assert output_of([*RUN, "a:b.py", "--output=c"]) is None


def test_options_with_values_are_those_of_mpipar_run():
    with_values = set()
    for action in _parser()._actions:
        if action.option_strings and action.nargs != 0 and action.const is None:
            with_values.update(action.option_strings)
    assert with_values == RUN_OPTIONS_WITH_VALUES
