"""A script with a module of its own beside it."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool

import geometry
from geometry import Shape, area


def volume(shape):
    return geometry.area(shape) * geometry.UNIT


if __name__ == "__main__":
    shapes = [Shape(kind, size) for kind in geometry.SHAPES for size in (1, 2)]
    with Pool(2) as pool:
        print([f"{value:.4f}" for value in pool.map(area, shapes)])
        print([f"{value:.4f}" for value in pool.map(volume, shapes)])
    with ProcessPoolExecutor() as executor:
        print(list(executor.map(geometry.enlarged, shapes)))
        print(executor.submit(geometry.enlarged, shapes[-1]).result())
