import subprocess
import sys

import pytest

from mpipar.pool.ending import _code_of

CODES = (None, 0, 7, 256, -1, True, 2**31, -(2**63), 2**63, 2**70, -(2**70), "text", 2.0, (1,))


@pytest.mark.parametrize("code", CODES, ids=repr)
def test_the_exit_code_is_the_one_that_python_gives(code):
    plain = subprocess.run(
        [sys.executable, "-S", "-I", "-c", f"raise SystemExit({code!r})"], stderr=subprocess.DEVNULL
    )
    assert _code_of(SystemExit(code)) == plain.returncode
