"""Numbers from standard input, and options from the command line."""

import argparse
import sys
from multiprocessing import Pool


def digit_sum(line):
    return sum(int(digit) for digit in line if digit.isdigit())


def first_argument(_):
    return sys.argv[1:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="reads_stdin.py")
    parser.add_argument("-n", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("title")
    options = parser.parse_args()
    count = int(input())
    lines = [input() for _ in range(count)]
    print(options.title, options.n, options.workers, len(lines))
    with Pool(options.workers) as pool:
        print(pool.map(digit_sum, lines))
        print(pool.map(first_argument, [0]))
