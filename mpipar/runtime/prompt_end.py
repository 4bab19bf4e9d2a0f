"""Ctrl-C where Python can't answer: its handlers of signals wait for the end of machine code."""

from __future__ import annotations

import os
import signal
import socket
import threading
from types import FrameType
from typing import Any

from mpipar.base.exit_codes import INTERRUPTED
from mpipar.runtime.interrupt import CTRL_C, Interruption
from mpipar.runtime.outlets import note

PATIENCE = 1.0
"""Seconds that Python has to answer."""


class PromptEnd:
    """Has a thread answer each Ctrl-C that the main thread doesn't, as that is in machine code
    which leaves Python's lock to others; a context manager.

    Parameters
    ----------
    interruption : Interruption or None
        What the first Ctrl-C tells to stop after the blocks in flight, so that the second ends the
        process; if None, the first does.
    """

    def __init__(self, interruption: Interruption | None) -> None:
        self._interruption = interruption
        self._sent = 0
        self._answered = 0
        self._answer = threading.Condition()
        self._handler: Any = None
        self._other_descriptor = -1
        self._heard, self._told = socket.socketpair()

    def __enter__(self) -> PromptEnd:
        self._handler = signal.getsignal(signal.SIGINT)
        is_answered = callable(self._handler)
        if is_answered and threading.current_thread() is threading.main_thread():
            self._told.setblocking(False)
            self._other_descriptor = signal.set_wakeup_fd(
                self._told.fileno(), warn_on_full_buffer=False
            )
            signal.signal(signal.SIGINT, self._note)
            threading.Thread(target=self._watch, name="mpipar-ctrl-c", daemon=True).start()
        else:
            self._handler = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            signal.set_wakeup_fd(self._other_descriptor)
        self._told.close()  # which ends the thread

    def _note(self, number: int, frame: FrameType | None) -> None:
        with self._answer:
            self._answered += 1
            self._answer.notify()
        self._handler(number, frame)

    def _watch(self) -> None:
        """Read the numbers of signals, which the system's handler writes at once."""
        with self._heard:
            while numbers := self._heard.recv(64):
                if self._other_descriptor != -1:
                    os.write(self._other_descriptor, numbers)
                if signal.SIGINT in numbers:  # launchers may send several: they are one
                    self._see_to_ctrl_c()

    def _see_to_ctrl_c(self) -> None:
        self._sent += 1
        with self._answer:
            if self._answer.wait_for(lambda: self._answered >= self._sent, PATIENCE):
                return
        if self._sent == 1 and self._interruption is not None:
            self._interruption.is_told = True
            note(CTRL_C)
            return
        note("interrupted")
        os._exit(INTERRUPTED)
