"""Where a computation runs: ranks, workers, schedules, and the run itself."""
