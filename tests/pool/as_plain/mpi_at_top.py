"""MPI is imported with the script; the first thing that tasks use of it isn't COMM_WORLD."""

from mpi4py import MPI
from multiprocessing import Pool


class Sim:
    def __init__(self, comm=None):
        self.comm = comm or MPI.COMM_SELF

    def run(self, x):
        sub = self.comm.Split(0)
        n = sub.size
        sub.Free()
        return n, self.comm.rank, x


def f(x):
    return Sim().run(x), Sim(MPI.COMM_WORLD).run(x)


if __name__ == "__main__":
    with Pool(2) as p:
        print(p.map(f, range(3)))
