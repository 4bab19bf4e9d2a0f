"""A pool for the computing, and a process of its own that collects what the pool found."""

import multiprocessing as mp


def collatz_steps(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def collect(queue, answer):
    best = (0, 0)
    while True:
        item = queue.get()
        if item is None:
            break
        best = max(best, item)
    answer.put(best)


if __name__ == "__main__":
    queue, answer = mp.Queue(), mp.Queue()
    collector = mp.Process(target=collect, args=(queue, answer))
    collector.start()
    with mp.Pool(2) as pool:
        for n, steps in enumerate(pool.imap(collatz_steps, range(1, 300)), start=1):
            queue.put((steps, n))
        late = mp.Process(target=queue.put, args=((1000, 1),))
        late.start()
        late.join()
    queue.put(None)
    print("most steps:", answer.get())
    collector.join()
    print("collector ended with", collector.exitcode)
