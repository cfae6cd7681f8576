"""The time that clients and workers go by: this machine's, unless that is far from the server's.

A client whose wall clock is three hours off would have its delays, one-time schedules and intervals begin three hours away,
and a worker would wait three hours too long or short before the next attempt. So whoever is connected compares its clock
with the server's, and goes by the server's when the difference is more than ``clock_limit`` seconds. A scheduler does not: it
neither leads nor fires then (`naq.scheduler.drift`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from naq.clock import Clock, ServerTime, SystemClock, off_text

__all__ = ["ServerClock", "server_time"]

log = logging.getLogger(__name__)


class ServerClock(SystemClock):
    """A clock that was compared with the server's. Until it was, and while the connection is down, it is this machine's."""

    def __init__(self, limit: float, machine: Clock | None = None) -> None:
        """``limit``: seconds that the machine's clock may be off; 0: it is never compared."""
        self._limit = timedelta(seconds=limit)
        self._machine = machine or SystemClock()
        self._server: ServerTime | None = None
        self._is_wrong = False

    def now(self) -> datetime:
        """The wall clock, aware, in UTC, to the microsecond; the server's if the machine's is wrong."""
        here = self._machine.now()
        if self._server is None or not self._limit:
            return here
        there = self._server.at(self._machine.monotonic())
        wrong = abs(here - there) - timedelta(seconds=self._server.uncertain) > self._limit
        if wrong != self._is_wrong:
            self._is_wrong = wrong
            self._say((here - there).total_seconds())
        return there if wrong else here

    def monotonic(self) -> float:
        """Seconds that never go back, of this machine."""
        return self._machine.monotonic()

    def heard(self, info: Mapping[str, Any], began: float) -> None:
        """The server said its time in its information on a stream, which was asked for when `monotonic` read ``began``."""
        instant = server_time(info)
        if instant is not None:
            self._server = ServerTime.read(instant, began, self._machine.monotonic())

    def forget(self) -> None:
        """The connection is gone: the machine may have been suspended, and its monotonic clock stood still."""
        self._server = None

    def _say(self, ahead: float) -> None:
        if not self._is_wrong:
            log.warning("this machine's clock is right again")
            return
        log.error("this machine's clock is %s: naq goes by the server's time; set the clock (NTP)", off_text(ahead))


def server_time(info: Mapping[str, Any] | None) -> datetime | None:
    """The server's time in its information on a stream; ``None`` when it has none."""
    stamp = None if info is None else info.get("ts")
    return datetime.fromisoformat(stamp) if isinstance(stamp, str) else None
