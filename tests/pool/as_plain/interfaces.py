"""What type checkers and subclasses count on."""

import multiprocessing.pool as mpp, multiprocessing as mp, concurrent.futures as cf, typing
from multiprocessing import Pool


class Traced(cf.ProcessPoolExecutor):
    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self.n = 0

    def submit(self, fn, *a, **k):
        self.n += 1
        return super().submit(fn, *a, **k)


def f(x, y=0):
    return x + y


if __name__ == "__main__":
    with Pool(2) as p:
        r = p.apply_async(f, (1,))
        m = p.map_async(f, [1, 2])
        it = p.imap(f, [1])
        iu = p.imap_unordered(f, [1])
        print(
            isinstance(r, mpp.AsyncResult),
            isinstance(r, mpp.ApplyResult),
            isinstance(m, mpp.MapResult),
            isinstance(m, mpp.AsyncResult),
            isinstance(it, mpp.IMapIterator),
            isinstance(iu, mpp.IMapIterator),
        )
        print(
            isinstance(p, mpp.Pool),
            isinstance(p, mp.pool.Pool),
            type(p).__name__,
            r.get(),
            m.get(),
            list(it),
            list(iu),
        )
    with cf.ProcessPoolExecutor(2) as ex:
        fu = ex.submit(f, 1)
        print(
            isinstance(fu, cf.Future),
            isinstance(ex, cf.Executor),
            isinstance(ex, cf.ProcessPoolExecutor),
        )

    def g(p: "mpp.Pool", r: mpp.AsyncResult[int] = None) -> mp.pool.MapResult:
        pass

    with Traced(max_workers=2) as ex:
        print(
            [u.result() for u in [ex.submit(f, i, y=1) for i in range(3)]],
            ex.n,
            list(ex.map(f, [1, 2], [3, 4])),
            ex.n,
        )
        got = []
        fu = ex.submit(f, 5)
        fu.add_done_callback(lambda u: got.append(u.result()))
        cf.wait([fu])
        print(fu.done(), fu.running(), fu.cancelled(), got or fu.result())
        print(sum(u.result() for u in cf.as_completed([ex.submit(pow, i, 2) for i in range(5)])))
