"""Settings that take more than a getter and a setter: how each is taken, and put into force."""

from __future__ import annotations

import contextlib
import importlib
import operator
import re
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mpipar.pool.arrivals import on_arrival


def dotted(path: str) -> Callable[[Any], Any]:
    """Return what looks a path of attributes up; an empty one is the object itself."""
    if not path:
        return lambda of: of
    return operator.attrgetter(path)


# Python itself


def take_collection(gc: Any) -> tuple[bool, tuple[int, int, int], int]:
    """Return whether and when garbage is collected."""
    return gc.isenabled(), gc.get_threshold(), gc.get_debug()


def put_collection(gc: Any, state: tuple[bool, tuple[int, int, int], int]) -> None:
    """Collect garbage as the script does."""
    is_enabled, thresholds, debug = state
    if is_enabled:
        gc.enable()
    else:
        gc.disable()
    gc.set_threshold(*thresholds)
    gc.set_debug(debug)


def take_warnings(of: Any) -> tuple[list[Any], list[str]]:
    """Return the filters of warnings, and the packages that the script has imported.

    The category of a filter is named unless it is the script's own: a worker needn't import its
    module for that.
    """
    filters = []
    for action, message, category, module, line in of.filters:
        named: Any = category
        if category.__module__ not in ("builtins", "__main__"):
            named = category.__module__, category.__qualname__
        filters.append((action, message, named, module, line))
    packages = {name for name in list(sys.modules) if "." not in name}
    packages -= sys.stdlib_module_names
    packages.discard("__main__")
    return filters, sorted(packages)


def put_warnings(of: Any, state: tuple[list[Any], list[str]]) -> None:
    """Put filters into force, and again when a package that brings its own, or a category, is
    imported.
    """
    filters, packages = state
    ours: list[list[Any]] = [[]]

    def put() -> None:
        found = []
        for action, message, named, module, line in filters:
            category = _category(named)
            if category is not None:
                found.append((action, message, category, module, line))
        ours[0] = found
        if of.filters != found:
            of.filters[:] = found
            of._filters_mutated()

    def again(_: ModuleType) -> None:
        put()

    def look() -> Callable[[ModuleType], None]:
        if of.filters != ours[0]:
            return _leave
        return again

    put()
    awaited = _modules_of_categories(filters) | set(packages)
    for name in awaited - sys.modules.keys():
        on_arrival(name, again, before=look)


def _modules_of_categories(filters: list[Any]) -> set[str]:
    """Return the modules of the categories that are named."""
    found = set()
    for _, _, named, _, _ in filters:
        if isinstance(named, tuple):
            module, _ = named
            found.add(module)
    return found


def _leave(_: ModuleType) -> None:
    """Leave filters that a task has changed."""


def _category(named: Any) -> Any:
    """Return the category of a filter; None if its module has not been imported."""
    if not isinstance(named, tuple):
        return named
    module, path = named
    if module not in sys.modules:
        return None
    with contextlib.suppress(AttributeError):
        return dotted(path)(sys.modules[module])
    return None


# The standard library


_OF_CONTEXTS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
_CONTEXTS = "DefaultContext", "BasicContext", "ExtendedContext"


def take_contexts(decimal: Any) -> dict[str, Any]:
    """Return the contexts that others are made from."""
    return {name: getattr(decimal, name).copy() for name in _CONTEXTS}


def comparable(state: Any) -> Any:
    """Return a setting with contexts of decimal as what equal ones have in common: not what has
    happened in them.
    """
    if isinstance(state, dict):
        return {name: comparable(value) for name, value in state.items()}
    if type(state).__module__ != "decimal" or not hasattr(state, "traps"):
        return state
    traps = [signal.__name__ for signal, is_set in state.traps.items() if is_set]
    return *operator.attrgetter(*_OF_CONTEXTS)(state), *sorted(traps)


def put_contexts(decimal: Any, contexts: dict[str, Any]) -> None:
    """Change the contexts that others are made from."""
    for name, wanted in contexts.items():
        context = getattr(decimal, name)
        for each in _OF_CONTEXTS:
            setattr(context, each, getattr(wanted, each))
        for signal in wanted.traps:
            context.traps[signal] = wanted.traps[signal]


def put_locale(locale: Any, wanted: str) -> None:
    """Set the locale, part by part where they differ."""
    if locale.setlocale(locale.LC_ALL) == wanted:
        return
    import locale as whole

    whole.setlocale(locale.LC_ALL, wanted)


_OF_DIALECTS = (
    *("delimiter", "doublequote", "escapechar", "lineterminator"),
    *("quotechar", "quoting", "skipinitialspace", "strict"),
)


def take_dialects(csv: Any) -> dict[str, dict[str, Any]]:
    """Return the dialects of CSV files."""
    found = {}
    for name in csv.list_dialects():
        dialect = csv.get_dialect(name)
        found[name] = {each: getattr(dialect, each) for each in _OF_DIALECTS}
    return found


def put_dialects(csv: Any, dialects: dict[str, dict[str, Any]]) -> None:
    """Register dialects of CSV files, and forget others."""
    for name in set(csv.list_dialects()) - dialects.keys():
        csv.unregister_dialect(name)
    for name, options in dialects.items():
        csv.register_dialect(name, **options)


def take_adapters(sqlite3: Any) -> tuple[list[Any], list[Any]] | None:
    """Return the adapters and converters of sqlite3 that aren't its own."""
    adapters = []
    for (kind, _), adapt in sqlite3.adapters.items():
        if not _is_of("sqlite3", adapt):
            adapters.append((kind, adapt))
    converters = []
    for name, convert in sqlite3.converters.items():
        if not _is_of("sqlite3", convert):
            converters.append((name, convert))
    if not adapters and not converters:
        return None
    return adapters, converters


def put_adapters(sqlite3: Any, state: tuple[list[Any], list[Any]]) -> None:
    """Register adapters and converters of sqlite3."""
    adapters, converters = state
    for kind, adapt in adapters:
        sqlite3.register_adapter(kind, adapt)
    for name, convert in converters:
        sqlite3.register_converter(name, convert)


def _is_of(package: str, value: Any) -> bool:
    module = str(getattr(value, "__module__", ""))
    first, *_ = module.split(".")
    return first == package


def take_reducers(copyreg: Any) -> dict[Any, Any] | None:
    """Return the functions for pickling that the script has registered."""
    found = {}
    for kind, reduce in list(copyreg.dispatch_table.items()):
        if "__main__" in (getattr(reduce, "__module__", None), kind.__module__):
            found[kind] = reduce
    return found or None


def put_reducers(copyreg: Any, reducers: dict[Any, Any]) -> None:
    """Register functions for pickling."""
    for kind, reduce in reducers.items():
        copyreg.pickle(kind, reduce)


_ABSTRACT = ("collections.abc", "numbers", "os", "io", "contextlib")


def take_registered(abc: Any) -> dict[tuple[str, str], list[type]] | None:
    """Return the script's classes that are registered with abstract ones of the library."""
    found = {}
    for module in _ABSTRACT:
        for name, kind in list(vars(sys.modules.get(module, abc)).items()):
            if isinstance(kind, abc.ABCMeta) and kind.__name__ == name:
                own = _registered_by_script(abc, kind)
                if own:
                    found[module, name] = own
    return found or None


def _registered_by_script(abc: Any, kind: Any) -> list[type]:
    registered, *_ = abc._get_dump(kind)
    classes = [reference() for reference in registered]
    return [each for each in classes if each is not None and each.__module__ == "__main__"]


def put_registered(_: Any, found: dict[tuple[str, str], list[type]]) -> None:
    """Register classes with abstract ones."""
    for (module, name), classes in found.items():
        kind = getattr(importlib.import_module(module), name)
        for each in classes:
            kind.register(each)


# Numbers


def take_gmpy2(gmpy2: Any) -> dict[str, Any]:
    """Return the context of gmpy2."""
    context = gmpy2.get_context()
    found = {}
    for name, value in re.findall(r"(\w+)=(\w+|-\w+)", repr(context)):
        if value != "Default" and hasattr(context, name):
            found[name] = getattr(context, name)
    return found


def put_gmpy2(gmpy2: Any, options: dict[str, Any]) -> None:
    """Change the context of gmpy2."""
    context = gmpy2.get_context()
    for name, value in options.items():
        with contextlib.suppress(AttributeError, ValueError):  # what can only be read
            if getattr(context, name) != value:
                setattr(context, name, value)


def take_sympy(parameters: Any) -> dict[str, Any]:
    """Return the global parameters of SymPy."""
    return dict(vars(parameters.global_parameters))


def put_sympy(parameters: Any, options: dict[str, Any]) -> None:
    """Change the global parameters of SymPy."""
    current = parameters.global_parameters
    for name, value in options.items():
        if getattr(current, name) != value:
            setattr(current, name, value)


_OF_TORCH = {  # getter: setter
    "get_default_dtype": "set_default_dtype",
    "is_grad_enabled": "set_grad_enabled",
    "are_deterministic_algorithms_enabled": "use_deterministic_algorithms",
    "get_float32_matmul_precision": "set_float32_matmul_precision",
    "is_anomaly_enabled": "autograd.set_detect_anomaly",
}


def take_torch(torch: Any) -> dict[str, Any]:
    """Return the defaults of torch."""
    found = {}
    for take, put in _OF_TORCH.items():
        if hasattr(torch, take):
            found[put] = getattr(torch, take)()
    return found


def put_torch(torch: Any, options: dict[str, Any]) -> None:
    """Set the defaults of torch."""
    for name, value in options.items():
        dotted(name)(torch)(value)


def take_jax(jax: Any) -> dict[str, Any]:
    """Return the options of JAX."""
    return dict(jax.config.values)


def put_jax(jax: Any, options: dict[str, Any]) -> None:
    """Set the options of JAX that differ."""
    for name, value in options.items():
        if jax.config.values.get(name) != value:
            jax.config.update(name, value)


# Tables and pictures


def take_pandas(pandas: Any) -> dict[str, Any]:
    """Return the options of pandas that aren't the defaults."""
    config = importlib.import_module("pandas._config.config")
    found = {}
    for name, option in config._registered_options.items():
        value = config._global_config
        for part in name.split("."):
            value = value[part]
        if value is not option.defval and value != option.defval:
            found[name] = value
    return found


def put_pandas(pandas: Any, options: dict[str, Any]) -> None:
    """Set options of pandas."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of options that are to go: the script has been told
        for name, value in options.items():
            pandas.set_option(name, value)


def take_matplotlib(matplotlib: Any) -> dict[str, Any]:
    """Return the parameters of matplotlib that aren't those of its file."""
    return _other_than(matplotlib.rcParamsOrig, matplotlib.rcParams)


def changed_parameters(matplotlib: Any) -> dict[str, Any]:
    """Return the parameters of matplotlib that aren't its own defaults."""
    return _other_than(matplotlib.rcParamsDefault, matplotlib.rcParams)


def _other_than(before: Any, now: Any) -> dict[str, Any]:
    found = {}
    for name in now:
        value = dict.__getitem__(now, name)
        if value != dict.get(before, name):
            found[name] = value
    return found


def put_matplotlib(matplotlib: Any, parameters: dict[str, Any]) -> None:
    """Set parameters of matplotlib."""
    matplotlib.rcParams.update(parameters)
