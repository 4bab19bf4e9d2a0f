"""The mended bugs that a campaign puts back: each piece of code is still where it was."""

import ast

import old_bugs
import pytest
from suite.copies import ROOT, copy_tree


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


@pytest.mark.ci
@pytest.mark.parametrize("what", ["nohup doesn't hold", "007 is taken for 7"])
def test_a_mended_bug_that_is_put_back_is_seen(what, tmp_path):
    [bug] = [bug for bug in old_bugs.BUGS if bug.what == what]
    copy_tree(tmp_path)
    ring, test = old_bugs.ring_that_sees(bug, tmp_path)
    assert ring == "test"
    assert test.startswith(f"tests/{bug.tests.split()[0]}::")
    assert bug.today in (tmp_path / "mpipar" / bug.file).read_text(), "it is out again"
