"""A script that asks another program."""

import subprocess
from multiprocessing import Pool

ANSWER = subprocess.run(["echo", "42"], capture_output=True, text=True).stdout


def f(x):
    return x + int(ANSWER)


if __name__ == "__main__":
    with Pool(2) as pool:
        print(pool.map(f, range(3)))
