"""What stands in a worker where it can't have what the script has: whoever uses it is told why."""

from __future__ import annotations

from typing import Any, NoReturn

_USES = (
    *("call", "enter", "exit", "iter", "next", "len", "contains", "await"),
    *("getitem", "setitem", "delitem", "bool", "array", "int", "float", "complex", "index"),
    *("str", "bytes", "format", "fspath", "hash", "reduce_ex"),
    *("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert"),
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow"),
    *("and", "or", "xor", "lshift", "rshift"),
    *("radd", "rsub", "rmul", "rmatmul", "rtruediv", "rfloordiv", "rmod", "rpow"),
    *("rand", "ror", "rxor"),
)


class Refused:
    """What can't be used.

    Parameters
    ----------
    error : Exception
        What its use raises.
    """

    def __init__(self, error: Exception) -> None:
        object.__setattr__(self, "_error", error)

    def __getattr__(self, name: str) -> NoReturn:
        self._refuse()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise object.__getattribute__(self, "_error")

    __setattr__ = __delattr__ = _refuse


for _name in _USES:
    setattr(Refused, f"__{_name}__", Refused._refuse)


def refused(name: str, reason: str) -> Refused:
    """Return what can't be used, as workers can't have what the script has under a name."""
    return Refused(RuntimeError(f"workers can't have {name}: {reason}"))
