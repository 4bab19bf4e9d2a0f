"""Slurm: all that mpipar says to it, and understands of it.

Each module is named by the program of Slurm that it calls, or by what it knows of Slurm; nothing
outside of this folder has a word of these, and :class:`mpipar.batch.slurm.scheduler.Slurm` is the
one door. ::

    sbatch     submit and test jobs          options    what a job needs, as options of sbatch
    squeue     the states of jobs, times     states     what the names of states mean
    scancel    cancel, send signals          reasons    why jobs wait, in plain words
    scontrol   the cluster, requeue          script     batch scripts
    srun       starts ranks, asks nodes      variables  what a job finds in its environment

``calls`` runs the programs, and ``answers`` reads what they say.
"""
