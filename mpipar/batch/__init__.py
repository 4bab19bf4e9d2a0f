"""Slurm: job files, submitting, the step inside an allocation, what became of a job."""
