"""What mpipar's commands exit with."""

DONE, FAILED, BAD_INPUT, STOPPED_EARLY, INTERRUPTED = 0, 1, 2, 75, 130
"""The run is done; it failed; the user gave what can't be used; it was told to stop, and has
committed what is done;
Ctrl-C, where nothing is lost by it."""
