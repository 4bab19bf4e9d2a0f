"""A module that has some of its data from another one."""

from . import config
from .config import OPTIONS, STACK, cfg, Settings, MISSING, N as ORIG_N

cache = {}


def step(x):
    OPTIONS["calls"] = OPTIONS.get("calls", 0)
    return (
        x,
        config.N,
        ORIG_N,
        OPTIONS is config.OPTIONS,
        sorted(OPTIONS),
        OPTIONS["deep"],
        STACK,
        config.SEEN,
        config.TABLE.tolist(),
        None if config.GRID is None else config.GRID.tolist(),
        config.MODE,
        config.MODE is config.Mode.SLOW,
        cfg is config.cfg,
        cfg.rate,
        cfg.tags,
        Settings.level,
        Settings.names,
        Settings.cfg is cfg,
        config.fz,
        dict(config.hist),
        config.DEFAULTS["m"] is MISSING,
        config.DEFAULTS.get("n") is MISSING,
        sorted(config.REG),
        len(cache),
    )
