"""Contracts that reductions and drivers keep, as checks for tests: yours and mpipar's own.

::

    from mpipar.testing import check_driver, check_reduction

    def test_basel():
        check_driver(basel, terms=1000, block=50)

Each raises AssertionError, which says what differs, and returns the result. Nothing here is loaded
by ``import mpipar``.
"""

from mpipar.testing.drivers import check_driver
from mpipar.testing.reductions import check_reduction

__all__ = ["check_driver", "check_reduction"]
