"""What errors carry: facts, and the message that they make."""

import argparse
import pickle

import pytest

from mpipar.base.arguments import Parser
from mpipar.base.errors import BadInput


def test_a_message_is_made_of_the_facts():
    assert str(BadInput("no such thing")) == "no such thing"
    error = BadInput("expected 1, got 2", option="--ranks", remedy="say 1")
    assert str(error) == "--ranks: expected 1, got 2: say 1"
    assert (error.what, error.option, error.remedy) == ("expected 1, got 2", "--ranks", "say 1")


def test_facts_survive_a_place_pickling_and_json():
    error = BadInput("bad", option="--ranks", remedy="mend it", message="in other words")
    placed = error.within("job.toml")
    assert str(placed) == "job.toml: in other words"
    for same in (
        placed,
        pickle.loads(pickle.dumps(placed)),
        BadInput(**placed.as_object()),
    ):
        assert same.as_object() == {
            "message": "job.toml: in other words",
            "option": "--ranks",
            "what": "bad",
            "remedy": "mend it",
        }


@pytest.mark.parametrize(
    ("arguments", "option", "what"),
    [
        (["--number", "x"], "-n/--number", "expected a number"),
        (["--kind", "blu"], "--kind", "invalid choice: 'blu'"),
        (["--number"], "-n/--number", "expected one argument"),
        (["--nubmer", "2"], "", "unrecognized arguments: --nubmer 2; did you mean --number?"),
    ],
)
def test_errors_of_command_lines_name_the_option(arguments, option, what):
    def number(text: str) -> int:
        raise argparse.ArgumentTypeError("expected a number")

    parser = Parser(prog="program", allow_abbrev=False)
    parser.add_argument("-n", "--number", type=number)
    parser.add_argument("--kind", choices=("blue", "red"))
    with pytest.raises(BadInput) as raised:
        parser.parse_args(arguments)
    error = raised.value
    assert error.option == option
    assert error.what.startswith(what)
    assert str(error) == (f"argument {option}: {error.what}" if option else error.what)
