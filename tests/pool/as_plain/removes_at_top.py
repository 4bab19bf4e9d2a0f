"""A script that clears a folder first, and fills it later."""

import os
from concurrent.futures import ProcessPoolExecutor

if os.path.exists("results"):
    os.remove("results")


def f(x):
    return x + 1


if __name__ == "__main__":
    with open("results", "w") as file:
        file.write("important")
    with ProcessPoolExecutor(2) as executor:
        print(list(executor.map(f, range(3))))
    print(open("results").read())
