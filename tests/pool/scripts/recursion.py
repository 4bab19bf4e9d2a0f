"""Queens on a chess board: recursive functions that call each other, one first row for each
task.
"""

import multiprocessing


def is_safe(queens, column):
    row = len(queens)
    return all(c != column and abs(c - column) != row - r for r, c in enumerate(queens))


def place(queens, size):
    if len(queens) == size:
        return 1
    return sum(descend(queens, column, size) for column in range(size))


def descend(queens, column, size):
    return place((*queens, column), size) if is_safe(queens, column) else 0


def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


if __name__ == "__main__":
    size = 6
    with multiprocessing.Pool() as pool:
        solutions = pool.starmap(descend, [((), column, size) for column in range(size)])
        print(solutions, sum(solutions))
        print(pool.map(is_even, range(6)))
