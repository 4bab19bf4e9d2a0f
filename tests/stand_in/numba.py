"""Hides Numba, whether it is installed or not: tests that stand in for GPUs ask what is taken without
both.
"""

raise ModuleNotFoundError("No module named 'numba'", name="numba")
