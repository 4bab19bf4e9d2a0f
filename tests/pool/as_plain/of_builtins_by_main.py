"""A main part that puts its own into builtins, os and sys."""

import builtins, os, sys
from multiprocessing import Pool

listdir = os.listdir


def first(folder="."):
    return [min([*listdir(folder), "z"])]


def f(x):
    return (
        VERBOSE,
        shout("a"),
        os.cpu_count(),
        os.notes,
        os.listdir() == first(),
        sys.state,
        sys.ps1,
    )


def patch():
    builtins.VERBOSE = 3
    builtins.shout = str.upper
    os.cpu_count = lambda: 77
    os.notes = [1]
    os.listdir = first
    sys.state = {"a": 1}
    sys.ps1 = "> "


def main():
    patch()
    with Pool(2) as p:
        print(p.map(f, [1, 2]))


if __name__ == "__main__":
    main()
