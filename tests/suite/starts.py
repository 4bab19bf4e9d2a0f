"""Counts what a test starts: see account.py."""

import os

STARTS = "MPIPAR_TEST_STARTS"  # names the file to which each interpreter adds a line when it starts


def note_warm_start() -> None:
    """Count this process, which is a fork."""
    path = os.environ.get(STARTS)
    if path and os.access(path, os.W_OK):
        rank = os.environ.get("PMI_RANK") or os.environ.get("OMPI_COMM_WORLD_RANK") or "-"
        with open(path, "a") as file:
            file.write(f"warm {rank}\n")
