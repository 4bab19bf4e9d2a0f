"""Scripts with pools over two nodes: what they print is what they print under plain Python."""

from pathlib import Path

import pytest
from conftest import python

from slurm.cluster import Cluster
from slurm.jobs import User

SCRIPTS = Path(__file__).parents[1] / "pool" / "as_plain"
PLAIN = [
    "patches.py",
    "state_of_modules.py",
    "names.py",
    "-m package.guarded",
    "references_unguarded.py",
    "mapped_views_unguarded.py",
    "executor_errors.py",
    "interfaces.py",
    "manager_in_module.py",
]
SPREAD = """
import os, time
from multiprocessing import Pool

def where(_):
    time.sleep(0.05)
    return os.uname().nodename

with Pool() as pool:
    print(len(set(pool.map(where, range(20), chunksize=1))))
"""
BATCH = """#!/bin/bash
while read -r script; do
    name=$(basename "${script##* }")
    mkdir "of-$name" && cd "of-$name" || exit 1
    python -m mpipar.batch.step -- -m mpipar run $script < /dev/null > out 2> err
    echo $? > code
    cd ..
done < scripts
"""


@pytest.mark.ci
def test_scripts_behave_on_two_nodes_as_on_one(user: User, cluster: Cluster) -> None:
    """One job runs all of them, one after the other."""
    user.environment |= {"PYTHONPATH": str(SCRIPTS), "PYTHONHASHSEED": "0"}
    (user.place / "spread.py").write_text(SPREAD)
    listed = [f"{user.place}/spread.py"]
    listed += [name if name.startswith("-m") else f"{SCRIPTS}/{name}" for name in PLAIN]
    (user.place / "scripts").write_text("\n".join(listed) + "\n")
    (user.place / "batch.sh").write_text(BATCH)
    number = user.sbatch("--nodes=2", "--ntasks=2", "--output=log", "batch.sh")
    assert cluster.wait(number, timeout=400)["JobState"] == "COMPLETED"
    for script in listed:
        check_that_it_is_as_plain(user, script)


def check_that_it_is_as_plain(user: User, script: str) -> None:
    """Check that a script printed what it prints here, and ended with the same code."""
    *options, name = script.split()
    there = user.place / f"of-{Path(name).name}"
    printed = (there / "out").read_text()
    code = int((there / "code").read_text())
    if name.endswith("spread.py"):
        nodes = 1 + (user.cluster.mode == "namespaces")
        assert (printed, code) == (f"{nodes}\n", 0)
        return
    here = python(*options, name, cwd=user.place, env=user.environment)
    assert (printed, code) == (here.stdout, here.code), (there / "err").read_text()
