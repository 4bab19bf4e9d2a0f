"""Processes of its own that take work from one queue and put results into another one."""

from multiprocessing import Process, Queue


def worker(todo, done):
    for number in iter(todo.get, "STOP"):
        done.put((number, number**3))


if __name__ == "__main__":
    todo, done = Queue(), Queue()
    for number in range(10):
        todo.put(number)
    processes = [Process(target=worker, args=(todo, done)) for _ in range(2)]
    for process in processes:
        process.start()
        todo.put("STOP")
    results = dict(done.get() for _ in range(10))
    for process in processes:
        process.join()
    for number in sorted(results):
        print(number, "cubed is", results[number])
    print("exit codes:", [process.exitcode for process in processes])
