"""The driver that counts, lists and tests prime numbers: known answers."""

import h5py
import numpy as np
import pytest
from conftest import chosen_ranks, mpirun, over, python

from mpipar import run
from mpipar.primes import primes

# Number -> whether it is prime: 2**61 - 1 and the largest of 64 bits, Carmichael numbers, squares,
# what is no prime.
SIGNED = {
    **dict.fromkeys([2, 3, 97, 2**31 - 1, 2**61 - 1, 2**63 - 25], True),
    **dict.fromkeys([-7, -2, -(2**63), 0, 1, 4, 2**62, 2**63 - 1, (2**31 - 1) ** 2], False),
    **dict.fromkeys([561, 1105, 1729, 2465, 41041, 825265, 321197185, 9746347772161], False),
}
UNSIGNED = {
    2**64 - 59: True,
    2**64 - 1: False,
    2**63: False,
    2: True,
    561: False,
    (2**32 - 5) ** 2: False,
    0: False,
}


def naive(n):
    flags = np.ones(n, bool)
    flags[:2] = False
    for i in range(2, int(n**0.5) + 1):
        flags[i * i :: i] = False
    return np.flatnonzero(flags)


@pytest.mark.parametrize(
    ("below", "expected"),
    [
        *(
            (0, 0),
            (1, 0),
            (2, 0),
            (3, 1),
            (4, 2),
            (10, 4),
            (18, 7),
            (100, 25),
            (10**6, 78498),
            (10**7, 664579),
        )
    ],
)
def test_the_number_of_primes(below, expected):
    assert run(primes, below=below).value == expected


@pytest.mark.parametrize(
    ("ranks", "below", "expected"), [(None, "10", 4), (2, "1e6", 78498), (3, "1e7", 664579)]
)
def test_the_number_of_primes_by_command_lines(ranks, below, expected):
    finished = over(ranks)("-m", "mpipar.primes", "--below", below)
    assert finished.stdout.startswith(f"primes = {expected}\n")
    assert finished.own_errors == []


@pytest.mark.parametrize("block", [7, 1000, 29_999, 10**6])
@pytest.mark.parametrize("below", [1, 2, 3, 30, 31, 12_345])
def test_the_list_is_that_of_a_naive_sieve(below, block):
    result = run(primes, below=below, list=True, block=block)
    assert result.datasets["primes"].tolist() == naive(below).tolist()
    assert result.datasets["primes"].dtype == np.int64
    assert result.value == len(naive(below))


@pytest.mark.parametrize("options", [(), ("--compress",)])
def test_the_list_in_a_file(options, tmp_path):
    path = tmp_path / "primes.h5"
    command = (
        "-m",
        "mpipar.primes",
        "--below",
        "1e6",
        "--list",
        "--output",
        str(path),
        "--block",
        "100_000",
    )
    assert mpirun(chosen_ranks(2)[0], *command, *options, "--json").json["value"] == 78498
    with h5py.File(path) as file:
        assert np.array_equal(file["primes"], naive(10**6))
        assert file["primes"].dtype == np.int64
        assert file["primes"].compression == ("gzip" if options else None)
        assert file["value"][()] == 78498


def test_an_empty_list_is_a_dataset_too(tmp_path):
    path = tmp_path / "primes.h5"
    assert (
        python(
            "-m", "mpipar.primes", "--below", "2", "--list", "--output", str(path), "--json"
        ).json["value"]
        == 0
    )
    with h5py.File(path) as file:
        assert (file["primes"].shape, file["primes"].dtype) == ((0,), np.int64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make files with the numbers in all forms."""
    folder = tmp_path_factory.mktemp("numbers")
    for name, numbers, kind in (("signed", SIGNED, np.int64), ("unsigned", UNSIGNED, np.uint64)):
        (folder / f"{name}.txt").write_text(
            "# to be tested\n" + "\n".join(f"{n}  # {n:x}" for n in numbers)
        )
        (folder / f"{name}.csv").write_text("n\n" + "".join(f"{n}\n" for n in numbers))
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["a group/numbers"] = np.array([*numbers], kind)
            file["two by two"] = np.array([*numbers][:4], kind).reshape(2, 2)
    return folder


@pytest.mark.parametrize("form", ["{}.txt", "{}.csv", "{}.h5:/a group/numbers"])
@pytest.mark.parametrize(("name", "known"), [("signed", SIGNED), ("unsigned", UNSIGNED)])
def test_given_numbers(name, known, form, folder, tmp_path):
    path = tmp_path / "out.h5"
    ranks = chosen_ranks(2)[0] if form.endswith("txt") else None
    options = ("--test", form.format(name), "--block", "3", "--output", str(path), "--json")
    result = over(ranks)("-m", "mpipar.primes", *options, cwd=folder).json
    assert (result["value"], result["n"]) == (sum(known.values()), len(known))
    with h5py.File(path) as file:
        assert dict(zip(known, file["is_prime"][:].tolist(), strict=True)) == known
        assert file["is_prime"].dtype == bool


def test_given_numbers_in_a_table_are_taken_row_by_row(folder):
    result = run(primes, test=str(folder / "signed.h5:/two by two"))
    assert result.datasets["is_prime"].tolist() == [*SIGNED.values()][:4]


def test_many_given_numbers_agree_with_the_sieve(tmp_path):
    (tmp_path / "numbers.txt").write_text(" ".join(map(str, range(30_000))))
    result = run(primes, test=str(tmp_path / "numbers.txt"))
    assert np.array_equal(np.flatnonzero(result.datasets["is_prime"]), naive(30_000))
