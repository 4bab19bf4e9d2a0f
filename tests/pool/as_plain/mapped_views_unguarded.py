"""Views of mapped files in all shapes: tasks write to the files, and copy nothing."""

import numpy as np
from multiprocessing import Pool

np.save("a.npy", np.arange(30_000, dtype="i8").reshape(100, 300))
r = np.zeros(5000, dtype=[("x", "f8"), ("n", "i4")])
r.tofile("r.bin")
A = np.load("a.npy", mmap_mode="r")
F = np.asfortranarray(A)
T = A.T
P = np.asarray(A)[3:, ::2]
C = np.load("a.npy", mmap_mode="c")
R = np.memmap("r.bin", dtype=r.dtype, mode="r+")
X = R["x"]
Q = R.view(np.recarray)
OFF = np.memmap("r.bin", dtype="u1", mode="r", offset=5000, shape=(1000,))
Z = np.memmap("new.bin", dtype="f4", mode="w+", shape=(7,))
V = Z[::-2]


class H:
    data = R[10:20]


h = H()
h.arr = A[5:9]


def f(i):
    X[i] = i + 1
    Q.n[i] = 7
    V[0] = 3
    H.data["x"][0] = 9
    try:
        A[0, 0] = 1
        w = "w"
    except ValueError:
        w = "ro"
    C[0, 0] = -5
    return (
        [(type(a).__name__, a.shape, int(np.sum(a))) for a in (A, T, P, F)],
        w,
        OFF.sum(),
        int(C[0, 0]),
        h.arr.sum(),
        type(Q).__name__,
    )


if True:
    with Pool(2) as p:
        print(p.map(f, [1, 2]))
    print(X[:4], R["n"][:4], Z, R["x"][10], C[0, 0])
