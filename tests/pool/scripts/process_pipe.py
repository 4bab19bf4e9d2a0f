"""A parent and a child that talk over a pipe, and a counter in shared memory."""

from multiprocessing import Array, Lock, Pipe, Process, Value


def child(connection):
    while True:
        message = connection.recv()
        if message is None:
            connection.send("bye")
            connection.close()
            return
        connection.send({"text": message.upper(), "length": len(message)})


def count(counter, array, lock, index):
    for _ in range(100):
        with lock:
            counter.value += 1
            array[index] += 2


if __name__ == "__main__":
    here, there = Pipe()
    process = Process(target=child, args=(there,))
    process.start()
    for word in ["hello", "from", "parent"]:
        here.send(word)
        print(here.recv())
    here.send(None)
    print(here.recv())
    process.join()

    counter, array, lock = Value("i", 0), Array("i", 3), Lock()
    counting = [Process(target=count, args=(counter, array, lock, index)) for index in range(3)]
    for process in counting:
        process.start()
    for process in counting:
        process.join()
    print("counter:", counter.value, "array:", array[:])
