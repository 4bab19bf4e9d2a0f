import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpipar.batch.verdict import AGAIN, CANCEL, EXIT, REQUEUE, WAIT, Ending, verdict

RULES = [
    # It ended by itself.
    (Ending(0, 0), EXIT, 0, "done"),
    (Ending(0), EXIT, 0, "done"),  # a script
    (Ending(1, 1), EXIT, 1, "ended with exit code 1"),
    (Ending(1, 1, resumable=True), EXIT, 1, "ended with exit code 1"),
    (Ending(2, 2, resumable=True), EXIT, 2, "ended with exit code 2"),
    (Ending(9, 2), EXIT, 2, "ended with exit code 2"),  # launchers have exit codes of their own
    (
        Ending(137, 0, resumable=True),
        EXIT,
        137,
        "ended with exit code 137",
    ),  # all was done, but not the end of it
    (Ending(2, 2, lost_nodes=1, resumable=True), EXIT, 2, "ended with exit code 2"),
    # Its time was up.
    (Ending(75, 75, resumable=True), REQUEUE, 75, "stopped early, with its checkpoint committed"),
    (Ending(143, 75, resumable=True), REQUEUE, 75, "stopped early, with its checkpoint committed"),
    (Ending(75, 75, resumable=True, told_to_stop=True), EXIT, 75, "told to stop"),
    (Ending(75, 75, resumable=True, cancelled=True), CANCEL, 75, "cancelled"),
    (Ending(75, 75, resumable=True, cancelled=True, told_to_stop=True), CANCEL, 75, "cancelled"),
    (
        Ending(75, 75, resumable=True, may_requeue=False),
        EXIT,
        75,
        "the same submission goes on from there",
    ),
    (Ending(75, 75, resumable=True, fruitless=2), REQUEUE, 75, "stopped early"),
    (
        Ending(75, 75, resumable=True, fruitless=3),
        EXIT,
        75,
        "given up, as 3 starts in a row got no further",
    ),
    (Ending(75, 75), EXIT, 75, "there is no checkpoint to go on from"),
    # It was to make room for another job.
    (
        Ending(143, preempted=True),
        WAIT,
        143,
        "to make room for another job",
    ),  # a script, which Slurm requeues
    (Ending(1, 1, preempted=True), WAIT, 1, "to make room"),  # one that raises at SIGTERM
    (Ending(0, 0, preempted=True), EXIT, 0, "done"),  # within its grace
    (Ending(75, 75, resumable=True, preempted=True), REQUEUE, 75, "to make room"),
    (
        Ending(75, 75, resumable=True, preempted=True, told_to_stop=True),
        REQUEUE,
        75,
        "to make room",
    ),
    (Ending(75, 75, resumable=True, preempted=True, may_requeue=False), WAIT, 75, "to make room"),
    (Ending(143, preempted=True, cancelled=True), CANCEL, 143, "cancelled"),
    # It was killed.
    (Ending(137), EXIT, 137, "ended with exit code 137, and there is no checkpoint to go on from"),
    (Ending(137, resumable=True), AGAIN, 137, "killed (the launcher's exit code was 137)"),
    (Ending(137, resumable=True, may_requeue=False), AGAIN, 137, "killed"),
    (Ending(137, resumable=True, fruitless=2), AGAIN, 137, "killed"),
    (
        Ending(137, resumable=True, fruitless=3),
        EXIT,
        137,
        "given up, as 3 starts in a row got no further",
    ),
    (Ending(137, resumable=True, fruitless=3, attempts=4), AGAIN, 137, "killed"),
    (
        Ending(137, resumable=True, warned=True),
        REQUEUE,
        137,
        "killed",
    ),  # there is no time for another start
    (Ending(137, resumable=True, told_to_stop=True), EXIT, 137, "told to stop"),
    (Ending(137, resumable=True, cancelled=True), CANCEL, 137, "cancelled"),
    # Ranks did not find each other.
    (
        Ending(143, started=False),
        AGAIN,
        143,
        "the ranks did not find each other (the launcher's exit code was 143)",
    ),
    (Ending(143, started=False, fruitless=3), EXIT, 143, "given up"),
    (Ending(143, started=False, cancelled=True), CANCEL, 143, "cancelled"),
    (Ending(1, started=False), AGAIN, 1, "the ranks did not find each other"),
    (Ending(0, started=False), AGAIN, 1, "the ranks did not find each other"),
    # They have, and had not opened their output.
    (Ending(137, started=True, awaits_output=True), AGAIN, 137, "killed"),
    (Ending(137, started=True, awaits_output=True, fruitless=3), EXIT, 137, "given up"),
    (Ending(137, started=True, awaits_output=True, lost_nodes=1), REQUEUE, 137, "1 node lost"),
    (Ending(1, started=False, lost_nodes=1), REQUEUE, 1, "1 node lost"),
    (Ending(1, started=False, lost_nodes=1, may_shrink=True), AGAIN, 1, "1 node lost"),
    (Ending(2, 2, started=True, awaits_output=True), EXIT, 2, "ended with exit code 2"),
    # The launcher ended well, and the ranks did not: Open MPI's does so when it loses a node.
    (Ending(0, started=True, resumable=True), AGAIN, 1, "killed (the launcher's exit code was 0)"),
    (Ending(0, started=True, resumable=True, lost_nodes=1), REQUEUE, 1, "1 node lost"),
    (Ending(0, started=True), EXIT, 1, "no checkpoint"),
    (Ending(0, 75, started=True, resumable=True), REQUEUE, 75, "stopped early"),
    # Nodes were lost.
    (Ending(137, resumable=True, lost_nodes=1), REQUEUE, 137, "1 node lost"),
    (Ending(137, resumable=True, lost_nodes=2), REQUEUE, 137, "2 nodes lost"),
    (Ending(1, 1, resumable=True, lost_nodes=1), REQUEUE, 1, "1 node lost"),  # the others noticed
    (Ending(137, resumable=True, lost_nodes=1, may_shrink=True), AGAIN, 137, "1 node lost"),
    (Ending(1, 1, resumable=True, lost_nodes=1, may_shrink=True), AGAIN, 1, "1 node lost"),
    (
        Ending(137, resumable=True, lost_nodes=1, may_requeue=False),
        EXIT,
        137,
        "1 node lost; the same submission",
    ),
    (Ending(75, 75, resumable=True, lost_nodes=1, may_shrink=True), REQUEUE, 75, "1 node lost"),
    (Ending(137, resumable=True, lost_nodes=1, fruitless=3), EXIT, 137, "1 node lost; given up"),
    (Ending(137, lost_nodes=1), EXIT, 137, "there is no checkpoint to go on from"),
]


@pytest.mark.parametrize(("ending", "what", "code", "reason"), RULES)
def test_the_rules(ending, what, code, reason):
    found = verdict(ending)
    assert (found.what, found.code) == (what, code)
    assert reason in found.reason


codes = st.sampled_from([0, 1, 2, 9, 75, 130, 137, 139, 143, 255])
endings = st.builds(
    Ending,
    code=codes,
    last_word=st.none() | st.sampled_from([0, 1, 2, 75]),
    resumable=st.booleans(),
    started=st.sampled_from([None, False, True]),
    awaits_output=st.booleans(),
    told_to_stop=st.booleans(),
    warned=st.booleans(),
    cancelled=st.booleans(),
    lost_nodes=st.integers(0, 3),
    fruitless=st.integers(0, 5),
    attempts=st.integers(1, 5),
    may_requeue=st.booleans(),
    may_shrink=st.booleans(),
)


@settings(max_examples=1000, deadline=None)
@given(one=endings)
@example(one=Ending(0, 75))
def test_what_is_never_done(one):
    what, code, reason = verdict(one)
    repeated = what in (AGAIN, REQUEUE)
    assert what in (EXIT, REQUEUE, AGAIN, CANCEL, WAIT)
    assert reason
    assert reason.isprintable()
    if repeated:
        assert one.fruitless < one.attempts or one.preempted, "not for ever"
        assert not one.cancelled
        assert not one.told_to_stop or one.preempted
        assert one.code != 0 or one.last_word is not None or one.started is not None
        has_done_nothing = one.started is False or one.awaits_output
        assert one.resumable or has_done_nothing, "nothing that is done is lost"
        assert one.last_word not in (0, 2), "what ended well, or had a bad input, is not repeated"
        assert one.last_word != 1 or one.lost_nodes, "nor what failed by itself"
    if what == REQUEUE:
        assert one.may_requeue
        assert one.last_word == 75 or one.lost_nodes or one.warned or one.preempted
    if what == AGAIN:
        assert one.last_word != 75, "its time is up"
        assert not one.warned
        assert not one.lost_nodes or one.may_shrink
    if what == CANCEL:
        assert one.cancelled
    if what == WAIT:
        assert one.preempted
    if code == 0:
        assert one.code == 0
        assert one.last_word == 0 or one.started is one.last_word is None, (
            "what tells has the last word"
        )
        assert what == EXIT
    if one.code != 0:
        assert code != 0
    if one.last_word not in (None, 0):
        assert code == one.last_word, "the program's own exit code is the job's"


@settings(max_examples=300, deadline=None)
@given(one=endings)
def test_more_lost_nodes_or_fewer_rights_never_start_more(one):
    if verdict(one).what == EXIT:
        assert verdict(one._replace(may_requeue=False)).what == EXIT
        assert (
            verdict(one._replace(told_to_stop=True, cancelled=False, preempted=False)).what == EXIT
        )
        assert verdict(one._replace(fruitless=one.fruitless + 1)).what == EXIT
