"""The mended bugs that a campaign puts back: each piece of code is still where it was."""

import ast

import old_bugs
import pytest
from suite.copies import ROOT


@pytest.mark.parametrize("bug", old_bugs.BUGS, ids=lambda bug: bug.what)
def test_a_mended_bug_can_be_put_back(bug):
    ast.parse(bug.put_back(ROOT))
    for name in bug.tests.split():
        file, _, test = name.partition("::")
        assert f"def {test}" in (ROOT / "tests" / file).read_text(), name


def test_code_that_has_moved_is_told():
    bug = old_bugs.Bug("what was", "core/exact.py", "not to be found", "", "unit/test_exact.py")
    with pytest.raises(ValueError, match=r"what was: 0 times in core/exact\.py, not once"):
        bug.put_back(ROOT)
