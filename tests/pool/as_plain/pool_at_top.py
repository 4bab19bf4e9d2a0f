from multiprocessing import Pool


def f(x):
    return x * 2


p = Pool(2)
print(p.map(f, [1, 2]))
p.close()


def g(x):
    return x * 3


if __name__ == "__main__":
    with Pool(2) as p:
        print(p.map(g, [1, 2]))
