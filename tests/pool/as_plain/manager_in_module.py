"""A module starts a manager when it is imported: tasks find that of the script."""

from multiprocessing import Pool

from helper_manager import manager, table


def put(i):
    table[i] = i
    return len(manager.list([i]))


if __name__ == "__main__":
    with Pool(2) as pool:
        print(pool.map(put, range(10)))
    print(sorted(table.items()))
