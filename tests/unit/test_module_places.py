"""Where modules keep what processes share."""

import multiprocessing
import sys
from types import ModuleType

from mpipar.pool.module_places import places_of_modules

SOURCE = """
class Meta(type):
    def __getattribute__(cls, name):
        raise RuntimeError(name)

class Hiding(metaclass=Meta):
    pass

class Holder:
    hiding = Hiding
    hidden = Hiding()
"""


def test_what_hides_itself_keeps_nothing_else_from_being_found(monkeypatch, tmp_path):
    module = ModuleType("hides")
    module.__file__ = str(tmp_path / "hides.py")
    exec(SOURCE, module.__dict__)
    module.shared = multiprocessing.Value("i", 3)
    monkeypatch.setitem(sys.modules, "hides", module)
    names = [place.name for place in places_of_modules() if place.module == "hides"]
    assert "hides.shared" in " ".join(names)
