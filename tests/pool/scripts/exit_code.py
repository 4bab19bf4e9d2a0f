"""The exit code tells how many checks have failed."""

import sys
from multiprocessing import Pool


def check(n):
    return n % 4 != 0


def main():
    with Pool(2) as pool:
        failed = pool.map(check, range(1, 13)).count(False)
    print(failed, "checks have failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
