"""The exceptions of mpipar. Imports nothing of mpipar."""


class MpiparError(Exception):
    """Base of all exceptions that mpipar raises by itself."""


class BadInput(MpiparError, ValueError):
    """What the user gave can't be used; the message says what was got and what is allowed. Exit code 2."""


class StoppedEarly(MpiparError, RuntimeError):
    """The run was told to stop, and did so with its checkpoint committed. Exit code 75."""


class RunFailed(MpiparError, RuntimeError):
    """The run ended without a result; the message names rank, host and block. Exit code 1."""
