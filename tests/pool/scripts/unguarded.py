"""A script as beginners write it: all at the top level, with lambdas and closures in its tables."""

from multiprocessing import Pool


def power_of(exponent):
    def power(x):
        return x**exponent

    return power


operations = {"double": lambda x: 2 * x, "negate": lambda x: -x, "cube": power_of(3)}


def work(job):
    name, x = job
    return name, x, operations[name](x)


print("starting")
pool = Pool(2)
for name, x, result in pool.map(work, [(name, x) for name in operations for x in (1, 2, 3)]):
    print(f"{name}({x}) = {result}")
total = sum(pool.map(int, ["1", "2", "3"]))
pool.close()
pool.join()
print("total", total)
