"""Settings of Python, its library and others that a script changes and its tasks see: a table.

Forked workers of multiprocessing have them, as they are copies of the script's process. Ours get
them with what sets them up: each row says how a setting is taken in the script's process and put
into force in a worker. It is taken where the script has imported the module, and put where the
worker has, or else when it does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from mpipar.pool import setting_forms as forms
from mpipar.pool import setting_logs as logs
from mpipar.pool import sharing

OF_LIBRARY = "library"
OF_THREAD = "thread"
OF_PROCESS = "process"


class Setting(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    name : str
        For messages.
    module : str
        Without which there is no such setting.
    take : callable
        Returns the setting, given the module; None is nothing to tell.
    put : callable
        Puts it into force, given the module and what was taken.
    kind : str
        OF_LIBRARY; OF_THREAD: each thread has its own; OF_PROCESS: the system's, and a worker's own
        is not touched unless the script has changed it.
    """

    name: str
    module: str
    take: Callable[[ModuleType], Any]
    put: Callable[[ModuleType, Any], Any]
    kind: str = OF_LIBRARY


def _by_functions(
    name: str,
    module: str,
    getter: str,
    setter: str,
    kind: str = OF_LIBRARY,
) -> Setting:
    """Return a setting that one function returns and another takes."""
    get = forms.dotted(getter)
    put = forms.dotted(setter)
    return Setting(
        name,
        module,
        lambda of: get(of)(),
        lambda of, value: put(of)(value),
        kind,
    )


def _by_keywords(
    name: str,
    module: str,
    getter: str,
    setter: str,
    kind: str = OF_LIBRARY,
) -> Setting:
    """Return settings that one function returns as a dict and another takes as keywords."""
    get = forms.dotted(getter)
    put = forms.dotted(setter)
    return Setting(
        name,
        module,
        lambda of: dict(get(of)()),
        lambda of, value: put(of)(**value),
        kind,
    )


def _attributes(
    name: str,
    module: str,
    owner: str,
    *attributes: str,
) -> Setting:
    """Return settings that are attributes of an object."""
    find = forms.dotted(owner)

    def take(of: ModuleType) -> dict[str, Any]:
        owned = find(of)
        found = {}
        for each in attributes:
            if hasattr(owned, each):
                found[each] = getattr(owned, each)
        return found

    def put(of: ModuleType, values: dict[str, Any]) -> None:
        for each, value in values.items():
            setattr(find(of), each, value)

    return Setting(name, module, take, put)


def _contents(name: str, module: str, owner: str) -> Setting:
    """Return settings that are the values of a dict."""
    find = forms.dotted(owner)
    return Setting(
        name,
        module,
        lambda of: dict(find(of)),
        lambda of, values: find(of).update(values),
    )


def _start_method(multiprocessing: Any) -> str:
    return multiprocessing.get_start_method(allow_none=True) or ""


def _set_start_method(multiprocessing: Any, method: str) -> None:
    multiprocessing.set_start_method(method or None, force=True)


def _umask(_: Any) -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _limits(resource: Any) -> dict[str, Any]:
    found = {}
    for name in dir(resource):
        if name.startswith("RLIMIT_"):
            found[name] = resource.getrlimit(getattr(resource, name))
    return found


def _set_limits(resource: Any, limits: dict[str, Any]) -> None:
    for name, limit in limits.items():
        number = getattr(resource, name, None)
        if number is not None and resource.getrlimit(number) != limit:
            with contextlib.suppress(ValueError, OSError):  # another node may allow less
                resource.setrlimit(number, limit)


_KEPT_SIGNALS = {signal.SIGINT, signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP}


def _handlers(_: Any) -> dict[int, Any]:
    """Return what is done at signals; at Ctrl-C and the end of children workers do what they
    must.
    """
    found = {}
    for number in signal.valid_signals() - _KEPT_SIGNALS:
        handler = signal.getsignal(number)
        if handler is not None:
            found[int(number)] = handler
    return found


def _set_handlers(_: Any, handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


def _set_zone(time: Any, names: tuple[str, str]) -> None:
    if time.tzname != names:
        time.tzset()


def _streams(of: Any) -> dict[str, Any]:
    found = {}
    for name in ("stdout", "stderr"):
        stream = getattr(of, name)
        if type(stream).__name__ == "TextIOWrapper":
            found[name] = {"encoding": stream.encoding, "errors": stream.errors}
    return found


def _set_streams(of: Any, streams: dict[str, Any]) -> None:
    for name, options in streams.items():
        getattr(of, name).reconfigure(**options)


SETTINGS = [
    # Python itself
    _by_functions("recursion limit", "sys", "getrecursionlimit", "setrecursionlimit"),
    _by_functions(
        "digits of whole numbers", "sys", "get_int_max_str_digits", "set_int_max_str_digits"
    ),
    _by_functions("switch interval", "sys", "getswitchinterval", "setswitchinterval"),
    _attributes(
        "options of sys", "sys", "", "tracebacklimit", "dont_write_bytecode", "pycache_prefix"
    ),
    Setting("encoding of output", "sys", _streams, _set_streams, OF_PROCESS),
    Setting("garbage collection", "gc", forms.take_collection, forms.put_collection),
    Setting("warnings", "warnings", forms.take_warnings, forms.put_warnings),
    Setting(
        "faulthandler",
        "faulthandler",
        lambda of: of.is_enabled() or None,
        lambda of, _: of.enable(of_stderr()),
    ),
    # the system's
    Setting("umask", "os", _umask, lambda _, mask: os.umask(mask), OF_PROCESS),
    Setting(
        "niceness",
        "os",
        lambda of: of.nice(0),
        lambda of, nice: of.nice(nice - of.nice(0)),
        OF_PROCESS,
    ),
    Setting("limits of the system", "resource", _limits, _set_limits, OF_PROCESS),
    Setting("signal handlers", "signal", _handlers, _set_handlers, OF_PROCESS),
    # the standard library
    _by_functions("decimal", "decimal", "getcontext", "setcontext", OF_THREAD),
    Setting("contexts of decimal", "decimal", forms.take_contexts, forms.put_contexts),
    Setting("locale", "_locale", lambda of: of.setlocale(of.LC_ALL), forms.put_locale),
    Setting("time zone", "time", lambda of: of.tzname, _set_zone),
    Setting("logging", "logging", logs.take_logging, logs.put_logging),
    _by_functions("timeout of sockets", "socket", "getdefaulttimeout", "setdefaulttimeout"),
    _by_functions("stack size of threads", "threading", "stack_size", "stack_size"),
    _by_functions("field size of CSV", "_csv", "field_size_limit", "field_size_limit"),
    Setting("dialects of CSV", "csv", forms.take_dialects, forms.put_dialects),
    Setting("adapters of sqlite3", "sqlite3", forms.take_adapters, forms.put_adapters),
    Setting("classes of abc", "abc", forms.take_registered, forms.put_registered),
    Setting("copyreg", "copyreg", forms.take_reducers, forms.put_reducers),
    Setting("start of processes", "multiprocessing", _start_method, _set_start_method),
    Setting(
        "ForkingPickler", "multiprocessing.reduction", sharing.take_reducers, sharing.put_reducers
    ),
    _attributes("folder of tempfile", "tempfile", "", "tempdir"),
    _contents("namespaces of XML", "xml.etree.ElementTree", "_namespace_map"),
    _attributes(
        "types of mimetypes",
        "mimetypes",
        "",
        "types_map",
        "encodings_map",
        "suffix_map",
        "common_types",
    ),
    # numbers
    _by_keywords("errors of NumPy", "numpy", "geterr", "seterr", OF_THREAD),
    _by_functions("callback of NumPy's errors", "numpy", "geterrcall", "seterrcall", OF_THREAD),
    _by_keywords("printing of NumPy", "numpy", "get_printoptions", "set_printoptions", OF_THREAD),
    _by_functions("buffer of NumPy", "numpy", "getbufsize", "setbufsize", OF_THREAD),
    _by_keywords("errors of scipy.special", "scipy.special", "geterr", "seterr"),
    _attributes("precision of mpmath", "mpmath", "mp", "prec", "pretty", "trap_complex"),
    _attributes("intervals of mpmath", "mpmath", "iv", "prec"),
    Setting("gmpy2", "gmpy2", forms.take_gmpy2, forms.put_gmpy2, OF_THREAD),
    _attributes("precision of flint", "flint", "ctx", "prec", "cap", "unicode", "pretty"),
    Setting("SymPy", "sympy.core.parameters", forms.take_sympy, forms.put_sympy, OF_THREAD),
    Setting("torch", "torch", forms.take_torch, forms.put_torch),
    Setting("JAX", "jax", forms.take_jax, forms.put_jax),
    _attributes("threads of pyFFTW", "pyfftw", "config", "NUM_THREADS", "PLANNER_EFFORT"),
    # tables and pictures
    Setting("pandas", "pandas", forms.take_pandas, forms.put_pandas),
    Setting("matplotlib", "matplotlib", forms.take_matplotlib, forms.put_matplotlib),
    _contents("xarray", "xarray.core.options", "OPTIONS"),
    _by_keywords("scikit-learn", "sklearn", "get_config", "set_config", OF_THREAD),
    _contents("dask", "dask.config", "config"),
    _contents("backends of joblib", "joblib.parallel", "BACKENDS"),
]


def of_stderr() -> Any:
    """Return where faults are told."""
    return sys.__stderr__
