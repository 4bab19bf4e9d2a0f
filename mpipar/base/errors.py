"""The exceptions of mpipar."""


class MpiparError(Exception):
    """Base of all exceptions that mpipar raises by itself."""


class BadInput(MpiparError, ValueError):
    """What the user gave can't be used; the message says what was got and what is allowed. Exit
    code 2.
    """


class BadKernel(MpiparError, TypeError):
    """A kernel, or what was made of it, can't be used; the message says what is wrong with it. Exit
    code 2.
    """


class StoppedEarly(MpiparError, RuntimeError):
    """The run was told to stop, and did so with its checkpoint committed. Exit code 75."""


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
