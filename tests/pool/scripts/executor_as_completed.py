"""Futures, in the order in which they complete."""

from concurrent.futures import ProcessPoolExecutor, as_completed, wait


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def fail(n):
    raise ValueError(f"{n} is not wanted")


def main():
    found = {}
    with ProcessPoolExecutor(max_workers=4) as executor:
        futures = {executor.submit(fibonacci, n): n for n in [20, 5, 15, 1, 10]}
        failing = executor.submit(fail, n=13)
        for future in as_completed(futures):
            found[futures[future]] = future.result()
        print("exception:", repr(failing.exception()))
        done, rest = wait([executor.submit(fibonacci, 12), failing])
        print("done:", len(done), "rest:", len(rest))
    for n, value in sorted(found.items()):
        print(f"fibonacci({n}) = {value}")


if __name__ == "__main__":
    main()
