"""A list and a dict that all processes share, by a manager."""

from multiprocessing import Manager, Pool, Process


def register(shared, names, key):
    shared[key] = key * key
    names.append(f"key {key}")


def fill(shared, key, value):
    shared[key] = value


if __name__ == "__main__":
    with Manager() as manager:
        shared = manager.dict({"start": True})
        names = manager.list()
        with Pool(3) as pool:
            pool.starmap(register, [(shared, names, key) for key in range(8)])
        processes = [Process(target=fill, args=(shared, f"process {i}", i)) for i in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        print(sorted(names))
        print(dict(sorted(shared.items(), key=str)))
        nested = manager.list([manager.dict(a=1), [1, 2]])
        nested[0]["b"] = 2
        print(nested[0].copy(), nested[1], len(nested))
