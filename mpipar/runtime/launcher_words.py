"""What launchers and schedulers are called here, and what they say in the environment.

This is the one place in the runtime with words of them: it can't ask :mod:`mpipar.batch`, which is
above it.
"""

from __future__ import annotations

# Number of ranks and own rank, innermost launcher first: mpirun inside a step of Slurm counts, not
# the step.
SIZE_AND_RANK = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),  # Open MPI
    ("PMI_SIZE", "PMI_RANK"),  # Hydra (MPICH, Intel MPI), srun --mpi=pmi2, Cray PALS
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),  # MVAPICH
    ("JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_RANK"),  # jsrun
    ("FLUX_JOB_SIZE", "FLUX_TASK_RANK"),  # Flux
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),  # srun with any or no --mpi
)
OF_A_RANK = (
    *("PMI_", "PMIX_", "OMPI_", "PRTE_", "MPI_LOCAL"),
    *("HYDI_", "HYDRA_", "I_MPI_", "MV2_", "JSM_", "FLUX_", "PALS_"),
    *("SLURM_STEP", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_TASK_PID", "SLURM_PMI"),
)
"""How the names begin of what makes a process believe that it is a rank."""

OF_A_JOB = ("SLURM", "SRUN_", "MPIPAR_", "TMPDIR")
"""How the names begin of what else differs from one start of the same command to the next."""

PROGRAMS = ("mpirun", "mpiexec", "prterun", "orterun", "srun")
"""What a user starts ranks with."""

DAEMONS = ("mpirun", "mpiexec", "prte", "orte", "pmix", "hydra", "slurmstepd")
"""What is above the ranks of a node."""

STEP = "SLURM_STEP_ID"
"""Set in what the scheduler's own starter has started."""

STEP_SIZE = "SLURM_STEP_NUM_TASKS"
"""Set there to the number of ranks."""

END_OF_JOB = "SLURM_JOB_END_TIME"
"""When a job is to end, in seconds since 1970."""

CORES_OF_NODE = "SLURM_CPUS_ON_NODE"
"""How many cores of this node a job was given."""

CORES_OF_RANK = "SLURM_CPUS_PER_TASK"
"""How many cores each rank of a job was given."""

CORES_OF_STEP = "SRUN_CPUS_PER_TASK"
"""The same, as the starter reads it: it would hold an mpirun to the cores of one rank."""

NO_END = f"the end of the job is not known (Slurm's {END_OF_JOB} is not set)"
ASK_FOR_GPU = "ask Slurm for one (--gpus-per-node)"
BY_STARTER = "by srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH, Intel MPI)"
UNSET_CORES = f"unset {CORES_OF_STEP} before mpirun, which is one task a node of srun"
MORE_CORES = "pass --cpus-per-task={workers} or --cpu-bind=none to srun"
"""What users are told of, and to do."""
