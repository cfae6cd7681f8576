"""The alerts and sinks that an application declares. Checked at once, started later."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from naq.events import Event, EventType
from naq.exceptions import InvalidInput
from naq.observe.alerts.board import WatchedRule
from naq.observe.alerts.rules import Pattern, Rule
from naq.observe.alerts.sinks import Sink, as_sink, as_sinks
from naq.store.keys import check_schedule_id
from naq.timing.duration import parse_duration

__all__ = ["DeclaredAlert", "DeclaredSink", "Observed", "To"]

To = Sink | Callable[..., Any] | Sequence[Sink | Callable[..., Any]]
"""A function or a sink, or several."""
NO_FILTERS = Rule()
"""Matches everything."""


@dataclass(frozen=True, slots=True)
class DeclaredAlert:
    """One alert: its rule and its sinks."""

    name: str
    rule: Rule
    sinks: tuple[Sink, ...] = ()
    repeat: timedelta | None = None

    @property
    def watched(self) -> WatchedRule:
        """The part that the board needs."""
        return WatchedRule(self.rule, self.repeat, bool(self.sinks))


@dataclass(frozen=True, slots=True)
class DeclaredSink:
    """One sink of events, with its filters."""

    name: str
    sink: Sink
    types: frozenset[str] | None = None
    filters: Rule = NO_FILTERS
    """A rule used only for its filters."""
    local: bool = False

    def wants(self, event: Event) -> bool:
        """Whether the sink receives this event. Fields that the event does not have are matched as empty text."""
        return (self.types is None or event.type in self.types) and self.filters.fits(
            event.schedule_id or "", event.func or "", event.queue or ""
        )


@dataclass(slots=True)
class Observed:
    """Everything that one application declared."""

    alerts: dict[str, DeclaredAlert] = field(default_factory=dict)
    sinks: list[DeclaredSink] = field(default_factory=list)

    @property
    def streamed(self) -> tuple[DeclaredSink, ...]:
        """Sinks that receive the events of all processes."""
        return tuple(sink for sink in self.sinks if not sink.local)

    @property
    def local(self) -> tuple[DeclaredSink, ...]:
        """Sinks that receive the events of their own process."""
        return tuple(sink for sink in self.sinks if sink.local)

    @property
    def needs_watcher(self) -> bool:
        """Whether a watcher is needed."""
        return bool(self.alerts or self.streamed)

    def add_alert(
        self, rule: Rule, to: To = (), name: str | None = None, repeat: timedelta | float | str | None = None
    ) -> str:
        """Declare an alert and return its name. Raises `InvalidInput`."""
        if not isinstance(rule, Rule) or type(rule) is Rule:
            raise InvalidInput.of("rule", rule, "must be an alert rule", "FailedTimes(3)")
        chosen = _name_of(rule) if name is None else check_schedule_id(name, "name")
        if chosen in self.alerts:
            raise InvalidInput.of(
                "name", chosen, "is already the name of another alert of this application", f"{chosen}-2"
            )
        every = None if repeat is None else parse_duration(repeat, "repeat")
        self.alerts[chosen] = DeclaredAlert(chosen, rule, as_sinks(to), every)
        return chosen

    def add_sink(
        self,
        to: Sink | Callable[..., Any],
        *,
        types: Collection[EventType | str] | None = None,
        schedule: str | None = None,
        func: Pattern | None = None,
        queue: str | None = None,
        local: bool = False,
    ) -> None:
        """Declare a sink of events. Raises `InvalidInput`."""
        filters = Rule(schedule=schedule, func=func, queue=queue)
        name = f"{sum(not sink.local for sink in self.sinks)}"
        self.sinks.append(DeclaredSink(name, as_sink(to), _types(types), filters, local))


def _types(given: Collection[EventType | str] | None) -> frozenset[str] | None:
    if given is None:
        return None
    wanted: Collection[EventType | str] = (given,) if isinstance(given, str) else given
    for each in wanted:
        if each not in set(EventType):
            raise InvalidInput.of("types", str(each), "must be types of events (naq.events.EventType)", ["job_failed"])
    return frozenset(map(str, wanted))


def _name_of(rule: Rule) -> str:
    """A name derived from the rule."""
    return f"{rule.word}-{hashlib.sha256(str(rule).encode()).hexdigest()[:6]}"
