"""Damaged outputs of runs: what is resumed, shown or read of them is right, or refused."""

import random
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from mpipar import (
    BadInput,
    Concatenate,
    Dataset,
    Each,
    ExactSum,
    RunFailed,
    driver,
    open_result,
    run,
)
from mpipar.inputs.dataset import open_dataset
from mpipar.roots import roots
from mpipar.store.look import look

ITEMS, BLOCK, LAST = 4000, 40, 70  # blocks from LAST on are done by the resumed run
STOP = Path("stop")


def values_of(block):
    items = np.arange(block.start, block.stop)
    return np.sin(items) + items


def stops(block):
    """Let a run fail, which has committed the blocks before."""
    if block.index == LAST and STOP.exists():
        raise ValueError("enough for now")


@driver(n="items", reduction=Dataset("rows", float), block=BLOCK)
def in_place(block, *, items: int = ITEMS):
    stops(block)
    return values_of(block)


@driver(n="items", reduction=Dataset("rows", one_each=False), block=BLOCK)
def in_parts(block, *, items: int = ITEMS):
    stops(block)
    return values_of(block)


@driver(n="items", reduction=Dataset("rows", "U20"), block=BLOCK)
def of_text(block, *, items: int = ITEMS):
    stops(block)
    return np.char.mod("%.12g", values_of(block))


@driver(n="items", reduction=Each(rows=Dataset("rows", float), total=ExactSum()), block=BLOCK)
def beside_a_sum(block, *, items: int = ITEMS):
    stops(block)
    values = values_of(block)
    return {"rows": values, "total": values.sum()}


@driver(n="items", reduction=Concatenate(), block=BLOCK)
def without_rows(block, *, items: int = ITEMS):
    stops(block)
    return values_of(block)


KINDS = {
    "in place": (in_place, False),
    "in parts": (in_parts, False),
    "compressed": (in_place, True),
    "of text": (of_text, False),
    "beside a sum": (beside_a_sum, False),
    "without rows": (without_rows, False),
}


def flip(data: bytearray, rng: random.Random) -> bytes:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def zero(data: bytearray, rng: random.Random) -> bytes:
    page = rng.randrange(-(-len(data) // 512))
    data[512 * page : 512 * page + 512] = bytes(len(data[512 * page : 512 * page + 512]))
    return data


def swap(data: bytearray, rng: random.Random) -> bytes:
    if len(data) < 2048:
        return flip(data, rng)
    one, other = (512 * page for page in rng.sample(range(len(data) // 512), 2))
    data[one : one + 512], data[other : other + 512] = (
        data[other : other + 512],
        data[one : one + 512],
    )
    return data


def truncate(data: bytearray, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


DAMAGES = {
    "flipped": flip,
    "zeroed": zero,
    "swapped": swap,
    "truncated": truncate,
    "removed": None,
    "exchanged": None,
}


class Outputs:
    """An unfinished and a finished output of each kind, and what is right."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for kind, (kernel, compress) in KINDS.items():
            for name in ("one", "another"):
                output = self.path(kind, "unfinished", name)
                output.parent.mkdir(parents=True)
                STOP.touch()
                with pytest.raises(RunFailed):
                    run(kernel, output=output, compress=compress, checkpoint=0)
                STOP.unlink()
            output = self.path(kind, "finished", "one")
            output.parent.mkdir(parents=True)
            run(kernel, output=output, compress=compress)
            other = self.path(kind, "finished", "another")
            other.parent.mkdir(parents=True)
            run(kernel, items=ITEMS - BLOCK, output=other, compress=compress)
        self.right = {kind: content(self.path(kind, "finished", "one")) for kind in KINDS}

    def path(self, kind: str, state: str, name: str) -> Path:
        return self.folder / kind / state / name / "run.h5"

    def damaged(self, kind: str, state: str, damage: str, rng: random.Random, to: Path) -> Path:
        """Return an output, one of whose files is damaged."""
        shutil.copytree(self.path(kind, state, "one").parent, to, symlinks=True)
        files = sorted(path for path in to.rglob("*") if path.is_file() and path.stat().st_size)
        chosen = rng.choice(files)
        if damage == "removed":
            chosen.unlink()
        elif damage == "exchanged":
            source = self.path(kind, state, "another").parent
            same = [
                path
                for path in source.rglob("*")
                if path.is_file() and path.suffix == chosen.suffix
            ]
            shutil.copyfile(
                next(path for path in same if path.parent.suffix == chosen.parent.suffix), chosen
            )
        else:
            chosen.write_bytes(DAMAGES[damage](bytearray(chosen.read_bytes()), rng))
        return to / "run.h5"


def content(path: Path) -> dict:
    """Return what a finished file says, read by h5py alone."""
    with h5py.File(path) as file:
        found = {"rows": file["rows"][()].tolist()} if "rows" in file else {}
        values = file["value"]
        names = list(values) if isinstance(values, h5py.Group) else [None]
        return found | {
            f"value {name}": (values if name is None else values[name])[()].tolist()
            for name in names
        }


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("stop"))
        yield Outputs(tmp_path_factory.mktemp("outputs"))


SEEDS = [
    0,
    *(pytest.param(seed, marks=pytest.mark.ci) for seed in (1, 2)),
    *(pytest.param(seed, marks=pytest.mark.campaign) for seed in range(3, 30)),
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_an_unfinished_run_is_right_in_the_end_or_refused(outputs, kind, damage, seed, tmp_path):
    kernel, compress = KINDS[kind]
    rng = random.Random(f"{kind} {damage} {seed}")
    path = outputs.damaged(kind, "unfinished", damage, rng, tmp_path / "x")
    try:
        result = run(kernel, output=path, compress=compress, resume=path.exists())
    except BadInput:
        return
    assert content(path) == outputs.right[kind], result.resumed_blocks


@pytest.mark.parametrize(
    "damage", [damage for damage in DAMAGES if damage not in ("removed", "exchanged")]
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_finished_result_is_shown_as_it_was_or_refused(outputs, kind, damage, seed, tmp_path):
    rng = random.Random(f"{kind} {damage} {seed}")
    path = outputs.damaged(kind, "finished", damage, rng, tmp_path / "x")
    before = look(outputs.path(kind, "finished", "one"))
    try:
        found = look(path)
    except BadInput:
        return
    for name in ("run", "provenance", "value", "error"):
        assert repr(getattr(found, name)) == repr(getattr(before, name))
    for name in ("processes", "per_rank", "timeline", "skipped"):
        assert np.array_equal(getattr(found, name), getattr(before, name))


@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.8])
def test_a_damaged_result_is_refused_as_an_input(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    run(in_place, output="run.h5")
    assert run(roots, f="x", input="run.h5:/rows").value == ITEMS
    data = bytearray(Path("run.h5").read_bytes())
    rows = data.index(np.float64(values_of(range(1)).item()).tobytes())
    data[rows + int(place * ITEMS) * 8] ^= 1
    Path("run.h5").write_bytes(data)
    open_dataset.cache_clear()
    with pytest.raises(BadInput, match=r"run\.h5.* is damaged"):
        run(roots, f="x", input="run.h5:/rows")


@driver(n="items", reduction=Dataset("rows", one_each=False), block=BLOCK)
def of_a_kind(block, *, items: int = ITEMS, kind: str = "f8"):
    stops(block)
    return values_of(block).astype(np.dtype(kind, align=True))


LARGE_ROWS = {
    "in place": (in_place, {}),
    "beside a sum": (beside_a_sum, {}),
    "joined": (in_parts, {}),
    **{f"joined {kind}": (of_a_kind, {"kind": kind}) for kind in (">f4", "?", "S9")},
    "joined columns": (of_a_kind, {"kind": "i1,f8"}),
    "joined text": (of_text, {}),
}


@pytest.fixture
def small_is_large(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for module in ("seal", "row_pieces"):
        monkeypatch.setattr(f"mpipar.store.{module}.LARGE", 2**11)


@pytest.mark.parametrize("kind", LARGE_ROWS)
def test_damaged_large_rows_are_refused_wherever_they_are_read(small_is_large, kind):
    kernel, parameters = LARGE_ROWS[kind]
    run(kernel, **parameters, output="run.h5")
    right = content(Path("run.h5"))
    data = bytearray(Path("run.h5").read_bytes())
    with open_result("run.h5") as result:
        if kind != "joined text":  # plain h5py gives that as bytes
            assert result.datasets["rows"][:].tolist() == right["rows"]
        place = result.file["rows"].id.get_offset()
        size = result.file["rows"].id.get_storage_size()
    assert run(kernel, **parameters, output="run.h5", resume=True).evaluated_blocks == 0
    for row in (0, ITEMS // 2, ITEMS - 1):
        damaged = bytearray(data)
        damaged[place + row * size // ITEMS] ^= 1
        Path("bad.h5").write_bytes(damaged)
        with pytest.raises(BadInput, match="damaged"), open_result("bad.h5") as result:
            result.datasets["rows"][row]
        with pytest.raises(BadInput, match="damaged"):
            run(kernel, **parameters, output="bad.h5", resume=True)
        if kind in ("in place", "joined"):
            with pytest.raises(BadInput, match="damaged"):
                run(roots, f="x", input="bad.h5:/rows")


@pytest.mark.parametrize(
    "damage", [damage for damage in DAMAGES if damage in ("flipped", "swapped")]
)
@pytest.mark.parametrize("seed", range(4))
def test_no_damage_of_large_rows_is_read(small_is_large, damage, seed):
    run(in_place, output="run.h5")
    right = content(Path("run.h5"))["rows"]
    data = DAMAGES[damage](bytearray(Path("run.h5").read_bytes()), random.Random(seed))
    Path("run.h5").write_bytes(data)
    try:
        with open_result("run.h5") as result:
            rows = result.datasets["rows"]
            assert [*rows[:1000], *rows[1000:]] == right
            assert rows[-1] == right[-1]
            assert rows[[3, 5]].tolist() == [right[3], right[5]]
    except BadInput:
        return


def test_large_rows_with_skipped_and_resumed_blocks_hold(small_is_large):
    STOP.touch()
    skipped = run(in_place, output="run.h5", on_error="skip")
    assert len(skipped.skipped) == 1
    with open_result("run.h5") as result:
        assert np.isnan(result.datasets["rows"][:]).sum() == BLOCK
    STOP.unlink()
    run(in_place, output="run.h5", resume=True)
    with open_result("run.h5") as result:
        assert not np.isnan(result.datasets["rows"][:]).any()
        assert (
            result.datasets["rows"][BLOCK : BLOCK + 3].tolist()
            == values_of(range(BLOCK, BLOCK + 3)).tolist()
        )
