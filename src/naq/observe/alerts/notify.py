"""The deliveries of one watcher: which sinks receive an alert, and when all of them have received it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from naq.clock import Clock
from naq.events import Event
from naq.observe.alerts.alert import Alert, AlertRecord
from naq.observe.alerts.board import Key
from naq.observe.alerts.declarations import Observed
from naq.observe.alerts.delivery import Delivery
from naq.observe.alerts.memory import Position
from naq.observe.alerts.sinks import Sink

__all__ = ["Notifier"]

PATIENCE = 2.0
"""Seconds that a stop waits for sinks; the next watcher delivers the rest."""


class Notifier:
    """The sinks of alerts and of streamed events, each with its own delivery."""

    def __init__(self, observed: Observed, clock: Clock, on_notified: Callable[[], None]) -> None:
        """``on_notified`` is called when all sinks of an alert have received it."""
        self._alerts = observed.alerts
        self._streamed = observed.streamed
        self._of_sink: dict[int, Delivery] = {}
        for declared in observed.alerts.values():
            for sink in declared.sinks:
                self._of_sink.setdefault(id(sink), Delivery(sink, clock))
        self._of_stream = {declared.name: Delivery(declared.sink, clock) for declared in self._streamed}
        self._next: dict[str, int] = {}
        """The next message of the stream for each sink of events."""
        self._open: dict[str, int] = {}
        """Ids of alerts in delivery, with the number of sinks still to receive them."""
        self._received: list[tuple[Key, str]] = []
        self._on_notified = on_notified

    @property
    def deliveries(self) -> list[Delivery]:
        """All deliveries."""
        return [*self._of_sink.values(), *self._of_stream.values()]

    def start(self) -> None:
        """Start delivering."""
        for delivery in self.deliveries:
            delivery.start()

    async def stop(self) -> None:
        """Deliver what is queued, for up to `PATIENCE`, and stop. Idempotent."""
        await asyncio.gather(*(delivery.stop(PATIENCE) for delivery in self.deliveries))

    def resume(self, records: Mapping[Key, AlertRecord], position: Position, following: int) -> None:
        """Continue from the stored state: deliver undelivered alerts, and events from the position of each sink.

        ``following`` is the next sequence of the stream."""
        for name in self._of_stream:
            stored = position.sent.get(name, 0)
            self._next[name] = min(following, max(stored, self._next.get(name, 0)))
        for key, record in list(records.items()):
            for alert in record.untold:
                if not self.notify(alert):
                    self._received.append((key, alert.id))

    def notify(self, alert: Alert) -> bool:
        """Queue an alert for its sinks, unless it is queued already. ``False``: it has no sinks."""
        declared = self._alerts.get(alert.name)
        sinks: tuple[Sink, ...] = () if declared is None else declared.sinks
        if alert.id in self._open:
            return True
        if not sinks:
            return False
        self._open[alert.id] = len(sinks)
        for sink in sinks:
            self._of_sink[id(sink)].put(alert, done=partial(self._one_notified, (alert.name, alert.subject), alert.id))
        return True

    def take_notified(self) -> list[tuple[Key, str]]:
        """Alerts that all their sinks received since the last call."""
        received, self._received = self._received, []
        return received

    def first_needed(self, heard: int) -> int:
        """The first stream message that a sink or the alerts (``heard``) still need."""
        return min((heard, *(sequence or heard for sequence in self._next.values())))

    def hand_over(self, sequence: int, group: Sequence[Event]) -> None:
        """Queue one group of events for the sinks that want them and do not have them yet."""
        for declared in self._streamed:
            if sequence >= self._next.get(declared.name, 0):
                self._next[declared.name] = sequence + 1
                for event in group:
                    if declared.wants(event):
                        self._of_stream[declared.name].put(event, sequence)

    def sent(self, heard: int) -> dict[str, int]:
        """For each sink of events, the message at which the next watcher has to continue."""
        found = {}
        for name, delivery in self._of_stream.items():
            floor = delivery.floor
            found[name] = (self._next.get(name) or heard) if floor is None else floor
        return found

    def _one_notified(self, key: Key, alert_id: str) -> None:
        self._open[alert_id] -= 1
        if self._open[alert_id] == 0:
            del self._open[alert_id]
            self._received.append((key, alert_id))
            self._on_notified()
