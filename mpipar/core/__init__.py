"""What a computation is: plans, kernels, reductions, random streams. Pure NumPy: no MPI, no files,
no printing.
"""
