"""Signals that end a process, noticed also while a job blocks the event loop.

The handlers of an event loop run on the loop, so a blocked one hears nothing. Here the interpreter writes each signal into a
socket, which a thread reads: the first signal sets an event on the loop, a later one ends the process at once. With
``patience`` a process whose loop is still blocked so many seconds after the first signal ends, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

from naq.clock import SystemClock

__all__ = ["stopped_by"]

ANSWER = 1.0
"""Seconds in which an event loop that is not blocked answers."""
STOP = b"\0"
CLOCK = SystemClock()

log = logging.getLogger(__name__)


@contextlib.contextmanager
def stopped_by(
    numbers: Sequence[signal.Signals], hurry: Callable[[], object] | None = None, patience: float | None = None
) -> Iterator[asyncio.Event]:
    """An event that the first of these signals sets. Use it in the main thread.

    The second signal calls ``hurry`` on the event loop, if there is one; the next one ends the process at once with the
    code 128 + its number. ``patience``: seconds after the first signal within which the event loop must not be blocked.
    """
    stopped, ours = asyncio.Event(), _Listener(asyncio.get_running_loop(), numbers, hurry, patience)
    thread = threading.Thread(target=ours.listen, args=(stopped,), name="naq signals", daemon=True)
    before = {number: signal.signal(number, _noticed) for number in numbers}
    wakeup = signal.set_wakeup_fd(ours.writer.fileno(), warn_on_full_buffer=False)
    thread.start()
    try:
        yield stopped
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        ours.writer.send(STOP)
        thread.join()
        ours.close()


def _noticed(number: int, frame: object) -> None:
    """The interpreter has written the signal into the socket."""


class _Listener:
    """The thread that reads signals from the socket."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        numbers: Sequence[signal.Signals],
        hurry: Callable[[], object] | None,
        patience: float | None,
    ) -> None:
        self.reader, self.writer = socket.socketpair()
        self.writer.setblocking(False)
        self._loop = loop
        self._numbers = frozenset(int(number) for number in numbers)
        self._hurries = [] if hurry is None else [hurry]
        self._patience = patience
        self._first: int | None = None
        self._deadline: float | None = None

    def close(self) -> None:
        self.reader.close()
        self.writer.close()

    def listen(self, stopped: asyncio.Event) -> None:
        """Read until `STOP`."""
        while True:
            if not select.select([self.reader], [], [], self._left())[0]:
                self._end_if_blocked()
                continue
            for number in self.reader.recv(100):
                if number == STOP[0]:
                    return
                if number in self._numbers:
                    self._on_signal(number, stopped)

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - CLOCK.monotonic())

    def _on_signal(self, number: int, stopped: asyncio.Event) -> None:
        if self._first is None:
            self._first = number
            if self._patience is not None:
                self._deadline = CLOCK.monotonic() + self._patience
            self._call(stopped.set)
        elif self._hurries:
            self._call(self._hurries.pop())
        else:
            os._exit(128 + number)

    def _end_if_blocked(self) -> None:
        answered = threading.Event()
        self._call(answered.set)
        if not answered.wait(ANSWER):
            log.error("the event loop is blocked, so the process ends without waiting for its jobs")
            os._exit(128 + (self._first or 0))
        self._deadline = CLOCK.monotonic() + ANSWER

    def _call(self, action: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(action)
