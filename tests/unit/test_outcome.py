"""What became of a job, from what Slurm, its journal and its result say."""

import re
from pathlib import Path

import pytest

from mpipar.batch.job_state import JobState
from mpipar.batch.outcome import outcome
from mpipar.batch.slurm.states import STATES, meaning_of

BAD = [name for name, meaning in STATES.items() if meaning.kind == "ended" and not meaning.good]
BEGUN = {"event": "allocation"}
WELL = [BEGUN, {"event": "ended", "code": 0}, {"event": "next", "what": "exit", "code": 0}]
KILLED = [BEGUN, {"event": "next", "what": "exit", "code": 137}]
RAISED = [BEGUN, {"event": "ended", "code": 1}, {"event": "next", "what": "exit", "code": 1}]
OLD = [*WELL, BEGUN]  # started again
REQUEUED = [BEGUN, {"event": "next", "what": "requeue", "code": 75}]


def state(name, code=0):
    meaning = meaning_of(name)
    return JobState("12", "pi", name, "", "n1", 60.0, None, 0, code, None, None, None, meaning)


def of_accounts(name):
    return state(name)._replace(may_be_late=True)


def found(slurm, events, finished, output=True, known=True):
    return outcome(slurm, events, is_finished=finished, has_output=output, is_known=known)


@pytest.mark.parametrize("name", BAD)
def test_what_is_done_is_done_whatever_slurm_makes_of_it(name):
    """Such as a worker that was killed for its memory, and replaced; a job that finishes within its
    grace.
    """
    for events, finished, output in (
        (WELL, True, True),
        (WELL, False, False),
        (KILLED, True, True),
    ):
        became = found(state(name), events, finished, output)
        assert (became.name, became.exit_code) == ("done", 0)
        assert name in became.words


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_done_is_what_slurm_says(name):
    expected = "cancelled" if name == "CANCELLED" else "failed"
    for events, finished in (
        ([], False),
        ([], True),
        (KILLED, False),
        (RAISED, True),
        (OLD, False),
    ):
        became = found(state(name), events, finished)
        assert became.name == expected
        assert became.exit_code != 0, "failed, with exit code 0"


@pytest.mark.parametrize(
    ("slurm", "events", "finished", "name", "told"),
    [
        (state("COMPLETED"), WELL, True, "done", "completed"),
        (state("COMPLETED"), [], True, "done", "completed"),
        (state("COMPLETED"), [], False, "done", "completed, but there is no complete result"),
        (
            state("COMPLETED"),
            RAISED,
            False,
            "failed",
            "Slurm says completed, but its program's exit code was 1",
        ),
        (
            state("FAILED", 75),
            [BEGUN, {"event": "ended", "code": 75}],
            False,
            "stopped early",
            "committed",
        ),
        (state("FAILED", 143), [{"event": "cancel"}], False, "cancelled", "cancelled"),
        (state("RUNNING"), WELL, True, "running", "running"),
        (of_accounts("PENDING"), WELL, True, "done", "done, by its journal; it was waiting"),
        (of_accounts("RUNNING"), RAISED, True, "failed", "failed, by its journal; it was running"),
        (of_accounts("PENDING"), REQUEUED, False, "waiting", "waiting"),
        (of_accounts("RUNNING"), OLD, False, "running", "running"),
        (None, WELL, False, "done", "has forgotten"),
        (None, [BEGUN, {"event": "ended", "code": 0}], False, "done", "has forgotten"),
        (None, OLD, False, "ended without a word", "has forgotten"),
    ],
)
def test_the_table(slurm, events, finished, name, told):
    became = found(slurm, events, finished)
    assert became.name == name
    assert told in became.words


def test_the_guide_has_each_state_with_its_outcome():
    page = (Path(__file__).parents[2] / "docs/slurm.md").read_text(encoding="utf-8")
    table = page.partition("| state, of what isn't done | outcome |")[2].partition("\n\n")[0]
    told = {}
    for states, meaning in re.findall(r"^\| (`.*`) \| (.*) \|$", table, re.MULTILINE):
        told |= dict.fromkeys(re.findall(r"`(\w+)`", states), meaning)
    assert told.keys() == STATES.keys()
    for name, meaning in told.items():
        became = found(
            state(name, 1 if STATES[name].kind == "ended" and not STATES[name].good else 0),
            [],
            False,
        )
        assert became.name in re.split(r"[;,] |; or else ", meaning.replace("or else ", "")), name
