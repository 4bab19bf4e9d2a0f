"""How a script logs: its loggers with their levels and handlers, as a setting."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import sys
from typing import Any, NamedTuple

import cloudpickle

from mpipar.pool.arrivals import on_arrival
from mpipar.runtime.outlets import note

_OWN = {
    "lock",
    "stream",
    "_stream",
    "_name",
}  # attributes of a handler that each process has for itself


class _Handler(NamedTuple):
    """A handler: its class, its name, its attributes, and which stream it writes to, if that is one
    of Python's.
    """

    kind: Any
    name: str | None
    attributes: dict[str, Any]
    stream: str | None


class _Logger(NamedTuple):
    name: str
    level: int
    propagate: bool
    disabled: bool
    filters: list[Any]
    handlers: list[Any]  # None is one that can't be sent


def take_logging(logging: Any) -> tuple[Any, ...]:
    """Return what loggers log, and where to."""
    loggers = [_logger(logging, logging.root)]
    for each in list(logging.root.manager.loggerDict.values()):
        if isinstance(each, logging.Logger):
            found = _logger(logging, each)
            if found[1:] != (logging.NOTSET, True, False, [], []):
                loggers.append(found)
    own_names = {
        level: name for level, name in logging._levelToName.items() if level not in _LEVELS
    }
    return (
        logging.root.manager.disable,
        own_names,
        loggers,
        logging._warnings_showwarning is not None,
        _other_than(logging.Logger, logging.getLoggerClass()),
        _other_than(logging.LogRecord, logging.getLogRecordFactory()),
    )


_told: set[str] = set()


def _other_than(default: Any, chosen: Any) -> Any:
    """Return what makes loggers or records, if it is another than logging's own."""
    if chosen is default:
        return None
    if _can_be_sent(chosen):
        return chosen
    if default.__name__ not in _told:
        _told.add(default.__name__)
        note(f"mpipar: workers have logging.{default.__name__}: {chosen!r} can't be pickled")
    return None


_LEVELS = {0, 10, 20, 30, 40, 50}


def put_logging(logging: Any, state: tuple[Any, ...]) -> None:
    """Log as the script does; loggers of packages that have not been imported, when they are."""
    disable, names, loggers, captures, kind, factory = state
    if kind is not None:
        logging.setLoggerClass(kind)
    if factory is not None:
        logging.setLogRecordFactory(factory)
    logging.disable(disable)
    for level, name in names.items():
        logging.addLevelName(level, name)
    logging.captureWarnings(captures)
    for each in loggers:
        package = each.name.partition(".")[0]
        if package in sys.modules or package == "root":
            _put(logging, each)
        else:
            _put(logging, each)
            on_arrival(package, lambda _, each=each: _put(logging, each))  # type: ignore[misc]


def _logger(logging: Any, logger: Any) -> _Logger:
    handlers = [
        _handler(logging, each) for each in logger.handlers if type(each) is not logging.NullHandler
    ]
    filters = [each for each in logger.filters if _can_be_sent(each)]
    return _Logger(
        logger.name,
        logger.level,
        logger.propagate,
        logger.disabled,
        filters,
        handlers,
    )


def _handler(logging: Any, handler: Any) -> _Handler | None:
    """Return what a handler is to be made from; None if it can't be."""
    attributes = {name: value for name, value in vars(handler).items() if name not in _OWN}
    stream = None
    if isinstance(handler, logging.FileHandler):
        _let_append(handler)
        attributes["mode"] = "a"
    elif isinstance(handler, logging.StreamHandler):
        stream = _name_of(handler.stream)
        if stream is None:
            return None
    made = _Handler(type(handler), handler.name, attributes, stream)
    return made if _can_be_sent(made) else None


def _let_append(handler: Any) -> None:
    """Let the script's own lines go to the end of the file, too: others write to it as well."""
    stream = handler.stream
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream.flush()
        number = stream.fileno()
        flags = fcntl.fcntl(number, fcntl.F_GETFL)
        fcntl.fcntl(number, fcntl.F_SETFL, flags | os.O_APPEND)


def _name_of(stream: Any) -> str | None:
    for name in ("stdout", "stderr"):
        if stream in (getattr(sys, name), getattr(sys, f"__{name}__")):
            return name
    return None


def _can_be_sent(value: Any) -> bool:
    try:
        pickle.loads(cloudpickle.dumps(value))
    except Exception:
        return False
    return True


def _put(logging: Any, wanted: _Logger) -> None:
    logger = logging.root if wanted.name == "root" else logging.getLogger(wanted.name)
    logger.setLevel(wanted.level)
    logger.propagate = wanted.propagate
    logger.disabled = wanted.disabled
    logger.filters[:] = wanted.filters
    kept = [each for each in logger.handlers if type(each) is logging.NullHandler]
    made = [_made(logging, each) for each in wanted.handlers if each is not None]
    logger.handlers[:] = [*kept, *made]


def _made(logging: Any, wanted: _Handler) -> Any:
    handler = wanted.kind.__new__(wanted.kind)
    vars(handler).update(wanted.attributes)
    handler._name = None
    handler.name = wanted.name
    handler.createLock()
    if isinstance(handler, logging.FileHandler):
        handler.stream = None  # it is opened with the first line
    elif wanted.stream is not None and type(handler) is not logging._StderrHandler:
        handler.stream = getattr(sys, wanted.stream)
    logging._addHandlerRef(handler)
    return handler
