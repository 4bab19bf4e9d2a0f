"""A lock, a value and a queue of a manager, used by the tasks of a pool."""

from multiprocessing import Manager, Pool


def deposit(lock, account, journal, amount):
    with lock:
        balance = account.value
        account.value = balance + amount
    journal.put((amount, "ok"))


def main():
    manager = Manager()
    lock, account, journal = manager.Lock(), manager.Value("i", 100), manager.Queue()
    settings = manager.Namespace(currency="EUR")
    with Pool(4) as pool:
        pool.starmap(deposit, [(lock, account, journal, amount) for amount in range(1, 25)])
    entries = []
    while not journal.empty():
        entries.append(journal.get())
    print("balance:", account.value, settings.currency)
    print("entries:", len(entries), "sum:", sum(amount for amount, _ in entries))


if __name__ == "__main__":
    main()
