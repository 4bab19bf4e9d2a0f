"""What ``mpipar doctor`` says of GPUs: which rank has which."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from mpipar.base.text import several
from mpipar.runtime.device import Gpu, Seat

Seats = Sequence[tuple[str, Seat]]
"""The host and the seat of each rank."""

_MOST_NAMED = 8  # ranks


def facts(seats: Seats) -> Iterator[tuple[str, str]]:
    """Yield a line for each host."""
    for host in dict.fromkeys(host for host, _ in seats):
        listed = []
        for gpu, ranks in _takers(seats, host):
            about = f"{gpu.name} ({gpu.memory / 2**30:.0f} GiB, {gpu.uuid[:12]})"
            listed.append(f"{about}: {_named(ranks)}")
        yield f"GPUs of {host}", "; ".join(listed) or f"none ({_why_none(seats, host)})"


def _why_none(seats: Seats, host: str) -> object:
    """Return the first reason that a rank of a host has no GPU."""
    for other, seat in seats:
        if other == host and seat.problem:
            return seat.problem
    return None


def problems(seats: Seats, *, wanted: bool, launched: bool) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with who has which GPU, and what to do about that.

    Parameters
    ----------
    seats : list of (str, Seat)
    wanted : bool
        Whether it is wrong that a rank has none.
    launched : bool
        Whether a launcher has started as many ranks as the user wants.
    """
    yield from _without_one(seats, wanted)
    for host in dict.fromkeys(host for host, _ in seats):
        takers = _takers(seats, host)
        ranks = several(len(takers), "rank")
        one_each = f"start {ranks} on this host, one for each GPU"
        for gpu, sharing in takers:
            if len(sharing) > 1:
                shared = f"one GPU ({gpu.name}, {gpu.uuid[:12]})"
                what = f"host {host}: {_named(sharing)} share {shared}"
                yield what, f"{one_each}, if they are to run on GPUs"
                break  # mostly it is the same for all
        idle = sum(not taken_by for _, taken_by in takers)
        if idle and launched:
            what = f"host {host}: {several(idle, 'GPU')} of {len(takers)} without a rank"
            yield what, f"{one_each}, or ask for fewer GPUs"


def _without_one(seats: Seats, wanted: bool) -> Iterator[tuple[str, str]]:
    """Yield which rank has no GPU, if it is wrong that it has none: others may have one."""
    without = []
    for rank, (host, seat) in enumerate(seats):
        if seat.problem is not None:
            without.append((rank, host, seat.problem))
    if without and (wanted or len(without) < len(seats)):
        rank, host, problem = without[0]
        whose = f"rank {rank} on host {host}"
        if len(without) > 1:
            whose += f" (and {len(without) - 1} more)"
        yield f"{whose} has no GPU: {problem.what}", problem.remedy


def _takers(seats: Seats, host: str) -> list[tuple[Gpu, list[int]]]:
    """Return the GPUs that ranks of a host see, and which ranks have each."""
    found: dict[Hashable, tuple[Gpu, list[int]]] = {}
    for rank, (other, seat) in enumerate(seats):
        if other != host:
            continue
        for gpu in seat.seen:
            found.setdefault(gpu.key, (gpu, []))
        if seat.taken is not None:
            found[seat.taken.key][1].append(rank)
    return list(found.values())


def _named(ranks: list[int]) -> str:
    if not ranks:
        return "no rank"
    shown = ", ".join(map(str, ranks[:_MOST_NAMED]))
    if len(ranks) > _MOST_NAMED:
        shown += ", …"
    return f"rank{'s' * (len(ranks) > 1)} {shown}"
