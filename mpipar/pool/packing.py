"""Tasks on their way to a worker: as bytes, with what the names of the script in them stand for."""

from __future__ import annotations

import itertools
import pickle
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mpipar.pool import by_value
from mpipar.pool.calls import Calls
from mpipar.pool.chunks import Parcel, sizes_of
from mpipar.pool.definitions import Definitions
from mpipar.pool.evaluation import Batch
from mpipar.pool.jobs import Job
from mpipar.pool.main_names import Definition
from mpipar.pool.plain import are_plain
from mpipar.pool.slot import Handed, Slot
from mpipar.pool.snapshot import packed
from mpipar.runtime.channel import Frames


class Packing:
    """Makes messages of tasks; in the engine's thread.

    Parameters
    ----------
    definitions : Definitions
        Of the script's names.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._reused: by_value.Reused | None = None

    def pickled(self, items: Any) -> by_value.Pickled:
        """Pickle the items of some tasks, as cheaply as they allow; raises what pickling raises."""
        if are_plain(items):
            return by_value.Pickled([pickle.dumps(items)], set(), [], [])
        calls = Calls.pickled(items)
        if calls is not None:
            return calls
        if self._reused is None:
            self._reused = self._definitions.reused()
        together = packed(items)
        return self._reused.dumps(together) or self._definitions.dumps(together)

    def chunks(self, items: Any, indices: Sequence[int], unit: int) -> by_value.Pickled:
        """Pickle the items of some tasks, each chunk by itself; raises what pickling raises."""
        parcel = Parcel(self._definitions.dumps)
        source = iter(items)
        for size in sizes_of(indices, unit):
            parcel.add(list(itertools.islice(source, size)))
        return parcel.pickled()

    def stamp(self, job: Job, pickled: by_value.Pickled) -> Mapping[str, Definition] | None:
        """Return what names of the script stand for in some tasks; None if that isn't the same in
        all of them.
        """
        if not pickled.needed and not pickled.stamps:
            return job.stamp
        if not pickled.needed and not job.stamp and len(pickled.stamps) == 1:
            return pickled.stamps[0]  # type: ignore[no-any-return]
        found = dict(job.stamp)
        for stamp in pickled.stamps:
            for name, definition in stamp.items():
                if found.setdefault(name, definition) is not definition:
                    return None
        return self._definitions.stamp(pickled.needed) | found

    def explained(self, error: Any) -> BaseException:
        """Return an exception, with a note if it comes from what could not be sent."""
        if isinstance(error, NameError):
            # error.name doesn't travel
            name = re.search(r"name '(\w+)' is not defined", str(error))
            reason = name and self._definitions.unsendable(name[1])
            if name and reason:
                error.add_note(f"{name[1]!r} of the script could not be sent to workers: {reason}")
        return error  # type: ignore[no-any-return]


def message(
    batch: Handed,
    slot: Slot,
    stamp: Mapping[str, Definition],
    items: Frames,
) -> list[Any]:
    """Return what tells a worker of a batch, and note what it has been told by that.

    Parameters
    ----------
    batch : Handed
    slot : Slot
        Of the worker.
    stamp : mapping
        What the names of the script stand for in the batch.
    items : list
        Those of its tasks, pickled.
    """
    job = batch.job
    definitions: list[Definition] = []
    if stamp:
        definitions = slot.news(stamp)
    function: Frames = ()
    if job.number not in slot.jobs:
        function = job.function_frames
    if function:
        slot.jobs.add(job.number)
    told = Batch(
        batch.number,
        job.number,
        job.kind,
        batch.indices,
        [each._replace(pickled=b"") for each in definitions],
        len(function),
        slot.forget,
        job.unit,
        batch.is_chunked,
    )
    slot.forget = []
    head = pickle.dumps(tuple(told))
    return [head, *(each.pickled for each in definitions), *function, *items]
