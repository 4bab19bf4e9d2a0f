"""What a site's configuration of Slurm means: for a job that is to be submitted, and in general.

::

    scontrol, sinfo, sacctmgr ─▶ Configuration ─┬▶ facts, for mpipar doctor
                                     Request ───┴▶ Case ─▶ remarks, for mpipar submit --check
"""
