import inspect, traceback, warnings, linecache, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool


class Shape:
    """A shape."""

    def area(self):
        return 3


def boom(x):
    y = x - x
    return 1 / y


def tb(x):
    try:
        boom(x)
    except ZeroDivisionError:
        return traceback.format_exc()


def src(_):
    return (
        inspect.getsource(boom),
        inspect.getsource(Shape),
        inspect.getsourcelines(tb)[1],
        inspect.getfile(Shape) == __file__,
    )


def warned(x):
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        warnings.warn("hm")
    return (
        str(w[0].filename == __file__),
        w[0].lineno,
        linecache.getline(w[0].filename, w[0].lineno),
    )


def where(_):
    return sys._getframe().f_code.co_filename == __file__, (
        lambda: 0
    ).__code__.co_filename == __file__


with Pool(2) as p:
    print(p.map(tb, [1])[0])
    print(p.map(src, [0]))
    print(p.map(warned, [0]))
    print(p.map(where, [0]))
    try:
        p.map(boom, [1])
    except ZeroDivisionError as e:
        print(str(e.__cause__).replace("starmapstar", "mapstar").count(__file__))
