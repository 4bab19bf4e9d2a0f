"""Settings at the top of a script: tasks see them."""

import copyreg
import csv
import decimal
import gc
import locale
import logging
import os
import resource
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
from multiprocessing import Pool

import numpy as np


class Point:
    pass


class Doubtful(UserWarning):
    pass


def reduced(_):
    return Point, ()


def too_late(*_):
    raise TimeoutError


decimal.getcontext().prec = 40
decimal.getcontext().rounding = decimal.ROUND_UP
decimal.getcontext().traps[decimal.Inexact] = False
decimal.DefaultContext.prec = 33
np.seterr(divide="raise")
np.set_printoptions(precision=3)
os.umask(0o2)
os.environ["TZ"] = "UTC-9"
time.tzset()
sys.setrecursionlimit(5000)
sys.set_int_max_str_digits(10000)
gc.disable()
csv.field_size_limit(77)
csv.register_dialect("pipes", delimiter="|")
socket.setdefaulttimeout(12.5)
threading.stack_size(1 << 20)
warnings.filterwarnings("error", category=RuntimeWarning)
warnings.filterwarnings("ignore", category=Doubtful)
logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s", stream=sys.stdout)
logging.getLogger("a.b").setLevel(5)
locale.setlocale(locale.LC_ALL, "C.UTF-8")
sqlite3.register_adapter(Point, lambda _: "a point")
copyreg.pickle(Point, reduced)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
signal.signal(signal.SIGALRM, too_late)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
tempfile.tempdir = "/var/tmp"


def numbers(_):
    try:
        divided = np.float64(1) / np.float64(0)
    except FloatingPointError as error:
        divided = str(error)
    return (
        str(decimal.Decimal(1) / 3),
        decimal.Context().prec,
        divided,
        str(np.array([1 / 3])),
        np.geterr(),
    )


def of_python(_):
    mask = os.umask(0o2)
    filters = [(action, category.__name__) for action, _, category, _, _ in warnings.filters]
    limits = (
        sys.getrecursionlimit(),
        sys.get_int_max_str_digits(),
        resource.getrlimit(resource.RLIMIT_CORE),
    )
    signals = signal.getsignal(signal.SIGALRM).__name__, signal.getsignal(signal.SIGUSR2)
    return (
        mask,
        filters[:2],
        limits,
        signals,
        gc.isenabled(),
        time.tzname,
        locale.setlocale(locale.LC_ALL),
    )


def of_library(_):
    logging.info("a line of a task")
    adapted = sqlite3.connect(":memory:").execute("select ?", (Point(),)).fetchone()
    fields = csv.field_size_limit(), csv.list_dialects(), next(csv.reader(["1|2"], "pipes"))
    sockets = socket.getdefaulttimeout(), threading.stack_size()
    return (
        adapted,
        fields,
        sockets,
        Point in copyreg.dispatch_table,
        logging.getLogger("a.b").level,
        tempfile.gettempdir(),
    )


with Pool(2) as pool:
    for probe in (numbers, of_python, of_library):
        print(*pool.apply(probe, (0,)), sep="\n")
