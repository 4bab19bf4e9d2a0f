"""The Mandelbrot set as text, one row for each task."""

from multiprocessing import Pool

import numpy as np

WIDTH, HEIGHT, ITERATIONS = 60, 20, 40


def row(y):
    c = np.linspace(-2.2, 0.8, WIDTH) + 1j * y
    z = np.zeros_like(c)
    escaped = np.full(WIDTH, ITERATIONS)
    for i in range(ITERATIONS):
        inside = np.abs(z) <= 2
        z[inside] = z[inside] ** 2 + c[inside]
        escaped[(np.abs(z) > 2) & (escaped == ITERATIONS)] = i
    return escaped


def main():
    with Pool() as pool:
        picture = pool.map(row, np.linspace(-1.2, 1.2, HEIGHT))
    for line in picture:
        print(
            "".join("#" if count == ITERATIONS else ".:-=+*"[min(count // 2, 5)] for count in line)
        )


if __name__ == "__main__":
    main()
