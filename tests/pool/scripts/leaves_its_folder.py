"""A script that leaves the folder where it began, by a relative path."""

import os
from multiprocessing import Pool

os.chdir(os.pardir)
FOLDER = os.getcwd()


def folders(_):
    return FOLDER, os.getcwd()


if __name__ == "__main__":
    with Pool(2) as pool:
        print(*pool.map(folders, range(2)), sep="\n")
