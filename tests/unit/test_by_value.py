"""What tasks use of a script reaches the workers of a pool, however it is defined there."""

import ast
import gc
from pathlib import Path

import pytest
from conftest import python

from mpipar.pool import by_value

PROGRAM = Path(__file__).with_name("by_value_program.py")
DEFINED = [
    node for node in ast.parse(PROGRAM.read_text()).body if isinstance(node, ast.FunctionDef)
]
BY_CASE = [
    node.name
    for node in DEFINED
    if node.decorator_list and "case" in ast.unparse(node.decorator_list[0])
]
OTHERS = [
    *(
        "a_cached_function",
        "a_method",
        "a_method_of_a_class",
        "a_bound_method_of_a_class",
        "a_static_method",
    ),
    *(
        "a_class",
        "a_default",
        "a_closure",
        "another_closure",
        "a_lambda",
        "a_closure_that_calls_itself",
    ),
    *("a_partial", "a_builtin", "an_object_that_can_be_called", "through_eval", "through_globals"),
    *("a_name_bound_again", "changed_in_place", "an_object_bound_again", "a_closure_is_sent_once"),
    *(
        "a_new_pool_sees_what_was_changed",
        "globals_of_an_initializer_stay",
        "values_keep_their_types",
    ),
]


@pytest.fixture(scope="module")
def found():
    finished = python(str(PROGRAM))
    assert finished.own_errors == []
    return finished.json


@pytest.mark.parametrize("case", [*BY_CASE, *OTHERS])
def test_it_is_in_a_worker_as_in_the_script(case, found):
    in_worker, here = found[case]
    assert in_worker == here


def test_no_case_is_left_out(found):
    assert {*BY_CASE, *OTHERS, "an_unpicklable_global"} == set(found)


def test_a_global_that_cannot_be_sent_is_missing_and_the_error_tells_why(found):
    kind, text, notes = found["an_unpicklable_global"][0]
    assert (kind, text) == ("NameError", "name 'LOCK' is not defined")
    assert len(notes) == 1
    assert (
        "'LOCK' of the script could not be sent to workers: cannot pickle '_thread.lock'"
        in notes[0]
    )


def test_a_pickle_in_a_cycle_is_cleared_without_a_word():
    """As exceptions keep it; a view of a BytesIO makes Python 3.13 complain of that."""
    frames = by_value.dumps(1).frames
    frames.append(frames)
    del frames
    gc.collect()
