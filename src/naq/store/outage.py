"""Outages of the store: logged once with a remedy, retried with backoff, and logged again when they end.

A store that is full refuses every transaction, and a bucket that was deleted answers none. A line for each try would bury
the one that tells why. So trouble of one kind is said when it begins, and again once a minute while it lasts.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from naq.clock import Clock
from naq.events import Event, EventType
from naq.exceptions import StoreError, StoreRejected
from naq.store.port import EventSink
from naq.timing.backoff import Backoff

__all__ = ["Reminder", "Trouble", "wait_after"]

AGAIN = Backoff(delay=timedelta(seconds=0.02), longest=timedelta(seconds=1), jitter=0.25)
"""Delay between tries while the store is down: at most one second, so that work continues soon after it is back."""
REFUSED = Backoff(delay=timedelta(seconds=0.02), longest=timedelta(seconds=4), jitter=0.25)
"""Delay between tries of one rejected record; there may be thousands of them."""
FIRST_REMINDER, LONGEST_REMINDER = 5.0, 600.0
"""Seconds between the first two lines, and at most, about what keeps failing while the store is away."""
REMIND_EVERY = 60.0
"""Seconds after which a lasting problem is logged again."""

log = logging.getLogger(__name__)


class Reminder:
    """Whether a line about something that fails again and again is due: the first time, then after intervals that double."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_at: float | None = None
        self._wait = FIRST_REMINDER

    def is_due(self) -> bool:
        """It failed; ``True`` when it is to be logged."""
        now = self._clock.monotonic()
        if self._due_at is not None and now < self._due_at:
            return False
        self._due_at, self._wait = now + self._wait, min(LONGEST_REMINDER, 2 * self._wait)
        return True

    def over(self) -> None:
        """It succeeded."""
        self._due_at, self._wait = None, FIRST_REMINDER


class Trouble:
    """The current problem of one activity, ``what`` (``"schedules cannot be fired"``)."""

    def __init__(self, what: str, clock: Clock, sink: EventSink, instance_id: str) -> None:
        self.reason: str | None = None
        """The current problem, if any."""
        self._what = what
        self._clock = clock
        self._sink = sink
        self._instance_id = instance_id
        self._began = 0.0
        self._said = 0.0
        self._tries = 0
        self._kind: tuple[type[StoreError], int] | None = None

    def met(self, error: StoreError) -> float:
        """A try failed: log it if it is new. Returns the delay before the next try in seconds, with jitter."""
        now, reason = self._clock.monotonic(), str(error)
        kind = (type(error), error.code if isinstance(error, StoreRejected) else 0)
        news = self.reason is None or kind != self._kind
        if self.reason is None:
            self._began, self._tries = now, 0
        if news or now - self._said >= REMIND_EVERY:
            self._said = now
            log.error("%s: %s", self._what, reason)
        self.reason, self._kind = reason, kind
        if news:
            self._emit(EventType.STORE_TROUBLE, reason)
        self._tries += 1
        return AGAIN.wait_after(self._tries, self._instance_id).total_seconds()

    def over(self) -> None:
        """A try succeeded."""
        if self.reason is None:
            return
        log.warning("recovered after %.1f s: %s", self._clock.monotonic() - self._began, self._what)
        self.reason = None
        self._emit(EventType.STORE_RECOVERED, self._what)

    def _emit(self, kind: EventType, reason: str) -> None:
        self._sink.emit(
            [
                Event(
                    type=kind,
                    timestamp=self._clock.now(),
                    instance_id=self._instance_id,
                    reason=reason,
                    details={"what": self._what},
                )
            ]
        )


def wait_after(tries: int, error: StoreError, who: str) -> float:
    """Seconds before the next try of one record, after this many failed tries (1 or more), the last with ``error``.

    ``who`` it is spreads the tries of many.
    """
    backoff = REFUSED if isinstance(error, StoreRejected) else AGAIN
    return backoff.wait_after(tries, who).total_seconds()
