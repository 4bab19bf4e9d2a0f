"""A script that goes on when its folder can't be made."""

import os
import shutil
from multiprocessing import Pool

try:
    os.mkdir("made")
    made = True
except Exception:
    made = False


def f(x):
    return x, made


if __name__ == "__main__":
    shutil.rmtree("made")
    with Pool(2) as pool:
        print(pool.map(f, range(3)))
    print(os.path.exists("made"))
