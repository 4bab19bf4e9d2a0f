"""Tasks that say hello."""

import sys
from multiprocessing import Pool


def hello(name):
    print(f"hello from the task of {name}")
    sys.stdout.write(f"and goodbye from {name}\n")
    return len(name)


if __name__ == "__main__":
    print("begin")
    pool = Pool(3)
    lengths = pool.map(hello, ["Ada", "Grace", "Guido", "Tim"])
    pool.close()
    pool.join()
    print("lengths:", lengths)
