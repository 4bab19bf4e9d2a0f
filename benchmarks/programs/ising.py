"""The energy of spins on a lattice."""

import numpy as np

from mpipar import Count, PositiveInt, driver


@driver(n="side", reduction=Count, block=64)
def ising(block, spins, *, side: PositiveInt = 1000):
    """Add the energy of spins that are anyhow, on a square lattice whose borders meet."""
    energy = 0
    for row in block:
        below = (row + 1) % side
        for column in range(side):
            right = (column + 1) % side
            around = int(spins[row, right]) + int(spins[below, column])
            energy -= int(spins[row, column]) * around
    return energy


@ising.shared
def spins(empty, *, side):
    table = empty((side, side), np.int8)
    table[:] = np.random.default_rng(1).integers(0, 2, (side, side), np.int8) * 2 - 1
    return table


ising.on("compiled", boundscheck=False)(ising.function)

if __name__ == "__main__":
    ising.main()
