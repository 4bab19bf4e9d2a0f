"""Pools, managers and queues of a context, which says how processes start."""

import multiprocessing as mp


def cube(x):
    return x**3


def store(shared, x):
    shared.append(cube(x))


if __name__ == "__main__":
    mp.freeze_support()
    context = mp.get_context("spawn")
    with context.Pool(processes=2) as pool:
        print(pool.map(cube, range(8)))
    with mp.get_context("fork").Pool(2) as pool:
        print(pool.apply(cube, (11,)))
    with context.Manager() as manager:
        shared = manager.list()
        with context.Pool(2) as pool:
            pool.starmap(store, [(shared, x) for x in range(5)])
        print(sorted(shared))
    print(context.cpu_count() == mp.cpu_count() > 0, context.get_start_method())
