import abc, dataclasses, threading
from multiprocessing import Pool


class A:
    __slots__ = ("x", "__y", "__weakref__")

    def __init__(self):
        self.x, self.__y = 1, 2

    def both(self):
        return self.x, self.__y


class One:
    __slots__ = "solo"


class B(A):
    __slots__ = ["z"]


class D(A):
    pass


@dataclasses.dataclass(slots=True)
class DS:
    a: int = 1
    b: str = "q"


class Ab(abc.ABC):
    __slots__ = ()

    @abc.abstractmethod
    def m(self): ...


class Impl(Ab):
    __slots__ = ("v",)

    def m(self):
        return super().__init__()


def f(o):
    r = []
    for kind in (A, One, B, D, DS, Impl):
        try:
            kind().new = 1
            r.append("dict")
        except AttributeError:
            r.append("slots")
    try:
        Ab()
    except TypeError:
        r.append("abstract")
    return (
        r,
        B().both(),
        DS(2),
        type(o) is DS,
        A.__slots__,
        hasattr(Impl(), "__dict__"),
        A.x.__get__(A()),
    )


with Pool(2) as p:
    print(p.map(f, [DS(3)]))
    print(p.map(DS, [5]))
