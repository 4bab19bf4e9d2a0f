"""Scripts with pools over two nodes: what they print is what they print under plain Python."""

from pathlib import Path

import pytest
from conftest import python

from slurm.cluster import Cluster
from slurm.jobs import User

POOL = Path(__file__).parents[1] / "pool"
AS_PLAIN = POOL / "as_plain"
SOME = [
    *(
        f"{AS_PLAIN}/{name}.py"
        for name in (
            "patches",
            "state_of_modules",
            "names",
            "references_unguarded",
            "mapped_views_unguarded",
            "executor_errors",
            "interfaces",
            "manager_in_module",
            "patches_by_main",
            "shared_by_main",
        )
    ),
    "-m package.guarded",
    f"{POOL}/scripts/queue_read_late.py",
]
OTHERWISE = {
    "views_of_shared.py",  # raw memory, which is one node's
    "shared_memory_blocks.py",
    "shared_with_tasks.py",
    "reads_stdin.py",  # these need arguments
    "thumbnails.py",
    "word_count.py",
}
ALL = [
    *sorted(
        str(path)
        for folder in ("as_plain", "scripts")
        for path in (POOL / folder).glob("*.py")
        if path.name not in OTHERWISE and not path.name.startswith("helper_")
    ),
    "-m package.guarded",
    "-m package.unguarded",
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


@pytest.mark.parametrize(
    "scripts",
    [
        pytest.param(SOME, marks=pytest.mark.ci, id="some"),
        pytest.param(ALL, marks=pytest.mark.campaign, id="all"),
    ],
)
def test_scripts_behave_on_two_nodes_as_on_one(
    user: User, cluster: Cluster, scripts: list[str]
) -> None:
    """One job runs all of them, one after the other."""
    user.environment |= {"PYTHONPATH": str(AS_PLAIN), "PYTHONHASHSEED": "0"}
    spread = user.place / "spread.py"
    spread.write_text(SPREAD)
    scripts = [str(spread), *scripts]
    (user.place / "scripts").write_text("\n".join(scripts) + "\n")
    (user.place / "batch.sh").write_text(BATCH)
    number = user.sbatch("--nodes=2", "--ntasks=2", "--output=log", "batch.sh")
    assert cluster.wait(number, timeout=40 * len(scripts))["JobState"] == "COMPLETED"
    different = [what for script in scripts if (what := difference(user, script))]
    assert not different, "\n".join(different)


def difference(user: User, script: str) -> str | None:
    """Return what a script said if it didn't print what it prints here, in any order, or ended
    with another code.
    """
    *options, name = script.split()
    there = user.place / f"of-{Path(name).name}"
    printed = (there / "out").read_text()
    code = int((there / "code").read_text())
    if name.endswith("/spread.py"):
        nodes = 1 + (user.cluster.mode == "namespaces")
        is_as_plain = (printed, code) == (f"{nodes}\n", 0)
    else:
        here = python(*options, name, cwd=user.place, env=user.environment)
        is_as_plain = code == here.code and (
            sorted(printed.splitlines()) == sorted(here.stdout.splitlines())
        )
    return None if is_as_plain else f"{script}: {code}: {printed}{(there / 'err').read_text()}"
