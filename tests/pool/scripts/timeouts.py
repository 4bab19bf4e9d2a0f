"""Waiting for a result, but not for ever."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError


def sleep(seconds):
    time.sleep(seconds)
    return f"slept {seconds} s"


if __name__ == "__main__":
    with multiprocessing.Pool(1) as pool:
        print(pool.apply_async(sleep, [0.01]).get(timeout=30))
        slow = pool.apply_async(sleep, [20])
        try:
            slow.get(timeout=0.1)
        except multiprocessing.TimeoutError:
            print("the result is not there yet; ready:", slow.ready())
        try:
            slow.successful()
        except ValueError:
            print("and whether it will be successful nobody knows")
    with ProcessPoolExecutor(1) as executor:
        future = executor.submit(sleep, 0.5)
        try:
            future.result(timeout=0.05)
        except FutureTimeoutError:
            print("not yet")
        print(future.result(timeout=30))
