"""CPython's own tests of process pools, unmodified, in a module that workers can import as they can
CPython's.
"""

import unittest

from test import _test_multiprocessing

for _name in ("_TestPool", "_TestPoolWorkerErrors", "_TestPoolWorkerLifetime"):
    _bases = (
        getattr(_test_multiprocessing, _name),
        _test_multiprocessing.ProcessesMixin,
        unittest.TestCase,
    )
    globals()[_name] = type(_name, _bases, {"__module__": __name__})
