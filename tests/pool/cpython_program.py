"""CPython's own tests of process pools, unmodified: ``mpipar run cpython_program.py pool|executor
FOLDER [names …]``.

FOLDER has ``test_concurrent_futures.py``. Leaves out the tests that are named: all of a class, or
``Class.test``. Prints, as JSON, how many were run, and the last lines of those that failed.
"""

import importlib
import json
import sys
import unittest

MODULES = {"pool": "cpython_cases", "executor": "test_concurrent_futures"}
PREFIXES = {"pool": "_Test", "executor": "ProcessPoolFork"}


def cases(what):
    module = importlib.import_module(MODULES[what])
    names = [
        name
        for name in vars(module)
        if name.startswith(PREFIXES[what]) and "Forkserver" not in name
    ]
    found = [getattr(module, name) for name in names]
    return [
        each for each in found if isinstance(each, type) and issubclass(each, unittest.TestCase)
    ]


def all_tests(cases, left_out):
    suite = unittest.TestSuite()
    for case in cases:
        for name in unittest.defaultTestLoader.getTestCaseNames(case):
            if left_out.isdisjoint((case.__name__, f"{case.__name__}.{name}")):
                suite.addTest(case(name))
    return suite


def last_line(trace):
    return trace.strip().splitlines()[-1]


if __name__ == "__main__":
    what, folder, *left_out = sys.argv[1:]
    sys.path.append(folder)
    suite = all_tests(cases(what), set(left_out))
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
    failed = {
        test.id().split(".", 1)[1]: last_line(trace)
        for test, trace in [*result.failures, *result.errors]
    }
    print()  # the tests print, too
    print(json.dumps({"run": result.testsRun, "failed": failed}))
