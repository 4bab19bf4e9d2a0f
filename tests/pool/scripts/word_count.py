"""The words of many text files: map, then reduce."""

import os
import sys
from collections import Counter
from functools import reduce
from multiprocessing import Pool
from operator import add

TEXT = """It was the best of times, it was the worst of times, it was the age of wisdom,
it was the age of foolishness, it was the epoch of belief, it was the season of Light"""


def write_files(folder):
    words = TEXT.split()
    paths = []
    for i in range(8):
        paths.append(os.path.join(folder, f"part{i}.txt"))
        with open(paths[-1], "w", encoding="utf-8") as file:
            file.write(" ".join(words[i:]) + "\n" + " ".join(words[: 3 * i]))
    return paths


def count_words(path):
    counts = Counter()
    with open(path, encoding="utf-8") as file:
        for line in file:
            counts.update(word.strip(",.").lower() for word in line.split())
    return counts


if __name__ == "__main__":
    files = write_files(sys.argv[1])
    with Pool() as pool:
        counters = pool.map(count_words, files)
    total = reduce(add, counters)
    for word, count in sorted(total.items(), key=lambda item: (-item[1], item[0]))[:12]:
        print(f"{word:12} {count:4d}")
    os.chdir(sys.argv[1])
    with Pool() as pool:
        print(
            sum(
                sum(counter.values())
                for counter in pool.map(count_words, [f"part{i}.txt" for i in range(8)])
            )
        )
