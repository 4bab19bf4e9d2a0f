"""No guard, and the executor is shut down by the end of the script."""

import concurrent.futures
import math

LIMIT = 50


def is_prime(n):
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


executor = concurrent.futures.ProcessPoolExecutor()
answers = executor.map(is_prime, range(LIMIT))
print([n for n, prime in enumerate(answers) if prime])
future = executor.submit(sum, range(1000))
print(future.result())
future.add_done_callback(lambda done: print("called back with", done.result()))
