"""The product of two matrices, a block of rows for each task."""

from multiprocessing import Pool

import numpy as np

rng = np.random.default_rng(1)
A = rng.integers(0, 10, (120, 200))
B = rng.integers(0, 10, (200, 150))


def multiply(rows):
    return rows @ B


def norms(block):
    block += 1
    return np.sqrt((block.astype(float) ** 2).sum(axis=1))


def main():
    blocks = np.array_split(A, 7)
    with Pool(4) as pool:
        product = np.vstack(pool.map(multiply, blocks))
        lengths = np.concatenate(pool.map(norms, blocks))
    print(product.shape, product.dtype, product.sum(), np.array_equal(product, A @ B))
    print(product[:2, :5].tolist())
    print(f"{lengths.sum():.6f}", A.min())


if __name__ == "__main__":
    main()
