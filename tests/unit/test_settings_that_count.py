"""Which settings of libraries make a task another one: those that a script has changed."""

import json
import subprocess
import sys

import pytest

from mpipar.store.fingerprint import Fingerprints

LIBRARIES = {
    "decimal": "decimal.getcontext().prec = 40",
    "csv": "csv.register_dialect('odd', delimiter='|')",
    "mimetypes": "mimetypes.add_type('a/b', '.xyz')",
    "xml.etree.ElementTree": "xml.etree.ElementTree.register_namespace('a', 'b:c')",
    "sqlite3": "sqlite3.register_converter('point', bytes)",
    "joblib": None,
    "matplotlib": "matplotlib.rcParams['lines.color'] = 'red'",
    "pandas": "pandas.set_option('display.max_rows', 5)",
    "sklearn": "sklearn.set_config(transform_output='pandas')",
    "xarray": "xarray.set_options(keep_attrs=True)",
}
"""{library: what changes a setting of it}."""

PROGRAM = """
import importlib, json, os, sys
from mpipar.pool import inheritance

def states():
    return repr((inheritance.states(), inheritance.states_of_users()))

os.environ.update(json.loads(sys.argv[2]))
inheritance.note_defaults()
found = {}
for name, change in json.loads(sys.argv[1]).items():
    before = states()
    try:
        globals()[name.split(".")[0]] = importlib.import_module(name.split(".")[0])
        importlib.import_module(name)
    except ImportError:
        continue
    imported = states()
    if change is not None:
        exec(change)
    found[name] = [imported != before, states() != imported]
print(json.dumps(found))
"""


def counted(libraries, **environment):
    """Return {library: [whether its import counts, whether its change does]}."""
    words = [json.dumps(libraries), json.dumps(environment)]
    command = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
    return json.loads(done.stdout)


def test_imports_do_not_count_and_changes_do():
    found = counted(LIBRARIES)
    assert found.keys() >= {"csv", "mimetypes", "matplotlib", "pandas"}
    for library, (by_import, by_change) in found.items():
        assert (by_import, by_change) == (False, LIBRARIES[library] is not None), library


def test_what_has_happened_in_a_context_does_not_count():
    change = "decimal.Decimal(1) / 3"
    assert counted({"decimal": change}) == {"decimal": [False, False]}


def test_what_the_environment_may_have_set_counts_as_a_whole():
    assert counted({"csv": None}) == {"csv": [False, False]}
    assert counted({"csv": None}, CSV_DELIMITER="|") == {"csv": [True, False]}


@pytest.mark.parametrize("is_drawn", [False, True])
def test_settings_of_pictures_count_for_what_can_draw(is_drawn):
    space = {"__name__": "__main__"}
    body = "plt.rcParams" if is_drawn else "x"
    exec(f"import matplotlib as plt\ndef f(x):\n    return {body}", space)
    prints = [Fingerprints(pictures=state).function(space["f"]) for state in (b"", b"red")]
    assert (prints[0] != prints[1]) == is_drawn


DRAWING = {
    "import matplotlib": True,
    "import pandas": True,
    "from scipy.cluster import hierarchy": True,
    "import importlib; importlib.import_module(x)": True,
    "eval(x)": True,
    "import numpy, math, json": False,
    "from scipy.optimize import brentq": False,
}


@pytest.mark.parametrize("line", DRAWING)
def test_what_a_task_imports_may_draw(line, tmp_path):
    for _ in range(2):  # what is imported is known then
        space = {"__name__": "__main__"}
        exec(compile(f"def f(x):\n    {line}", str(tmp_path / "script.py"), "exec"), space)
        prints = [Fingerprints(pictures=state).function(space["f"]) for state in (b"", b"red")]
        assert (prints[0] != prints[1]) == DRAWING[line]


def test_settings_of_pictures_count_for_items_that_are_pictures():
    figure = pytest.importorskip("matplotlib.figure").Figure
    for item, counts in ((figure, True), ([1, figure], True), ([1, len], False), (1, False)):
        prints = [Fingerprints(pictures=state).item(item) for state in (b"", b"red")]
        assert (prints[0] != prints[1]) == counts
