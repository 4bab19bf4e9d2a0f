"""A driver keeps its contract over ranks and in pools: what check_driver says when mpirun starts it."""

import pytest
from conftest import UNBOUND, chosen_ranks, over

CODE = """
from mpipar.integrate import integrate
from mpipar.mcpi import mcpi
from mpipar.roots import roots
from mpipar.testing import check_driver

check_driver(mcpi, samples=5000, block=100, seed=3)
check_driver(roots, f="sqrt(x)", over=[0.0, 1.0], points=5000, block=100)
check_driver(integrate, f="x**2", over=[0.0, 1.0], samples=10**5, block=500, rel_error=1e-2)
"""


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_drivers_keep_their_contract(ranks):
    finished = over(ranks)("-c", CODE, env=UNBOUND)
    assert finished.code == 0, finished.stderr
    assert finished.own_errors == []
