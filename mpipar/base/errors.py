"""The exceptions of mpipar."""

from __future__ import annotations

from typing import ClassVar

from mpipar.base.exit_codes import BAD_INPUT, FAILED, STOPPED_EARLY


class MpiparError(Exception):
    """Base of all exceptions that mpipar raises by itself.

    Attributes
    ----------
    exit_code : int
        What a command exits with that ends by it.
    """

    exit_code: ClassVar[int] = FAILED


class BadInput(MpiparError, ValueError):
    """What the user gave can't be used; the message says what was got and what is allowed. Exit
    code 2.

    Who needs to know more than the message asks for the facts; nobody takes the message apart.

    Parameters
    ----------
    what : str
        What is wrong.
    option : str
        The option, or the key, that it is about.
    remedy : str
        What to do about it.
    message : str
        All of it in words, if these are other words than "option: what: remedy".
    """

    exit_code = BAD_INPUT

    def __init__(
        self,
        what: str = "",
        *,
        option: str = "",
        remedy: str = "",
        message: str = "",
    ) -> None:
        facts = [fact for fact in (option, what, remedy) if fact]
        super().__init__(message or ": ".join(facts))
        self.what = what
        self.option = option
        self.remedy = remedy

    def within(self, place: str) -> BadInput:
        """Return the same, with the place where it is before the message."""
        message = f"{place}: {self}"
        return BadInput(self.what, option=self.option, remedy=self.remedy, message=message)

    def as_object(self) -> dict[str, str]:
        """Return message and facts, for JSON; ``BadInput(**facts)`` is the same again."""
        return {
            "message": str(self),
            "option": self.option,
            "what": self.what,
            "remedy": self.remedy,
        }


class BadKernel(MpiparError, TypeError):
    """A kernel, or what was made of it, can't be used; the message says what is wrong with it. Exit
    code 2.
    """

    exit_code = BAD_INPUT


class StoppedEarly(MpiparError, RuntimeError):
    """The run was told to stop, and did so with its checkpoint committed. Exit code 75."""

    exit_code = STOPPED_EARLY


class WorkerLost(MpiparError, RuntimeError):
    """A task of a pool was given up, as the workers that had it died; the message names both."""


class PoolTerminated(MpiparError, RuntimeError):
    """A task of a pool had no outcome yet when the pool was terminated."""


class RunFailed(MpiparError, RuntimeError):
    """The run ended without a result; the message names rank, host and block. Exit code 1."""


class ItemFailed(MpiparError, RuntimeError):
    """A function raised, for an item of a map, what isn't a class of exceptions that is loaded
    here.
    """


class UnfitResult(MpiparError, TypeError):
    """A function returned what can't be stored; the message names its type. Not a failure that a
    run goes on after.
    """
