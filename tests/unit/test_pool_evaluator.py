import typing

import pytest

from mpipar.runtime import pool_evaluator


class _Crew:
    """Processes that are started by word alone; Ctrl-C comes as the second is."""

    running: typing.ClassVar[set[object]] = set()

    def __init__(self, *_):
        self.running.clear()

    def start(self, berth):
        if self.running:
            raise KeyboardInterrupt
        self.running.add(berth)

    def retire(self, berth):
        self.running.discard(berth)

    def kill(self, *berths):
        self.running.difference_update(berths)

    def end(self):
        assert not self.running, "nobody would tell it to end"


def test_ctrl_c_while_workers_start_ends_those_that_have(monkeypatch):
    monkeypatch.setattr(pool_evaluator, "Crew", _Crew)
    monkeypatch.setattr(pool_evaluator, "task_as_frames", lambda task: ())
    monkeypatch.setattr(pool_evaluator, "prepare", lambda: None)
    monkeypatch.setattr(
        pool_evaluator.PoolEvaluator, "_start", lambda self, worker: self._crew.start(worker)
    )
    with pytest.raises(KeyboardInterrupt):
        pool_evaluator.PoolEvaluator(None, 3, rank=0, host="here")
    assert not _Crew.running
