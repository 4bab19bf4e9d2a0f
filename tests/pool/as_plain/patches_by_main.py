"""A main part that puts its own functions and data into modules and library classes."""

import json, logging, mimetypes
from multiprocessing import Pool
import state.work as work

orig = work.step


def fake(x):
    return "fake", orig(x)[0]


def f(x):
    return (
        work.step(x),
        mimetypes.suffix_map["mine"],
        json.JSONEncoder.item_separator,
        work.config.base(4),
        work.config.Settings.level,
    )


def patch():
    work.step = fake
    work.config.base = lambda x: x * 100
    work.config.Settings.level = 33


def main():
    patch()
    mimetypes.suffix_map["mine"] = ".x"
    json.JSONEncoder.item_separator = ";"
    with Pool(2) as p:
        print(p.map(f, [1, 2]))


if __name__ == "__main__":
    main()
