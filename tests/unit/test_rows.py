import os
import pickle
import random
from collections.abc import Iterable
from unittest import mock

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpipar.store.row_joining
from mpipar import BadInput, Dataset, Each, Estimate, ExactSum, NonNegativeInt, Plan, driver, run
from mpipar.core.row_types import converted
from mpipar.runtime.communicator import Comm
from mpipar.store.output import OutputFile
from mpipar.store.row_joining import complete
from mpipar.store.row_layout import begin, resume
from mpipar.store.rows import RESERVED, Rows

MODERATE = settings(max_examples=30, deadline=None)
TABLE = np.dtype([("k", "i4"), ("x", float), ("name", "U5")])


def bound_to(reduction, plan, *, may_end_early=False):
    """Return a kernel with this reduction and plan."""

    @driver(n="items", reduction=reduction)
    def kernel(block, *, items: NonNegativeInt): ...

    if may_end_early:
        kernel.enough(lambda result: False)
    return kernel.bind({"items": plan.n}, block=plan.block)


class Folder:
    """The rows of a run, as its processes write them and as they come back from the file."""

    def __init__(self, path, reduction, plan, *, compress=False, **options) -> None:
        self.reduction = reduction
        self.plan = plan
        self._writers = {}
        path.mkdir()
        self.rows = pickle.loads(
            pickle.dumps(begin(path, bound_to(reduction, plan, **options), compress, "run"))
        )

    def write(self, partial, indices: Iterable[int] | None = None, pid: int | None = None) -> None:
        """Write the rows of blocks as a process does; ``partial(block)`` is what they are from.

        A process with a number goes on where it was; without, it is one of its own.
        """
        writer = self.rows.writer() if pid not in self._writers else self._writers[pid]
        if pid is not None:
            self._writers[pid] = writer
        for index in range(self.plan.n_blocks) if indices is None else indices:
            block = self.plan[index]
            made = partial(block)
            self.reduction.add(self.reduction.start(), made, block)
            writer(block, self.reduction.rows(made))
        if pid is None:
            writer.close()

    def complete(self, skipped=(), plan=None) -> h5py.File:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        self.rows.flush()
        with h5py.File(self.rows.base, "r+") as file:
            complete(self.rows, file, plan or self.plan, list(skipped))
        return h5py.File(self.rows.base)

    @property
    def parts(self) -> list[str]:
        return sorted(path.name for path in self.rows.folder.glob("*.part"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


def ramp(dtype, *row):
    """Return a kernel whose items are all different."""

    def partial(block):
        size = block.size * int(np.prod(row, dtype=int))
        return (np.arange(size).reshape(block.size, *row) + 1000 * block.start).astype(dtype)

    return partial


def whole(partial, plan, indices=None):
    """Return what a serial run would have made of all blocks."""
    return np.concatenate(
        [partial(plan[k]) for k in (range(plan.n_blocks) if indices is None else indices)]
    )


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", "i1", "u8", "?", "c16", "c8"])
@pytest.mark.parametrize("row", [(), (3,), (2, 2)])
@pytest.mark.parametrize("compress", [False, True])
def test_rows_of_known_type_come_back_bit_by_bit(path, dtype, row, compress):
    plan, partial = Plan(50, 7), ramp(dtype, *row)
    folder = Folder(
        path, Dataset("y", dtype, row=row, units="m", description="some"), plan, compress=compress
    )
    assert bool(folder.rows.places) is not compress
    folder.write(partial)
    assert bool(folder.parts) is compress, (
        "rows are written in place, unless they are to be compressed"
    )
    with folder.complete() as file:
        y = file["y"]
        expected = whole(partial, plan).astype(
            dtype
        )  # concatenate knows the machine's byte order alone
        assert (y.dtype, y.shape, y[()].tobytes()) == (
            np.dtype(dtype),
            (50, *row),
            expected.tobytes(),
        )
        assert (y.attrs["units"], y.attrs["description"]) == ("m", "some")
        assert y.compression == ("gzip" if compress else None)


@pytest.mark.parametrize("align", [False, True])
def test_tables_of_numbers_are_written_in_place(path, align):
    kind = np.dtype([("a", "i1"), ("b", float), ("c", "f4", (2,))], align=align)
    plan = Plan(20, 6)

    def partial(block):
        rows = np.zeros(block.size, kind)
        rows["a"], rows["b"], rows["c"] = (
            block.start,
            np.arange(block.size) / 7,
            np.ones((block.size, 2)),
        )
        return rows

    folder = Folder(path, Dataset("t", kind), plan)
    assert folder.rows.places
    folder.write(partial)
    with folder.complete() as file:
        np.testing.assert_array_equal(file["t"][()], whole(partial, plan))


def text_rows(block):
    return np.array([(k, k / 7, "äπ"[: k % 3] + str(k)) for k in block], TABLE)


@pytest.mark.parametrize("dtype", [None, TABLE])
@pytest.mark.parametrize("compress", [False, True])
def test_tables_with_text_come_back(path, dtype, compress):
    plan = Plan(50, 7)
    folder = Folder(path, Dataset("t", dtype), plan, compress=compress)
    folder.write(text_rows)
    with folder.complete() as file:
        table, expected = file["t"][()], whole(text_rows, plan)
        assert table.dtype.names == TABLE.names
        assert table["k"].tolist() == expected["k"].tolist()
        assert table["x"].tobytes() == expected["x"].tobytes()
        assert [name.decode() for name in table["name"]] == expected["name"].tolist()


@pytest.mark.parametrize("compress", [False, True])
def test_columns_may_be_named_in_any_language(path, compress):
    plan, kind = Plan(5, 2), np.dtype([("π", float), ("größe", int)])
    folder = Folder(path, Dataset("t"), plan, compress=compress)
    folder.write(lambda block: np.array([(k / 3, k) for k in block], kind))
    with folder.complete() as file:
        assert file["t"].dtype.names == ("π", "größe")
        assert file["t"]["π"].tolist() == [k / 3 for k in range(5)]
        assert file["t"]["größe"].tolist() == list(range(5))


def test_text_of_several_lengths(path):
    plan = Plan(5, 1)
    folder = Folder(path, Dataset("names"), plan)
    folder.write(lambda block: np.array(["ab" * block.start]))
    with folder.complete() as file:
        assert [name.decode() for name in file["names"]] == ["ab" * k for k in range(5)]


def test_columns_of_several_blocks_are_united(path):
    plan = Plan(4, 1)
    tables = [
        np.array([(1, 2)], [("row", int), ("a", int)]),
        np.array([(2, 0.5)], [("row", int), ("a", float)]),
        np.array([(3, "x")], [("row", int), ("b", "U3")]),
        np.array([(4, 7, "long text")], [("row", int), ("c", int), ("b", "U9")]),
    ]
    folder = Folder(path, Dataset("t", one_each=False), plan)
    for index in (2, 0, 3, 1):
        folder.write(lambda block: tables[block.index], [index], pid=index)
    with folder.complete() as file:
        table = file["t"]
        assert table.dtype.names == ("row", "a", "b", "c"), (
            "in order of the blocks, whoever wrote first"
        )
        assert table["row"].dtype == int
        np.testing.assert_equal(table["a"].tolist(), [2.0, 0.5, np.nan, np.nan])
        np.testing.assert_equal(table["c"].tolist(), [np.nan, np.nan, np.nan, 7.0])
        assert [text.decode() for text in table["b"]] == ["", "", "x", "long text"]


def test_type_that_no_block_tells_is_that_which_holds_all(path):
    plan = Plan(6, 2)
    kinds = ["i4", "f4", "u1"]
    folder = Folder(path, Dataset("y"), plan)
    folder.write(lambda block: np.arange(block.start, block.stop).astype(kinds[block.index]))
    with folder.complete() as file:
        assert file["y"].dtype == np.result_type("i4", "f4", "u1")
        assert file["y"][()].tolist() == list(range(6))


def some_rows(block):
    """Return none to six rows."""
    return np.arange(block.index * 5 % 7) + 100.0 * block.index


@pytest.mark.parametrize("compress", [False, True])
@MODERATE
@given(
    data=st.data(),
    n=st.integers(0, 60),
    block=st.integers(1, 9),
    writers=st.integers(1, 4),
    order=st.randoms(use_true_random=False),
)
def test_blocks_may_come_in_any_order_from_any_process(
    tmp_path_factory, compress, data, n, block, writers, order
):
    plan = Plan(n, block)
    reduction = Each(
        inplace=Dataset("inplace", "f4", row=(2,)),
        filtered=Dataset("filtered", float, one_each=False),
        table=Dataset("table"),
        sum=ExactSum(),
    )

    def partial(block):
        return {
            "inplace": ramp("f4", 2)(block),
            "filtered": some_rows(block),
            "table": text_rows(block),
            "sum": 1.0,
        }

    folder = Folder(tmp_path_factory.mktemp("rows") / "run.h5", reduction, plan, compress=compress)
    indices = list(range(plan.n_blocks))
    order.shuffle(indices)
    again = data.draw(
        st.lists(st.sampled_from(indices), max_size=4) if indices else st.just([])
    )  # after a retry
    for index in indices + again:
        folder.write(partial, [index], pid=order.randrange(writers))
    assert len(folder.parts) <= writers
    with folder.complete() as file:
        assert set(file) == {"inplace", "filtered", "table"}
        expected = [partial(plan[k]) for k in range(plan.n_blocks)]
        assert file["inplace"].shape == (n, 2)
        for name, empty in (("inplace", np.zeros((0, 2), "f4")), ("filtered", np.zeros(0))):
            rows = np.concatenate([empty, *(each[name] for each in expected)])
            assert file[name][()].tobytes() == rows.tobytes()
        if n:
            assert file["table"]["k"].tolist() == list(range(n))
        else:
            assert file["table"].shape == (0,)


@pytest.mark.parametrize("compress", [False, True])
def test_a_plan_without_blocks_has_datasets_without_rows(path, compress):
    each = Each(
        a=Dataset("a", float, row=(3,)),
        b=Dataset("b"),
        c=Dataset("c", "U3"),
        d=Dataset("d", one_each=False),
    )
    folder = Folder(path, each, Plan(0, 5), compress=compress)
    folder.rows.writer().close()
    with folder.complete() as file:
        assert {name: file[name].shape for name in file} == {
            "a": (0, 3),
            "b": (0,),
            "c": (0,),
            "d": (0,),
        }


def test_many_small_blocks_and_large_ones(path):
    plan, sizes = Plan(2500, 1), [1] * 2500
    sizes[700], sizes[1701], sizes[2499] = 20_000, 0, 10_000
    folder = Folder(path, Dataset("y", float, one_each=False), plan)

    def partial(block):
        return np.full(sizes[block.index], block.index, float)

    folder.write(partial, range(0, 2500, 2), pid=1)
    folder.write(partial, range(1, 2500, 2), pid=2)
    with folder.complete() as file:
        np.testing.assert_array_equal(file["y"][()], np.repeat(np.arange(2500.0), sizes))


def strided(block):
    return (
        np.arange(4 * block.size, dtype=float).reshape(block.size, 2, 2)[:, ::-1, :]
        + 100 * block.start
    )


def fortran(block):
    return np.asfortranarray(
        np.arange(4 * block.size, dtype=float).reshape(block.size, 2, 2) + 100 * block.start
    )


def broadcast(block):
    return np.broadcast_to(np.float64(block.start), (block.size, 2, 2))


@pytest.mark.parametrize("partial", [strided, fortran, broadcast])
@pytest.mark.parametrize("compress", [False, True])
def test_rows_may_lie_in_memory_in_any_way(path, partial, compress):
    plan = Plan(10, 3)
    folder = Folder(path, Dataset("y", float, row=(2, 2)), plan, compress=compress)
    folder.write(partial)
    with folder.complete() as file:
        np.testing.assert_array_equal(file["y"][()], whole(partial, plan))


def test_rows_are_converted_to_the_type_of_the_dataset(path):
    plan = Plan(10, 3)
    for number, compress in enumerate((False, True)):
        folder = Folder(path.with_name(f"{number}.h5"), Dataset("y", "f4"), plan, compress=compress)
        folder.write(lambda block: [0.1 * k for k in block])
        with folder.complete() as file:
            assert file["y"][()].tobytes() == np.array([0.1 * k for k in range(10)], "f4").tobytes()


@pytest.mark.parametrize("compress", [False, True])
def test_rows_of_skipped_blocks_are_nan_or_zero(path, compress):
    plan, skipped = Plan(10, 3), [1, 3]
    datasets = {
        "x": Dataset("x", float, row=(2,)),
        "k": Dataset("k", int),
        "unknown": Dataset("unknown"),
        "some": Dataset("some", float, one_each=False),
    }

    def partial(block):
        ones = np.ones(block.size)
        return {"x": np.ones((block.size, 2)), "k": ones.astype(int), "unknown": ones, "some": ones}

    folder = Folder(path, Each(**datasets), plan, compress=compress)
    folder.write(partial, [2, 0])
    with folder.complete(skipped) as file:
        gone = np.array([index in skipped for index in range(4)]).repeat(3)[:10]
        assert np.isnan(file["x"][()]).tolist() == [[is_gone] * 2 for is_gone in gone]
        assert file["k"][()].tolist() == [int(not is_gone) for is_gone in gone]
        assert np.isnan(file["unknown"][()]).tolist() == gone.tolist()
        assert file["some"][()].tolist() == [1.0] * 6


def test_all_blocks_skipped(path):
    folder = Folder(path, Each(x=Dataset("x", float), u=Dataset("u")), Plan(10, 3))
    with folder.complete(range(4)) as file:
        assert np.isnan(file["x"][()]).all()
        assert np.isnan(file["u"][()]).all()
        assert {len(file[name]) for name in file} == {10}


def test_a_run_that_may_end_early_has_no_places_and_the_rows_of_its_blocks(path):
    plan = Plan(100, 3)
    folder = Folder(path, Dataset("y", float), plan, may_end_early=True)
    assert folder.rows.places == {}
    folder.write(ramp(float), range(16))
    with folder.complete(plan=Plan(48, 3)) as file:
        assert file["y"][()].tobytes() == whole(ramp(float), plan, range(16)).tobytes()


@MODERATE
@given(data=st.data(), compress=st.booleans())
def test_a_torn_record_at_the_end_of_a_part_is_ignored(tmp_path_factory, data, compress):
    plan = Plan(10, 2)
    folder = Folder(
        tmp_path_factory.mktemp("torn") / "run.h5", Dataset("t"), plan, compress=compress
    )
    folder.write(text_rows, [0, 3, 2], pid=1)
    [part] = (folder.rows.folder / name for name in folder.parts)
    whole_records = part.stat().st_size
    folder.write(text_rows, [4], pid=1)
    cut = data.draw(st.integers(whole_records + 1, part.stat().st_size - 1))
    os.truncate(part, cut)
    folder.write(text_rows, [4, 1], pid=2)
    with folder.complete() as file:
        assert file["t"]["k"].tolist() == list(range(10))


@pytest.mark.parametrize("compress", [False, True])
def test_columns_in_another_order_are_refused_or_put_in_order(path, compress):
    plan, dataset = Plan(4, 2), Dataset("t", [("a", float), ("b", float)])

    def partial(block):
        rows = np.zeros(block.size, [("b", float), ("a", float)])
        rows["a"], rows["b"] = 1, 2
        return rows

    folder = Folder(path, dataset, plan, compress=compress)
    try:
        folder.write(partial)
    except TypeError:
        return
    with folder.complete() as file:
        assert file["t"]["a"].tolist() == [1.0] * 4


def test_object_arrays_are_refused(path):
    folder = Folder(path, Dataset("y"), Plan(2, 2))
    with pytest.raises(TypeError, match="can't hold object"):
        folder.write(lambda block: np.array([{}, []], object))


def test_writers_leave_no_file_open(path):
    before = len(os.listdir("/proc/self/fd"))
    folder = Folder(path, Each(a=Dataset("a", float), b=Dataset("b")), Plan(10, 2))
    folder.write(lambda block: {"a": np.zeros(block.size), "b": np.zeros(block.size)})
    folder.complete().close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_parts_of_many_processes_are_joined_with_few_open_files(path):
    # 1,024 is what many systems allow a process, and there is a part for each process of the run.
    folder, opened = Folder(path, Dataset("y"), Plan(200, 1)), []
    for index in range(200):
        folder.write(ramp(float), [index])

    def watched(*arguments):
        opened.append(len(os.listdir("/proc/self/fd")))
        return converted(*arguments)

    before = len(os.listdir("/proc/self/fd"))
    with (
        mock.patch.object(mpipar.store.row_joining, "converted", watched),
        folder.complete() as file,
    ):
        assert len(file["y"]) == 200
    assert max(opened) < before + 100


def test_rows_can_be_sent_to_any_process(path):
    path.mkdir()
    rows = begin(path, bound_to(Dataset("y", float), Plan(4, 2)), False, "run")
    sent = pickle.loads(pickle.dumps(rows))
    assert isinstance(sent, Rows)
    assert (sent.folder, sent.places, sent.compress) == (rows.folder, rows.places, False)
    assert sent.datasets[0].name == "y"


def names_in(folder) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_leftovers_of_a_killed_run_are_replaced(path):
    reduction = Each(a=Dataset("a", float), b=Dataset("b"))
    folder = Folder(path.with_name("run.h5.parts"), reduction, Plan(10, 2))
    folder.write(lambda block: {"a": np.ones(block.size), "b": np.ones(block.size)})
    assert {"rows.h5", "rows.skeleton", *folder.parts} < names_in(folder.rows.folder)
    with OutputFile(path, bound_to(Dataset("b"), Plan(4, 2)), Comm()) as output:
        assert names_in(output.rows.folder) == {"rows.h5", "rows.skeleton", "lock"}
        with h5py.File(output.rows.base) as file:
            assert set(file) == set()


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(path):
    other = path.with_name("run.h5.parts")
    other.mkdir()
    (other / "rows.h5").write_text("x")
    (other / "thesis.txt").write_text("precious")
    with pytest.raises(
        BadInput, match=r"^output: the folder .*run\.h5\.parts' is needed, but .*'thesis\.txt'"
    ):
        OutputFile(path, bound_to(Dataset("y", float), Plan(4, 2)), Comm())
    assert sorted(entry.name for entry in other.iterdir()) == ["rows.h5", "thesis.txt"]


def test_a_file_in_place_of_the_folder_is_refused(path):
    path.with_name("run.h5.parts").write_text("precious")
    with pytest.raises(BadInput, match=r"^output: "):
        OutputFile(path, bound_to(Dataset("y", float), Plan(4, 2)), Comm())
    assert path.with_name("run.h5.parts").read_text() == "precious"


@pytest.mark.parametrize("name", [*RESERVED, "group/a", "/"])
def test_names_that_a_result_file_has_already_are_refused_before_the_run(path, name):
    with (
        pytest.raises(BadInput, match=f"^output: a dataset can't be named '{name}'"),
        OutputFile(path, bound_to(Dataset(name, float), Plan(4, 2)), Comm()),
    ):
        pass
    assert list(path.parent.iterdir()) == []


def test_all_names_that_a_result_file_has_are_reserved(path):
    @driver(n="items", reduction=ExactSum, block=3)
    def kernel(block, *, items: int = 9):
        if block.index == 1:
            raise ValueError
        return 1.0

    kernel.finish(lambda total: Estimate(total, 0.5))
    run(kernel, output=path, on_error="skip")
    with h5py.File(path) as file:
        found = set(file)
    run(kernel, output=path.with_name("other.h5"), items=3)
    with h5py.File(path.with_name("other.h5")) as file:
        assert found | set(file) == set(RESERVED)


def test_two_datasets_of_one_name_are_refused_before_the_run(path):
    both = Each(a=Dataset("y", float), b=Dataset("y", int))
    with pytest.raises(BadInput, match="'y'"), OutputFile(path, bound_to(both, Plan(4, 2)), Comm()):
        pass
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("dtype", ["U5", "S5", "M8[s]", TABLE])
def test_types_of_other_kinds_are_stored_or_refused_before_the_run(path, dtype):
    kind, plan = np.dtype(dtype), Plan(4, 2)
    try:
        folder = Folder(path, Dataset("y", kind), plan)
    except (BadInput, TypeError):
        assert kind.kind == "M"
        return
    folder.write(lambda block: np.zeros(block.size, kind))
    with folder.complete() as file:
        assert len(file["y"]) == 4


@pytest.mark.parametrize("n", [10**17, 2**62, 2**70])
def test_a_dataset_too_large_for_any_disk_is_bad_input(path, n):
    with pytest.raises(BadInput, match=r"^output: "):
        OutputFile(path, bound_to_large(n), Comm())
    assert list(path.parent.iterdir()) == []


def bound_to_large(n):
    @driver(n=lambda: n, reduction=Dataset("y", float), block=2**40)
    def kernel(block): ...

    return kernel.bind({})


def test_the_folder_ends_with_the_run(path):
    bound = bound_to(Dataset("y", float), Plan(4, 2))
    with OutputFile(path, bound, Comm()) as output:
        assert output.rows.folder.is_dir()
    assert list(path.parent.iterdir()) == []
    with pytest.raises(ZeroDivisionError), OutputFile(path, bound, Comm()):
        raise ZeroDivisionError
    assert list(path.parent.iterdir()) == []


def test_shuffled_runs_make_the_same_file(tmp_path):
    plan, contents = Plan(40, 3), []
    for seed in range(3):
        reduction = Each(a=Dataset("a", float), b=Dataset("b", one_each=False))
        folder = Folder(tmp_path / f"{seed}.h5", reduction, plan)
        indices = list(range(plan.n_blocks))
        random.Random(seed).shuffle(indices)
        for pid in range(3):
            folder.write(
                lambda block: {"a": ramp(float)(block), "b": text_rows(block)[::2]},
                indices[pid::3],
                pid=pid,
            )
        with folder.complete() as file:
            contents.append((file["a"][()].tobytes(), file["b"]["k"].tolist()))
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize("compress", [False, True])
def test_rows_are_taken_up_where_they_were_left(path, compress):
    plan, reduction = (
        Plan(40, 3),
        Each(a=Dataset("a", float), b=Dataset("b", one_each=False), c=Dataset("c", "i4")),
    )

    def partial(block):
        return {"a": ramp(float)(block), "b": text_rows(block)[::2], "c": ramp("i4")(block)}

    folder = Folder(path, reduction, plan, compress=compress)
    folder.write(partial, range(0, 14, 2))
    before = path / "before"
    before.write_bytes(folder.rows.base.read_bytes())
    bound = bound_to(reduction, plan)
    folder.rows = resume(path, bound, compress, "run")
    assert folder.rows.base.read_bytes() == before.read_bytes()
    folder.write(partial, range(1, 14, 2))
    with folder.complete() as file:
        assert file["a"][()].tobytes() == whole(ramp(float), plan).tobytes()
        assert file["b"]["k"].tolist() == [k for index in range(14) for k in list(plan[index])[::2]]
        assert file["c"][()].tobytes() == whole(ramp("i4"), plan).tobytes()


@pytest.mark.parametrize("cut", [None, 0, 100])
def test_what_hdf5_has_spoilt_when_it_was_killed_is_put_right(path, cut):
    plan, reduction = (
        Plan(40, 3),
        Each(a=Dataset("a", float), b=Dataset("b", "i2", row=(2,)), t=Dataset("t")),
    )

    def partial(block):
        return {"a": ramp(float)(block), "b": ramp("i2", 2)(block), "t": text_rows(block)}

    folder = Folder(path, reduction, plan)
    folder.write(partial)
    file = folder.complete()
    file.close()
    with h5py.File(folder.rows.base, "r+") as file:
        file["value"] = np.ones(1000)
    places = {name: (place, file_size) for name, place, file_size in places_of(folder)}
    image = bytearray(folder.rows.base.read_bytes())
    kept = [range(place, place + size) for place, size in places.values()]
    for position in range(len(image) if cut is None else cut):
        if not any(position in span for span in kept):
            image[position] = 0xFF
    folder.rows.base.write_bytes(image)
    folder.rows = resume(path, bound_to(reduction, plan), False, "run")
    with folder.complete() as file:
        assert set(file) == {"a", "b", "t"}
        assert file["a"][()].tobytes() == whole(ramp(float), plan).tobytes()
        assert file["b"][()].tobytes() == whole(ramp("i2", 2), plan).tobytes()
        assert file["t"]["k"].tolist() == list(range(40))


def places_of(folder):
    """Yield the name, place and size of each dataset that is written in place."""
    for dataset in folder.rows.datasets:
        if dataset.name in folder.rows.places:
            row_bytes = dataset.dtype.itemsize * int(np.prod(dataset.row, dtype=int))
            yield dataset.name, folder.rows.places[dataset.name], folder.plan.n * row_bytes


def remove(name):
    return lambda folder: (folder / name).unlink()


def shorten(name):
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


@pytest.mark.parametrize(
    "spoil",
    [remove("rows.h5"), remove("rows.skeleton"), shorten("rows.skeleton"), lambda folder: None],
    ids=["no rows", "no skeleton", "torn skeleton", "rows of another run"],
)
def test_rows_that_are_not_there_are_bad_input(path, spoil):
    reduction, plan = Dataset("y", float), Plan(10, 3)
    Folder(path, reduction, plan)
    spoil(path)
    with pytest.raises(
        BadInput, match=r"^resume: the rows that are done are not in '.*run\.h5' \("
    ):
        resume(path, bound_to(reduction, plan), False, "another")
