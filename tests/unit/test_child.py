"""Children of a rank, and the fork server that they come from."""

import pytest
from conftest import python

PROGRAM = """
import multiprocessing, os, signal, sys, time
from mpipar.runtime import child

def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False

def wait(what):
    end = time.monotonic() + 20
    while not what() and time.monotonic() < end:
        time.sleep(0.01)
    assert what()

os.environ["OMP_NUM_THREADS"] = "7"
child.prepare("mpipar.runtime.child")
del os.environ["OMP_NUM_THREADS"]
"""


def run(text, **options):
    end = python("-c", PROGRAM + text, cold=True, **options)
    assert (end.code, end.stderr) == (0, ""), end.stderr
    return end.stdout.split()


def test_children_end_with_their_fork_server_and_there_are_new_ones():
    says = run(
        """
first = child.start(time.sleep, 60)
stat = lambda: open(f"/proc/{first.pid}/status").read()
wait(lambda: int(stat().split("SigIgn:")[1].split()[0], 16) & 2)  # SIGINT, which it ignores when it has begun
os.kill(child._server(), signal.SIGKILL)
wait(lambda: not is_alive(first.pid))
second = child.start(time.sleep, 60)
print(second.is_alive(), os.environ["PMI_RANK"])
known = open(f"/proc/{child._server()}/environ").read().split(chr(0))
print("OMP_NUM_THREADS=7" in known, any(name.startswith("PMI_") for name in known), "OMP_NUM_THREADS" in os.environ)
second.kill()
""",
        env={"PMI_RANK": "3"},
    )
    assert says == ["True", "3", "True", "False", "False"]


@pytest.mark.parametrize("moment", [0.0, 0.002, 0.01])
def test_a_fork_server_that_is_killed_while_children_start_is_replaced(moment):
    says = run(f"""
import threading
threading.Timer({moment}, os.kill, (child._server(), signal.SIGKILL)).start()
children = [child.start(time.sleep, 60) for _ in range(10)]
print(len(children), children[-1].pid > 0)
for process in children:
    process.kill()
""")
    assert says == ["10", "True"]


def test_a_long_temporary_folder_has_room_for_workers(tmp_path):
    folder = tmp_path / ("x" * 125)
    folder.mkdir()
    says = run(
        """
import tempfile
process = child.start(time.sleep, 0)
process.join()
print(process.exitcode, tempfile.gettempdir() == os.environ["TMPDIR"])
""",
        env={"TMPDIR": str(folder)},
    )
    assert says == ["0", "True"]


def test_a_child_that_is_not_told_what_to_do_ends_without_a_word():
    says = run("""
from multiprocessing import forkserver
child.revive()
has_ended, tell = forkserver.connect_to_new_process([])
os.close(tell)  # Ctrl-C
print(len(os.read(has_ended, 8)), len(os.read(has_ended, 8)), len(os.read(has_ended, 1)))
""")
    assert says == ["8", "8", "0"]
