"""The drivers that come with mpipar, as ``mpipar NAME`` or ``python -m mpipar.NAME``."""

DRIVERS = {
    "pi": "π by the midpoint rule",
    "mcpi": "π by Monte Carlo, with its standard error",
    "integrate": "integral of a function over a box",
    "primes": "prime numbers: count, list, test",
    "roots": "an expression of many numbers, into a dataset",
    "images": "rotate, resize, convert images",
    "load": "an uneven load, to see what a schedule does",
    "sweep": "a function of your own for each row of a table",
}
