"""What the script's modules share between processes is the script's in its workers, too.

Forked workers have modules as they are in the script. Ours import them, and each would make locks,
values and queues of its own. So what is the script's goes to each worker with the place where it
belongs, and is put there as soon as the worker has imported the module::

    root                                             worker
    places_of_modules() ──▶ Shared: place, value ──▶ on arrival of the module: put it there

Where that can't be, there is something that can't be used, and says why.
"""

from __future__ import annotations

import contextlib
import functools
from collections import defaultdict
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from mpipar.pool import by_value, shared_memory
from mpipar.pool.arrivals import on_arrival
from mpipar.pool.by_value import Pickled
from mpipar.pool.module_places import (
    ATTRIBUTE,
    ForWorkers,
    Place,
    Step,
    places_of_modules,
    taken,
)
from mpipar.pool.refused import Refused, refused


class Shared(NamedTuple):
    """What is shared, and where it belongs.

    Attributes
    ----------
    module : str
    name : str
        The place as a reader would write it.
    steps : list of bytes
        The steps to the place, pickled.
    frames : list of bytes
        The value, pickled; nothing if it can't be.
    reason : str
        Why it can't.
    needs_names : bool
        Whether the main script's names are needed to unpickle it.
    is_manager : bool
        Whether it stands for what ``Manager()`` returns in the module.
    """

    module: str
    name: str
    steps: list[bytes]
    frames: list[bytes]
    reason: str = ""
    needs_names: bool = False
    is_manager: bool = False


class SharedInModules(ForWorkers[Shared]):
    """What all modules share, for workers.

    Attributes
    ----------
    within : set of (str, object)
        Modules, and what in them has these values.
    """

    def __init__(self) -> None:
        super().__init__()
        self.within: set[tuple[str, Any]] = set()


def shared_in_modules(dumps: Callable[[Any], Pickled]) -> SharedInModules:
    """Return what the script's modules share, for workers.

    Parameters
    ----------
    dumps : callable
        Pickles a value as that of a global variable.
    """
    found = SharedInModules()
    for place in places_of_modules():
        found.within.add((place.module, place.steps[0].key))
        try:
            steps = dumps(place.steps)
            value = dumps(place.value)
        except Exception as error:
            found.values.append(_unsendable(place, error))
            continue
        needed = steps.needed | value.needed
        frames = _as_bytes(steps), _as_bytes(value)
        is_manager = type(place.value).__module__ == "mpipar.pool.manager"
        shared = Shared(place.module, place.name, *frames, "", bool(needed), is_manager)
        found.values.append(shared)
        found.needed.update(needed)
    return found


def _unsendable(place: Place, error: Exception) -> Shared:
    steps: list[bytes] = []
    with contextlib.suppress(Exception):
        steps = _as_bytes(by_value.dumps(place.steps))
    return Shared(place.module, place.name, steps, [], str(error) or repr(error))


def _as_bytes(pickled: Pickled) -> list[bytes]:
    return [bytes(frame) for frame in pickled.frames]


# In a worker.

_offered: list[Any] = []


def offered_manager() -> Any:
    """Return the script's manager, for a module that is being imported and has it; else None."""
    if not _offered:
        return None
    return _offered.pop(0)


def put_first(shared: list[Shared]) -> None:
    """Put what doesn't need the main script's names where it belongs, once its module is there."""
    _put_all([each for each in shared if not each.needs_names])


def put_rest(shared: list[Shared]) -> None:
    """Put what needs the main script's names where it belongs; as :func:`put_first`."""
    _put_all([each for each in shared if each.needs_names])


def _put_all(shared: list[Shared]) -> None:
    of_module: defaultdict[str, list[Shared]] = defaultdict(list)
    for each in shared:
        of_module[each.module].append(each)
    for name, its in of_module.items():
        put_into = functools.partial(_put_into, shared=its)
        on_arrival(name, put_into, before=functools.partial(_before, its))


def _before(shared: list[Shared]) -> Callable[[ModuleType], None]:
    """Have the managers ready that a module asks for when it is imported."""
    _offered.clear()
    for each in shared:
        if each.is_manager:
            with contextlib.suppress(OSError):  # it has ended
                _offered.append(by_value.loads(each.frames))
    return functools.partial(_put_into, shared=shared)


def _put_into(module: ModuleType, shared: list[Shared]) -> None:
    _offered.clear()
    for each in shared:
        _put(module, each)


def _put(module: ModuleType, shared: Shared) -> None:
    """Put a value where it belongs.

    Raises
    ------
    RuntimeError
        If there is no such place: the module's functions would use what is not the script's.
    """
    try:
        *steps, last = by_value.loads(shared.steps)
        holder: Any = module
        for step in steps:
            holder = _there(holder, step)
        _replace(holder, last, _value(shared))
    except Exception as error:
        why = shared.reason or repr(error)
        raise RuntimeError(
            f"workers can't have {shared.name}, which processes share: {why}"
        ) from error


def _value(shared: Shared) -> Any:
    """Return what is to be at a place."""
    if not shared.frames:
        return refused(shared.name, shared.reason)
    try:
        return by_value.loads(shared.frames)
    except OSError as error:  # it is on another node, say
        return Refused(OSError(f"{shared.name}: {error}"))


def _there(holder: Any, step: Step) -> Any:
    if step.kind == ATTRIBUTE:
        return taken(holder, step.key)
    return holder[step.key]


def _replace(holder: Any, step: Step, value: Any) -> None:
    with contextlib.suppress(AttributeError, LookupError):
        shared_memory.drop(_there(holder, step), value)
    if step.kind == ATTRIBUTE:
        try:
            setattr(holder, step.key, value)
        except AttributeError:  # of an object that is frozen
            object.__setattr__(holder, step.key, value)
    elif isinstance(holder, list) and step.key == len(holder):
        holder.append(value)
    else:
        holder[step.key] = value
