"""Squares of numbers, with the processes of a pool."""

import multiprocessing as mp


def square(x):
    return x * x


def main():
    numbers = list(range(1, 21))
    with mp.Pool(processes=4) as pool:
        squares = pool.map(square, numbers)
        lengths = pool.map(len, ["a", "bc", "def"])
        nothing = pool.map(square, [])
    for number, value in zip(numbers, squares, strict=True):
        print(f"{number:3d} squared is {value:4d}")
    print("sum:", sum(squares), "lengths:", lengths, "nothing:", nothing)


if __name__ == "__main__":
    main()
