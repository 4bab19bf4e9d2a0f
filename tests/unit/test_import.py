"""What ``import mpipar`` leaves as it is: whoever imports it may not even use it."""

import json
import subprocess
import sys

CODE = """
import atexit, json, os, signal, sys, threading

registered = []
os.register_at_fork = lambda **functions: registered.append("at fork")
atexit.register = lambda *arguments, **options: registered.append("at exit")

def state():
    return {
        "finders": [repr(each) for each in sys.meta_path],
        "path hooks": [repr(each) for each in sys.path_hooks],
        "path": list(sys.path),
        "hooks": [repr(sys.excepthook), repr(threading.excepthook), repr(sys.displayhook)],
        "signals": [repr(signal.getsignal(number)) for number in signal.valid_signals()],
        "environment": dict(os.environ),
        "threads": [thread.name for thread in threading.enumerate()],
        "tasks": len(os.listdir("/proc/self/task")),
        "descriptors": sorted(os.listdir("/proc/self/fd")),
        "registered": list(registered),
    }

before = state()
import mpipar
print(json.dumps([before, state()]))
"""


def test_import_of_mpipar_has_no_side_effects():
    finished = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60
    )
    before, after = json.loads(finished.stdout)
    assert after == before
