"""What may have been meant, by one helper, wherever a name isn't known."""

import pytest

import mpipar
from mpipar.__main__ import main
from mpipar.base.text import did_you_mean
from mpipar.command.options import parse
from mpipar.mcpi import mcpi
from mpipar.pi import pi
from mpipar.runtime.failure import OnError


def test_names_that_are_alike_are_told():
    assert did_you_mean("stpes", ["steps", "seed"]) == "; did you mean steps?"
    assert did_you_mean("STEPS", ["steps"]) == "; did you mean steps?"
    assert did_you_mean("xyz", ["steps", "seed"]) == ""
    assert did_you_mean("", []) == ""


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["--stpes", "5"], "--steps"),
        (["--wrokers", "2"], "--workers"),
        (["--workers=2", "--on-eror=skip"], "--on-error"),
        (["--schedule", "dynamik"], "dynamic"),
        (["--device", "gpus"], "gpu"),
        (["--on-error", "skp"], "skip"),
        (["--on-error", "retri:3"], "retry"),
    ],
)
def test_options_and_their_values(arguments, meant):
    with pytest.raises(mpipar.BadInput, match=f"; did you mean {meant}[?,]"):
        parse(pi, arguments, "pi")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"stpes": 3}, "steps"),
        ({"wokers": 2}, "workers"),
        ({"shedule": "slice"}, "schedule"),
        ({"Seed": 1}, "seed"),
    ],
)
def test_keywords_from_python(given, meant):
    with pytest.raises(mpipar.BadInput, match=rf"; did you mean {meant}\?"):
        mpipar.run(pi, **given)


def test_values_from_python():
    with pytest.raises(
        mpipar.BadInput, match=r"schedule: expected stride, .*; did you mean slice\?"
    ):
        mpipar.run(pi, schedule="slices")
    with pytest.raises(mpipar.BadInput, match=r"; did you mean stop\?"):
        OnError.parse("stopp")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("mcpl", "mcpi"), ("integral", "integrate"), ("staus", "status"), ("rn", "run")],
)
def test_drivers_and_commands(name, meant, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mpipar", name])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"did you mean {meant}" in capsys.readouterr().err


def test_names_in_definitions():
    with pytest.raises(mpipar.BadKernel, match=r"did you mean steps\?"):

        @mpipar.driver(n="step", reduction=mpipar.ExactSum)
        def kernel(block, *, steps: int = 1):
            """Nothing."""

    with pytest.raises(mpipar.BadKernel, match=r"did you mean samples\?"):
        mcpi.check(lambda *, sampels: None)
