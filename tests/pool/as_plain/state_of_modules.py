"""A script that sets up its modules, whose functions then are the tasks."""

from multiprocessing import Pool
import state.config as config
from state.config import OPTIONS, cfg
from state import work


def mine(x):
    return (
        OPTIONS is config.OPTIONS,
        cfg is work.cfg,
        work.step(x)[1:],
        config.extra,
        config.REG["mine"](1) if "mine" in config.REG else None,
    )


@config.register
def late(x):
    return -x


if __name__ == "__main__":
    config.setup(5)
    config.extra = {"new": [1]}
    config.REG["mine"] = late
    work.cache.update({1: 2})
    with Pool(2) as p:
        print(p.map(work.step, [1]))
        print(p.map(mine, [2]))
    config.setup(6)
    config.OPTIONS = {"deep": 0}
    with Pool(2) as p:
        print(p.map(work.step, [1]))
