import ctypes, ctypes.util, logging, contextvars, threading, importlib.util, sys, types, os, pathlib
import numpy as np
from multiprocessing import Pool

here = os.path.dirname(os.path.abspath(__file__))
libc = ctypes.CDLL(None)
log = logging.getLogger("app")
var = contextvars.ContextVar("var", default=3)
lock, rlock, event, cond, sem = (
    threading.Lock(),
    threading.RLock(),
    threading.Event(),
    threading.Condition(),
    threading.Semaphore(2),
)
local = threading.local()
if not os.path.exists("mm.npy"):
    np.save("mm.npy", np.arange(1000.0))
mm = np.load("mm.npy", mmap_mode="r")
spec = importlib.util.spec_from_file_location(
    "helper_module", os.path.join(here, "helper_module.py")
)
extra = importlib.util.module_from_spec(spec)
spec.loader.exec_module(extra)


def f(x):
    with lock, rlock, cond, sem:
        pass
    local.x = 1
    return (
        libc.abs(-x),
        log.name,
        var.get(),
        event.is_set(),
        float(mm[x]),
        type(mm).__name__,
        mm.filename is not None,
        extra.twice(x),
    )


def main():
    with Pool(2) as p:
        print(p.map(f, [1, 2]))


if __name__ == "__main__":
    main()
