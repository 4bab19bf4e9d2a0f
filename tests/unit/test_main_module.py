"""Whether workers may import a script: whether it has a guard."""

import sys
from types import ModuleType

import pytest

from mpipar.runtime import main_module


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ('import math\nif __name__ == "__main__":\n    main()\n', True),
        ("if '__main__' == __name__: main()", True),
        ('if __name__ != "__main__":\n    raise ImportError\nmain()', True),
        ('import sys\nif len(sys.argv) == 1 and __name__ == "__main__": main()', True),
        ("", True),
        ("this is no Python", True),
        ("main()", False),
        ("name = __name__\nmain()", False),
        ('def main():\n    if __name__ == "__main__": pass\nmain()', False),
        ("# if __name__ == '__main__':\nmain()", False),
    ],
)
def test_a_guard_is_found(text, may, tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text(text)
    main = ModuleType("__main__")
    main.__file__ = str(script)
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert main_module.may_be_imported() is may


def test_what_was_typed_is_in_no_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    assert main_module.may_be_imported() is False
