from multiprocessing import Pool
import sys, os

if os.environ.get("DONE"):
    sys.exit("no")


def f(x):
    return x + 1, os.environ["DONE"]


if __name__ == "__main__":
    os.environ["DONE"] = "1"
    with Pool(2) as p:
        print(p.map(f, [1, 2]))
