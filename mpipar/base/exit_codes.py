"""What mpipar's commands exit with."""

DONE = 0
FAILED = 1
BAD_INPUT = 2
STOPPED_EARLY = 75
INTERRUPTED = 130
"""The run is done; it failed; the user gave what can't be used; it was told to stop, and has
committed what is done;
Ctrl-C, where nothing is lost by it."""
