"""From exceptions to exit codes."""

import io

import pytest

from mpipar import BadInput, RunFailed, StoppedEarly
from mpipar.batch.scheduler import SchedulerUnavailable, SubmitRefused
from mpipar.command.commands import COMMANDS
from mpipar.command.entry import command
from mpipar.study.run_study import ValuesDiffer


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (BadInput("no\nfile"), 2, "prog: error: no\\nfile\n"),
        (SubmitRefused("sbatch: no"), 2, "prog: error: sbatch: no\n"),
        (RunFailed("one\ntwo"), 1, "prog: one\ntwo\n"),
        (SchedulerUnavailable("away"), 1, "prog: away\n"),
        (ValuesDiffer("1 and 2"), 1, "prog: 1 and 2\n"),
        (StoppedEarly("later"), 75, "prog: later\n"),
        (PermissionError(13, "Permission denied", "a.h5"), 1, "prog: Permission denied: a.h5\n"),
        (OSError("odd"), 1, "prog: odd\n"),
        (BrokenPipeError(), 0, ""),
        (KeyboardInterrupt(), 130, "prog: interrupted\n"),
        (KeyboardInterrupt("job 7 goes on"), 130, "prog: job 7 goes on\n"),
    ],
)
def test_what_is_raised_is_told_in_a_line_and_by_the_exit_code(raised, code, said, capsys):
    @command("prog")
    def main(arguments):
        raise raised

    assert main([]) == code
    assert capsys.readouterr() == ("", said)


def test_a_bug_is_left_alone():
    @command("prog")
    def main(arguments):
        return 1 // len(arguments)

    assert main([7]) == 1
    with pytest.raises(ZeroDivisionError):
        main([])


def test_what_can_not_be_printed_is_no_success(monkeypatch, capsys):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stdout", Full())
    main = command("prog")(lambda arguments: 0)
    assert main([]) == 1
    assert capsys.readouterr().err.endswith(
        "prog: what was printed could not be written to stdout: No space left on device\n"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_where_the_table_says(name):
    module = __import__(COMMANDS[name].module, fromlist=["main"])
    assert callable(module.main)
    assert COMMANDS[name].forms
