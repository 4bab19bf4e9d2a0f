import sys, pickle, typing, types
from multiprocessing import Pool, Manager


class Pt:
    def __init__(self, x):
        self.x = x


class Tree:
    left: "Tree"
    data: "Pt"


PARAM = {"k": 2}


def helper_by_string(x):
    return x * PARAM["k"]


def load(b):
    return pickle.loads(b).x


def hints(_):
    return typing.get_type_hints(Tree)


def by_name(n):
    return getattr(sys.modules[__name__], n)(4)


def evald(s):
    return eval(s, vars(sys.modules["__main__"]))


def methods(n):
    return types.MethodType(getattr(sys.modules["__main__"], "helper_by_string"), 5)()


def viaimport(_):
    import __main__

    return __main__.PARAM


def main():
    with Pool(2) as p:
        print(p.map(load, [pickle.dumps(Pt(3))]))
        print(p.map(hints, [0]))
        print(p.map(by_name, ["helper_by_string"]))
        print(p.map(evald, ["helper_by_string(3)"]))
        print(p.map(methods, [0]))
        print(p.map(viaimport, [0]))


main()
