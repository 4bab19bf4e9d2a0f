"""How commands end: from exceptions to words for the user and exit codes, in one place."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from mpipar.base.arguments import HelpWanted
from mpipar.base.errors import BadInput, MpiparError
from mpipar.base.exit_codes import BAD_INPUT, DONE, FAILED, INTERRUPTED
from mpipar.base.text import printable
from mpipar.runtime.outlets import flush, note, open_missing, print_warnings, put, reason_of

Main = Callable[[Sequence[str]], int]


def command(program: str) -> Callable[[Main], Main]:
    """Make what runs a command line one that ends well, whatever it raises; a decorator.

    ===================  ===========================================  =====================
    raised               said on stderr                               exit code
    ===================  ===========================================  =====================
    MpiparError          its message                                  the error's own
    OSError              what is wrong with which file                1
    BrokenPipeError      nothing: the reader had enough               0
    KeyboardInterrupt    its argument, or "interrupted"               130
    ===================  ===========================================  =====================

    Anything else is a bug, and leaves its traceback.

    Parameters
    ----------
    program : str
        What messages begin with, such as "mpipar show".

    Returns
    -------
    callable
        A decorator for a function that takes the arguments and returns the exit code.
    """

    def decorate(body: Main) -> Main:
        @functools.wraps(body)
        def main(arguments: Sequence[str]) -> int:
            open_missing()
            print_warnings()
            try:
                code = body(arguments)
            except (MpiparError, HelpWanted) as ending:
                code = tell_ending(program, ending, arguments)
            except BrokenPipeError:  # as in "| head -1"
                code = DONE
            except OSError as error:
                where = f": {error.filename}" if error.filename else ""
                note(printable(f"{program}: {error.strerror or error}{where}"))
                code = FAILED
            except KeyboardInterrupt as interrupt:
                note(f"{program}: {str(interrupt) or 'interrupted'}")
                code = INTERRUPTED
            return flushed(program, code)

        return main

    return decorate


def tell_ending(
    program: str,
    ending: Exception,
    arguments: Sequence[str] = (),
    *,
    by_all_ranks: bool = False,
) -> int:
    """Tell the user why a command ends, and return its exit code.

    What was to be a dry run with JSON tells it as JSON, too.

    Collective over all ranks if it ends by bad input or a call for help, which all ranks see, or if
    it does so ``by_all_ranks``.
    """
    open_missing()
    if isinstance(ending, HelpWanted):
        return say_once(str(ending), sys.stdout, DONE)
    if {"--dry-run", "--json"} <= set(arguments):
        import json

        problem = ending if isinstance(ending, BadInput) else BadInput(str(ending))
        say_once(json.dumps({"problems": [problem.as_object()]}), sys.stdout, DONE)
    code = ending.exit_code if isinstance(ending, MpiparError) else FAILED
    if code == BAD_INPUT:
        return say_bad_input(f"{program}: error: {ending}")
    if by_all_ranks:
        return say_once(f"{program}: {ending}", sys.stderr, code)
    note(f"{program}: {ending}")
    return code


def flushed(program: str, code: int) -> int:
    """Flush what was printed; return the exit code, which is no good one if that can't be done."""
    problem = flush()
    if problem is None:
        return code
    note(f"{program}: what was printed could not be written to stdout: {problem}")
    return code or FAILED


def say_bad_input(message: str) -> int:
    """Write one line to stderr, once for all ranks, and return the exit code.

    Collective over all ranks.
    """
    return say_once(printable(message), sys.stderr, BAD_INPUT)


def print_text(text: str, stream: Any = None) -> None:
    """Print a text, to stdout by default. Raises OSError; a reader who leaves early is none."""
    put(text, sys.stdout if stream is None else stream)


def say_once(text: str, stream: Any, code: int) -> int:
    """Write a text that all ranks have, once, and return the exit code.

    None leaves before the text is written: a launcher may end all when one fails. Collective over
    all ranks.
    """
    from mpipar.runtime.comm import speaks_for_all, world  # most commands end without it

    speaks = speaks_for_all()
    if speaks and stream is sys.stderr:
        note(text.rstrip("\n"))
    elif speaks:
        try:
            print_text(text.rstrip("\n"), stream)
        except OSError as error:
            note(f"mpipar: stdout can't be written to: {reason_of(error)}")
            code = code or FAILED
    try:
        comm = world()
    except BadInput:
        if not speaks:
            time.sleep(1.0)  # copies that don't know of each other have no barrier
        return code
    if not comm.is_lent:  # to pools, which the others serve
        comm.barrier()
    return code
