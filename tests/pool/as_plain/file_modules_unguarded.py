"""A plugin that is loaded from its file, whose objects tasks get."""

import ctypes, importlib.util, os, sys, types, tempfile, numpy as np
from concurrent.futures import ProcessPoolExecutor

d = tempfile.mkdtemp()
with open(os.path.join(d, "plug.py"), "w") as fh:
    fh.write(
        "K = 7\nclass C:\n    def __init__(self, x): self.x = x\n    def go(self): return self.x + K\n"
    )
spec = importlib.util.spec_from_file_location("plug", os.path.join(d, "plug.py"))
plug = importlib.util.module_from_spec(spec)
sys.modules["plug"] = plug
spec.loader.exec_module(plug)

libm = ctypes.CDLL("libm.so.6")
libm.cos.restype = ctypes.c_double
libm.cos.argtypes = [ctypes.c_double]


class V(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


def f(c):
    return c.go(), plug.C(1).go(), libm.cos(0.0), V(1, 2.5).y


ex = ProcessPoolExecutor(1)
print(list(ex.map(f, [plug.C(1), plug.C(2)])))
ex.shutdown()
