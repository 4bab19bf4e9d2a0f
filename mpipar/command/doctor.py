"""``mpipar doctor``: one page on what is here, and what is wrong with it.

Alone it looks at this machine; under a launcher, at all ranks; in an allocation, also at Slurm.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mpipar._version import __version__
from mpipar.base.arguments import Parser
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import DONE, FAILED
from mpipar.base.text import several
from mpipar.batch.schedulers import scheduler
from mpipar.command import gpus
from mpipar.command.entry import command, say_once
from mpipar.command.flags import converter
from mpipar.core.devices import AUTO
from mpipar.core.devices.cpu import CPU
from mpipar.core.devices.gpu import GPU
from mpipar.core.parameters import Parameter
from mpipar.runtime import node
from mpipar.runtime.comm import world
from mpipar.runtime.communicator import Comm
from mpipar.runtime.device import Seat, take_seat
from mpipar.runtime.launcher import Launch, launch
from mpipar.runtime.leftovers import Leftover, leftovers, remove
from mpipar.runtime.mpirun import vendor_of
from mpipar.runtime.pinning import Place, place, shortages
from mpipar.runtime.run_options import WORKERS
from mpipar.store.files import about_hdf5

_DEVICE = Parameter("device", str, "auto", choices=(CPU.name, GPU.name, AUTO))
_MOST_NAMED = 3  # of what killed runs have left


class Rank(NamedTuple):
    """What a rank knows of itself.

    Attributes
    ----------
    place : Place
        Where it runs, with how many worker processes.
    sees_folder : bool
        Whether it sees a file that the root has made in its working folder.
    seat : Seat or None
        Its GPU, if that was asked for.
    """

    place: Place
    sees_folder: bool
    seat: Seat | None = None


class Problem(NamedTuple):
    """What is wrong, and what to do about it."""

    what: str
    remedy: str


Findings = tuple[list[tuple[str, str]], list[Problem]]


@command("mpipar doctor")
def main(arguments: Sequence[str]) -> int:
    """Print the page; return the exit code: 1 if there is a problem. Collective over all ranks."""
    given = _parser().parse_args(arguments)
    findings = examine(given.workers, given.device, given.clean)
    code = DONE
    text = ""
    if findings is not None:
        facts, problems = findings
        text = page(facts, problems)
        if problems:
            code = FAILED
    with contextlib.suppress(BadInput):  # copies that don't know of each other
        code = world().bcast(code)
    return say_once(text, sys.stdout, code)


def _parser() -> Parser:
    parser = Parser(
        prog="mpipar doctor",
        usage="mpipar doctor [--workers N|auto] [--device cpu|gpu|auto] [--clean]",
        allow_abbrev=False,
        description=(
            "Check MPI, launcher, ranks, hosts, cores, GPUs, memory, HDF5 and Slurm, and say how to"
            " mend what is wrong. The exit code is 1 if anything is."
        ),
        epilog="example: mpirun -np 4 mpipar doctor --workers 2",
    )
    parser.add_argument(
        "--workers",
        type=converter(WORKERS.parse),
        default=1,
        metavar="N|auto",
        help=(
            "worker processes that each rank is to have (default: 1; auto: the rank's share of the"
            " cores)"
        ),
    )
    parser.add_argument(
        "--device",
        type=converter(_DEVICE.parse),
        default=_DEVICE.default,
        metavar="{" + ",".join(_DEVICE.choices) + "}",
        help="cpu: don't look at GPUs; gpu: it is wrong that a rank has none (default: auto)",
    )
    parser.add_argument(
        "--clean",
        action="store_true",
        help=(
            "remove shared memory and folders that your killed runs have left on this node,"
            " and nobody has"
        ),
    )
    return parser


def examine(workers: int | str, device: str = "auto", clean: bool = False) -> Findings | None:
    """Return what is here, and what is wrong with it, on the root; None elsewhere. Collective over
    all ranks.

    Parameters
    ----------
    workers : int or "auto"
        Worker processes that each rank is to have.
    device : str
        cpu, not to look at GPUs; gpu, if each rank is to have one; or auto.
    clean : bool
        Whether to remove what killed runs have left.
    """
    launched = launch()
    try:
        comm = world()
    except BadInput as error:  # copies that don't know of each other
        return _alone(launched, Problem(error.what, error.remedy))
    ranks = _ranks(comm, workers, device)
    if not comm.is_root:
        return None
    seats = []
    for rank in ranks:
        if rank.seat is not None:
            seats.append((rank.place.host, rank.seat))
    facts = [
        *_programs(),
        *_launch_facts(comm, launched),
        *_by_host(ranks),
        *gpus.facts(seats),
        ("threads", _threads()),
        ("memory", _memory()),
        *_left_behind(clean),
        *scheduler().about(),
    ]
    of_gpus = gpus.problems(seats, wanted=device == GPU.name, launched=launched is not None)
    problems = [
        *_problems(ranks),
        *itertools.starmap(Problem, of_gpus),
        *_several_mpis(),
        *_unshared(ranks),
    ]
    return facts, problems


def _alone(launched: Launch | None, problem: Problem) -> Findings | None:
    """Return what one of several copies finds that don't know of each other: the first alone."""
    asked = 1
    if launched is not None:
        if launched.rank:
            return None
        asked = launched.size
    return [*_programs(), ("ranks", f"1 seen of {asked}")], [problem]


def _launch_facts(comm: Comm, launched: Launch | None) -> Iterator[tuple[str, str]]:
    """Yield which MPI and launcher there are, and how many ranks see each other."""
    yield "MPI", comm.library or "not in use (one process)"
    if launched is None:
        yield "launcher", "none"
        yield "ranks", f"{comm.size} seen of 1"
    else:
        yield "launcher", f"{launched.variable}={launched.size}"
        yield "ranks", f"{comm.size} seen of {launched.size}"


def _threads() -> str:
    """Return what the user says of the threads of libraries."""
    given = [name for name in node.THREAD_VARIABLES if name in os.environ]
    if not given:
        return "libraries are held to 1 in each process"
    return ", ".join(f"{name}={os.environ[name]}" for name in given)


def _ranks(comm: Comm, workers: int | str, device: str) -> list[Rank]:
    """Return what all ranks know of themselves, on the root."""
    count = node.workers_of_rank(comm, workers)
    seat = None
    if device != CPU.name:
        seat = take_seat(comm)
    with tempfile.TemporaryDirectory(prefix=".mpipar-doctor-", dir=_writable()) as name:
        seen = Path(comm.bcast(name)).is_dir()
        ranks = comm.gather(Rank(place(comm.host, count), seen, seat))
        comm.barrier()
    return ranks


def _writable() -> str | None:
    """Return the working folder, if it can be written to, or else None for the system's."""
    if not os.access(".", os.W_OK):
        return None
    return os.getcwd()


def _programs() -> list[tuple[str, str]]:
    versions = [f"mpipar {__version__}", f"Python {sys.version.split()[0]}"]
    for name in ("mpi4py", "numpy", "h5py"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} is missing")
    return [("versions", ", ".join(versions)), ("HDF5", about_hdf5())]


def _memory() -> str:
    pages = os.sysconf("SC_AVPHYS_PAGES")
    size = os.sysconf("SC_PAGE_SIZE")
    whole = os.sysconf("SC_PHYS_PAGES") * size
    return f"{pages * size / 2**30:.1f} of {whole / 2**30:.1f} GiB free on {os.uname().nodename}"


def _left_behind(clean: bool) -> Iterator[tuple[str, str]]:
    """Yield what killed runs have left on this node, or what of it is gone now."""
    found = leftovers()
    if clean and found:
        gone = remove(found)
        yield "removed", _listed(gone)
        found = [leftover for leftover in found if leftover not in gone]
    if found:
        remedy = "remove it: mpipar doctor --clean"
        yield "left behind", f"{_listed(found)}, of killed runs, and no process uses it ({remedy})"


def _listed(found: list[Leftover]) -> str:
    """Return what is left in a line: how many, how large, and the first names."""
    size = sum(leftover.size for leftover in found)
    listed = ", ".join(str(leftover.path) for leftover in found[:_MOST_NAMED]) or "nothing"
    if len(found) > _MOST_NAMED:
        listed += f" and {len(found) - _MOST_NAMED} more"
    return f"{listed} ({size / 2**20:.1f} MiB)"


def _by_host(ranks: list[Rank]) -> Iterator[tuple[str, str]]:
    places: dict[str, list[Place]] = {}
    for rank in ranks:
        places.setdefault(rank.place.host, []).append(rank.place)
    for host, here in places.items():
        count = several(len(here), "rank")
        workers = several(here[0].workers, "worker")
        cores = sorted({len(place.cores) for place in here})
        listed = " or ".join(map(str, cores))
        yield f"host {host}", f"{count} with {workers} each, on {listed} cores"


def _problems(ranks: list[Rank]) -> Iterator[Problem]:
    """Yield where there are too few cores: for the workers of a rank, or for all ranks of a
    node.
    """
    for shortage in shortages([rank.place for rank in ranks]):
        yield Problem(f"{shortage.where}: {shortage.what}", shortage.remedy)


def _several_mpis() -> Iterator[Problem]:
    """Yield whether there are launchers of several MPIs on the path: which one starts a job is then
    chance.
    """
    found = _mpis_on_path()
    if len(found) > 1:
        listed = ", ".join(f"{path} ({vendor})" for vendor, path in found.items())
        first = os.path.join(os.path.dirname(sys.executable), "mpirun")
        if not os.path.exists(first):
            first = next(iter(found.values()))
        yield Problem(
            f"there is more than one MPI on the path: {listed}",
            f"call the one you mean by its path: {first}",
        )


def _mpis_on_path() -> dict[str, str]:
    """Return {vendor: the first of its mpiruns on the path}."""
    found: dict[str, str] = {}
    seen = set()
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = shutil.which("mpirun", path=folder)
        if path is not None and os.path.realpath(path) not in seen:
            seen.add(os.path.realpath(path))
            found.setdefault(vendor_of(path), path)
    return found


def _unshared(ranks: list[Rank]) -> Iterator[Problem]:
    """Yield whether nodes can't see each other's files."""
    blind = sorted({rank.place.host for rank in ranks if not rank.sees_folder})
    if blind:
        where = f"{', '.join(blind)} can't see what {ranks[0].place.host} writes to {os.getcwd()!r}"
        yield Problem(where, "work in a folder that all nodes share, and write outputs there")


def page(facts: list[tuple[str, str]], problems: list[Problem]) -> str:
    """Return the page as text."""
    width = max(len(name) for name, _ in facts)
    lines = [f"{name:{width}}  {value}" for name, value in facts]
    for problem in problems:
        lines.append(f"\nproblem: {problem.what}\n remedy: {problem.remedy}")
    if not problems:
        lines.append("\nno problem found")
    return "\n".join(lines)
