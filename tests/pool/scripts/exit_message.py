"""The end with a message, in the midst of a pool."""

import sys
from multiprocessing import Pool


def parse(text):
    return int(text)


if __name__ == "__main__":
    with Pool(2) as pool:
        print(pool.map(parse, ["1", "2"]))
        if not pool.map(parse, []):
            sys.exit("error: there is nothing to do")
    print("never reached")
