"""What it costs to keep what a script's tasks come to: ``python benchmarks/resumable.py``.

Ratios of the same script with and without ``--output``, and of one whose tasks are all known to
multiprocessing, whole processes; the best of some runs each. To be taken on a quiet machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 3
BUSY = """
import time
from multiprocessing import Pool

def task(x):
    end = time.perf_counter() + {seconds}
    while time.perf_counter() < end:
        pass
    return x * 0.5

if __name__ == "__main__":
    with Pool(2) as pool:
        begin = time.perf_counter()
        pool.map(task, range({count}))
        print(time.perf_counter() - begin)
"""
EMPTY = """
import time
from multiprocessing import Pool

def task(x):
    return None

if __name__ == "__main__":
    with Pool(2) as pool:
        begin = time.perf_counter()
        assert len(pool.map(task, range(10**6))) == 10**6
        print(time.perf_counter() - begin)
"""


def run(folder: Path, source: str, *command: str) -> tuple[float, str]:
    """Return how long a script took, and what it printed."""
    (folder / "script.py").write_text(source)
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command, "script.py"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - begin, done.stdout


def main() -> None:
    """Print the ratios."""
    ours = ("-m", "mpipar", "run")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seconds, count in ((0.001, 4000), (0.0001, 40_000)):
            source = BUSY.format(seconds=seconds, count=count)
            without, kept = [], []
            for _ in range(RUNS):
                without.append(float(run(folder, source, *ours)[1]))
                kept.append(float(run(folder, source, *ours, "--output", "run.h5")[1]))
            print(f"tasks of {seconds * 1000:g} ms: {min(kept) / min(without):.3f} times")
        run(folder, EMPTY, *ours, "--output", "known.h5")
        resumed = (*ours, "--output", "known.h5", "--resume")
        plain, known = [], []
        for _ in range(RUNS):
            plain.append(run(folder, EMPTY))
            known.append(run(folder, EMPTY, *resumed))
        processes = min(seconds for seconds, _ in known) / min(seconds for seconds, _ in plain)
        calls = min(float(out) for _, out in known) / min(float(out) for _, out in plain)
        print(f"1,000,000 known tasks: {processes:.2f} times multiprocessing, whole processes")
        print(f"1,000,000 known tasks: {calls:.2f} times multiprocessing, the call of map alone")


if __name__ == "__main__":
    main()
