"""Telling: the deliveries of one watcher. Which sinks are told an alert, and when all of them have been."""

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

__all__ = ["Telling"]

PATIENCE = 2.0
"""Seconds that a stop waits for sinks; what is not told by then is told by the next watcher."""


class Telling:
    """Sinks of alerts and of streamed events, each with a delivery of its own."""

    def __init__(self, observed: Observed, clock: Clock, on_told: Callable[[], None]) -> None:
        """``on_told`` is called when all sinks of an alert have been told."""
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
        """Ids of alerts that are being told, with the number of sinks that have not been."""
        self._told: list[tuple[Key, str]] = []
        self._on_told = on_told

    @property
    def deliveries(self) -> list[Delivery]:
        """All of them."""
        return [*self._of_sink.values(), *self._of_stream.values()]

    def start(self) -> None:
        """Tell what comes."""
        for delivery in self.deliveries:
            delivery.start()

    async def stop(self) -> None:
        """Tell what waits, if that is quick, and end. Idempotent."""
        await asyncio.gather(*(delivery.stop(PATIENCE) for delivery in self.deliveries))

    def resume(self, records: Mapping[Key, AlertRecord], position: Position, following: int) -> None:
        """Go on from what was stored: tell what is untold, and events from where each sink was.

        ``following`` is the next message that the stream will have."""
        for name in self._of_stream:
            stored = position.sent.get(name, 0)
            self._next[name] = min(following, max(stored, self._next.get(name, 0)))
        for key, record in list(records.items()):
            for alert in record.untold:
                if not self.tell(alert):
                    self._told.append((key, alert.id))

    def tell(self, alert: Alert) -> bool:
        """Tell an alert to its sinks, unless that is being done; ``False``: it has none."""
        declared = self._alerts.get(alert.name)
        sinks: tuple[Sink, ...] = () if declared is None else declared.sinks
        if alert.id in self._open:
            return True
        if not sinks:
            return False
        self._open[alert.id] = len(sinks)
        for sink in sinks:
            self._of_sink[id(sink)].put(alert, done=partial(self._one_told, (alert.name, alert.subject), alert.id))
        return True

    def take_told(self) -> list[tuple[Key, str]]:
        """Alerts that all their sinks were told since the last call."""
        told, self._told = self._told, []
        return told

    def first_needed(self, heard: int) -> int:
        """The first message of the stream that somebody has not heard, given what the alerts have."""
        return min((heard, *(sequence or heard for sequence in self._next.values())))

    def hand_over(self, sequence: int, group: Sequence[Event]) -> None:
        """Give one group of events to the sinks that want them and were not given them yet."""
        for declared in self._streamed:
            if sequence >= self._next.get(declared.name, 0):
                self._next[declared.name] = sequence + 1
                for event in group:
                    if declared.wants(event):
                        self._of_stream[declared.name].put(event, sequence)

    def sent(self, heard: int) -> dict[str, int]:
        """From which message on each sink of events has to be told after this watcher's end."""
        found = {}
        for name, delivery in self._of_stream.items():
            floor = delivery.floor
            found[name] = (self._next.get(name) or heard) if floor is None else floor
        return found

    def _one_told(self, key: Key, alert_id: str) -> None:
        self._open[alert_id] -= 1
        if self._open[alert_id] == 0:
            del self._open[alert_id]
            self._told.append((key, alert_id))
            self._on_told()
