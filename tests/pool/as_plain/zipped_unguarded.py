"""Modules in an archive."""

import sys, zipfile
from concurrent.futures import ProcessPoolExecutor

with zipfile.ZipFile("modules.zip", "w") as archive:
    archive.writestr("alone.py", "SCALE = 3\ndef scaled(x): return x * SCALE\n")
    archive.writestr("folder/__init__.py", "")
    archive.writestr("folder/inner.py", "class Thing:\n    size = 1\n")
sys.path.insert(0, "modules.zip")

import alone
from folder.inner import Thing

alone.SCALE = 5
Thing.size = 2


def sizes(thing):
    return thing.size, type(thing) is Thing


with ProcessPoolExecutor(2) as executor:
    print(executor.submit(alone.scaled, 2).result())
    print(executor.submit(sizes, Thing()).result())
    print(type(executor.submit(Thing).result()) is Thing)
