"""Which blocks of a run are done, and what came out of them, on disk.

::

    run.h5              /checkpoint: the state of the run when it was last written as a whole, with
                        a checksum
    run.h5.parts/       while the run goes on, or after it was killed
        lock            held by the root
        *.log           what each rank has done since then: a record with a checksum for each commit

A rank commits by itself, to a log of its own, what is new: no rank waits for another, and the cost
doesn't grow with what is done. The root writes ``run.h5`` as a whole, aside and then renamed, at
the start, when the run stops and in the end. What is done is the state and all whole records.
Nothing here is pickled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from mpipar.base.errors import BadInput
from mpipar.core.blocks import Blocks, united
from mpipar.core.kernel import BoundKernel
from mpipar.core.plan import Plan
from mpipar.runtime.failure import Skipped, one_line
from mpipar.runtime.progress_state import Done
from mpipar.store.codec import decode, encode
from mpipar.store.files import has_text, own_name, put_text
from mpipar.store.record_file import RecordFile, records

_MARK = b"mpipar-2"


class State(NamedTuple):
    """The state of a run.

    Attributes
    ----------
    run : str
        A random name; the logs and rows of another run are not of this one.
    identity : dict
        What decides the result: a run can be resumed by the same alone.
    done : Done
        Blocks that are done.
    finished : bool
        Whether the run is complete, but for skipped blocks.
    """

    run: str
    identity: dict[str, Any]
    done: Done
    finished: bool


def put(file: h5py.File, state: State) -> None:
    """Put a state into a file. Raises TypeError if a total can't be stored."""
    data = encode([state.run, state.identity, *_packed(state.done), state.finished])
    stored = file.create_dataset("checkpoint", data=np.frombuffer(data, np.uint8))
    put_text(stored, "sha256", hashlib.sha256(data).hexdigest())
    stored.attrs["description"] = (
        "which blocks are done and their total, as JSON: what --resume goes on from"
    )


def get(path: Path, file: h5py.File) -> State:
    """Return the state in a file. Raises BadInput if there is none, or it is damaged."""
    try:
        return _state_in(_stored_bytes(file))
    except (KeyError, ValueError, TypeError, OSError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise BadInput(
            f"resume: the checkpoint in {str(path)!r} is missing or damaged ({reason})"
        ) from None


def _stored_bytes(file: h5py.File) -> bytes:
    """Return the bytes of a state. Raises ValueError if they aren't those that were written."""
    if not isinstance(file.get("checkpoint", getlink=True), h5py.HardLink):
        raise ValueError("there is none in this file itself")
    stored = file["checkpoint"]
    is_bytes = stored.dtype == np.uint8
    is_here = not stored.external and stored.id.get_storage_size() == stored.nbytes
    if not is_bytes or not is_here:
        raise ValueError("it is not made of bytes in this file")
    data: bytes = stored[...].tobytes()
    if not has_text(stored, "sha256", hashlib.sha256(data).hexdigest()):
        raise ValueError("the checksum is wrong")
    return data


def _state_in(data: bytes) -> State:
    run, identity, *packed, finished = decode(data)
    are_as_written = (
        isinstance(run, str) and isinstance(identity, dict) and isinstance(finished, bool)
    )
    if not are_as_written:
        raise ValueError("it is not of a run")
    return State(run, identity, _unpacked(packed), finished)


def check_state(path: Path, state: State, bound: BoundKernel) -> None:
    """Raise BadInput if blocks are done that the run hasn't, or if it is finished without being
    so.
    """
    check_done(path, state.done, bound)
    if not state.finished or state.done.skipped:
        return
    done = united(state.done.ranges)
    is_whole = done == united([range(bound.plan.n_blocks)])
    ended_early = bound.may_end_early and [r.start for r in done] == [0]
    if not is_whole and not ended_early:
        raise BadInput(f"resume: the checkpoint in {str(path)!r} is damaged (blocks are missing)")


def check_done(path: Path, done: Done, bound: BoundKernel) -> None:
    """Raise BadInput if blocks are done that the run hasn't."""
    damaged = f"resume: the checkpoint of {str(path)!r} is damaged"
    n_blocks = bound.plan.n_blocks
    are_there = all(_is_within(r, n_blocks) for r in done.ranges)
    if not are_there or Blocks(united(done.ranges)).count != done.count:
        raise BadInput(f"{damaged} (there are no such blocks)")
    for skipped in done.skipped:
        if not _is_block_of(bound.plan, skipped):
            raise BadInput(f"{damaged} (there is no such skipped block)")


def _is_within(blocks: range, n_blocks: int) -> bool:
    if not blocks:
        return True
    return blocks.step > 0 and blocks[0] >= 0 and blocks[-1] < n_blocks


def _is_block_of(plan: Plan, skipped: Skipped) -> bool:
    """Return whether a plan has a block that was skipped, and what is told of it is text."""
    index = skipped.block
    is_index = type(index) is int and 0 <= index < plan.n_blocks
    if not is_index:
        return False
    block = plan[index]
    has_texts = isinstance(skipped.reason, str) and isinstance(skipped.details, str)
    return has_texts and (block.start, block.stop) == (skipped.start, skipped.stop)


class Log:
    """The commits of one rank, a record each.

    Parameters
    ----------
    folder : Path
        ``run.h5.parts``.
    run : str
        The name of the run.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._run = run
        self._file = RecordFile(folder / own_name("log"), _MARK)

    def append(self, done: Done) -> None:
        """Commit some blocks. Raises OSError, and TypeError if a total can't be stored; then
        nothing has changed.
        """
        self._file.append_and_sync(encode([self._run, *_packed(done)]))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def logged(folder: Path, run: str) -> Iterator[Done]:
    """Yield what ranks of a run have committed to their logs; what follows a record that isn't
    whole doesn't count.
    """
    for path in sorted(folder.glob("*.log")):
        for data in records(path, _MARK):
            of_run, *packed = decode(data)
            if of_run != run:
                break
            yield _unpacked(packed)


def without_repeats(
    parts: Iterator[Done],
    base: Done,
    reduction: Any,
) -> Done:
    """Return base and parts together; parts that base has already, as a commit was cut short, are
    left out.
    """
    for part in parts:
        known = Blocks(united(base.ranges)).count
        new = Blocks(united(part.ranges)).count
        together = Blocks(united(base.ranges + part.ranges)).count
        if together == known + new:
            try:
                base = base.merge(part, reduction)
            except Exception as error:  # an operation of the user's
                raise BadInput(
                    f"resume: what the run has committed can't be combined ({one_line(error)})"
                ) from None
        elif together != known:
            raise BadInput("resume: the logs of the run contradict its checkpoint")
    return base


def _packed(done: Done) -> list[Any]:
    return [
        done.total,
        [[r.start, r.stop, r.step] for r in done.ranges],
        [list(block) for block in done.skipped],
    ]


def _unpacked(packed: list[Any]) -> Done:
    total, ends, blocks = packed
    ranges = [range(*of_range) for of_range in ends]
    skipped = [Skipped(*block) for block in blocks]
    return Done(total, ranges, skipped)
