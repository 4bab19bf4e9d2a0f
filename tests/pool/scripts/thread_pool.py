"""Threads for what waits, processes for what computes."""

import time
from multiprocessing import Pool
from multiprocessing.dummy import Pool as DummyPool
from multiprocessing.pool import ThreadPool


def download(page):
    time.sleep(0.01)
    return f"text of page {page} " * page


def longest(text):
    return max(text.split(), key=len), len(text)


if __name__ == "__main__":
    with ThreadPool(4) as threads:
        texts = threads.map(download, range(1, 6))
        later = threads.apply_async(lambda: len(texts))
        print(later.get(), "texts")
        print([len(text) for text in threads.imap(download, [1, 2])])
    with Pool(2) as processes:
        print(processes.map(longest, texts))
    with DummyPool(2) as threads:
        print(threads.map(len, texts))
