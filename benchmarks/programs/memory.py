"""Prints the peak of this process's memory, in MiB.   python memory.py steps|mpipar|multiprocessing
NUMBER
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def same(x):
    return x


def main():
    what, number = sys.argv[1:]
    try:
        if what == "steps":
            import mpipar.pi

            mpipar.pi.pi.main(["--steps", number])
        else:
            from importlib import import_module

            with import_module(what).Pool(2) as pool:
                assert sum(1 for _ in pool.imap(same, range(int(number)))) == int(number)
    finally:
        # Not ru_maxrss, which a process inherits from the one that started it.
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]
        sys.stdout.write(f"\npeak {int(peak) / 1024}\n")


if __name__ == "__main__":
    main()
