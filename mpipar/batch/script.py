"""The text of batch scripts: nothing but text in, text out.

A script holds what is the same for all jobs. What a job wants is given to the scheduler as options,
and what it runs as arguments of the script: nothing of either is ever part of shell text.
"""

from __future__ import annotations


def script(head: str, prologue: str, shell: str, command: str) -> str:
    """Return a batch script.

    Parameters
    ----------
    head : str
        Lines of comment, those for the scheduler included.
    prologue : str
        What the site needs.
    shell : str
        What the scheduler needs.
    command : str
        What it executes.
    """
    return f"""#!/bin/bash
{head}
# A warning that comes before Python is there would end this script.
trap 'export MPIPAR_WARNED=1' USR1

{prologue}

# mpipar is parallel over blocks: more threads in libraries would fight for the same cores.
export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-1}}
export OPENBLAS_NUM_THREADS=${{OPENBLAS_NUM_THREADS:-$OMP_NUM_THREADS}}
export MKL_NUM_THREADS=${{MKL_NUM_THREADS:-$OMP_NUM_THREADS}}
{shell}
trap '' USR1
{command}
"""
