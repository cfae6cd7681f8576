"""All rules of one application with the standings of their subjects. Input: events and the time. No I/O.

The caller takes the changes (`Board.take`), stores them, and then notifies the sinks. The board is deterministic: the
same events in the same order give the same result, so it can be rebuilt from the stored state and the events since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from naq.events import Event
from naq.observe.alerts.alert import Alert, AlertRecord, judge, over
from naq.observe.alerts.rules import Rule
from naq.observe.alerts.standing import Standing
from naq.scheduler.due_queue import DueQueue

__all__ = ["Board", "Changes", "Key", "Watched", "WatchedRule"]

RECHECK = timedelta(seconds=60)
"""How often the records of a firing time-based condition are checked, in case the event that ended it was lost."""
FOREVER = datetime.max.replace(tzinfo=UTC)

Key = tuple[str, str]
"""An alert's name and its subject."""


@dataclass(frozen=True, slots=True)
class WatchedRule:
    """One declared alert: its rule and options."""

    rule: Rule
    repeat: timedelta | None = None
    has_sinks: bool = True


class Watched(msgspec.Struct, frozen=True):
    """An active schedule, as `NotRunSince` needs it."""

    schedule_id: str
    since: datetime | None = None
    """Start of the period without a success; ``None``: the record cannot be read."""
    func: str | None = None
    queue: str | None = None


@dataclass(slots=True)
class Changes:
    """Records to store, and alerts to send after that."""

    records: dict[Key, AlertRecord] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.records)


class Board:
    """Rules, standings and alerts of one application."""

    def __init__(
        self,
        application: str,
        rules: Mapping[str, WatchedRule],
        records: Mapping[Key, AlertRecord] | None = None,
        standings: Mapping[str, Iterable[Standing]] | None = None,
    ) -> None:
        """``records`` and ``standings`` (by alert name): the stored state."""
        self.records: dict[Key, AlertRecord] = dict(records or {})
        self.unsaved: set[str] = set()
        """Names of alerts whose standings changed since they were last stored."""
        self._application = application
        self._rules = dict(rules)
        self._standings: dict[str, dict[str, Standing]] = {name: {} for name in rules}
        self._listeners: defaultdict[str, list[str]] = defaultdict(list)
        self._due: DueQueue[()] = DueQueue()
        self._changes = Changes()
        for name, watched in self._rules.items():
            for kind in watched.rule.hears:
                self._listeners[kind].append(name)
            for standing in (standings or {}).get(name, ()):
                self._put(name, standing.subject, standing)
        for name, subject in self.records:
            if name in self._rules:
                self._plan_look((name, subject))

    @property
    def changed(self) -> int:
        """How many alerts changed since `take`."""
        return len(self._changes.records)

    def take(self) -> Changes:
        """What changed since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    def standings(self, name: str) -> list[Standing]:
        """All standings of one alert, the oldest first."""
        return sorted(self._standings[name].values(), key=_age)

    def hear(self, event: Event) -> None:
        """Process one event. A timestamp without a zone is read as UTC."""
        if event.timestamp.tzinfo is None:
            event = msgspec.structs.replace(event, timestamp=event.timestamp.replace(tzinfo=UTC))
        for name in self._listeners.get(event.type, ()):
            rule = self._rules[name].rule
            subject = rule.subject(event)
            if subject is None:
                continue
            before = self._standings[name].get(subject)
            after = rule.heard(before, event)
            if after is None:
                self._drop((name, subject), _because(event), event.timestamp)
            elif after is not before:
                self._put(name, subject, after)
                self._judge((name, subject), event.timestamp, _because(event))

    def look(self, now: datetime, limit: int = 400) -> list[Key]:
        """Subjects to check now. Read the records of each before `settle`, because an event may have been lost."""
        found = []
        for _, text in self._due.pop_due(now, limit):
            self._due.remove(text)
            name, _, subject = text.partition(" ")
            found.append((name, subject))
        return found

    def next_look(self) -> datetime | None:
        """When `look` will next return something."""
        return self._due.next_at()

    def rule(self, name: str) -> Rule:
        """The rule of an alert."""
        return self._rules[name].rule

    def standing(self, key: Key) -> Standing | None:
        """The standing of a subject, if known."""
        name, subject = key
        return self._standings[name].get(subject)

    def settle(self, key: Key, standing: Standing | None, now: datetime) -> None:
        """Process what the records say about a subject: its standing, or ``None`` if there is nothing to watch."""
        name, subject = key
        if standing is not None:
            self._put(name, subject, standing)
            self._judge(key, now, "its record shows that the condition ended")
        elif self._rules[name].rule.by_time:
            self._drop(key, "it has ended", now)

    def see_schedules(self, name: str, seen: Iterable[Watched], now: datetime) -> None:
        """Process the active schedules that a rule watches: add new ones, forget those that are gone."""
        known = self._standings[name]
        there = set()
        for watched in seen:
            there.add(watched.schedule_id)
            standing = known.get(watched.schedule_id)
            if watched.since is None:
                continue
            if standing is None or standing.since is None:
                fresh = Standing(
                    subject=watched.schedule_id,
                    schedule_id=watched.schedule_id,
                    func=watched.func,
                    queue=watched.queue,
                    since=watched.since,
                )
                self._put(name, watched.schedule_id, fresh)
            elif standing.since < watched.since:
                self._put(name, watched.schedule_id, standing.evolve(since=watched.since))
        firing = {subject for other, subject in self.records if other == name and self.records[other, subject].firing}
        for subject in (known.keys() | firing) - there:
            self._drop((name, subject), "the schedule is no longer active", now)

    def end(self, key: Key, reason: str, now: datetime) -> None:
        """Resolve an alert, if it is firing, for a reason other than an event."""
        self._drop(key, reason, now)

    def notified(self, key: Key, alert_id: str) -> None:
        """All sinks of an alert received it, or delivery was given up."""
        record = self.records.get(key)
        if record is not None and any(alert.id == alert_id for alert in record.untold):
            self._store(key, record.notified(alert_id))

    def forget_notified(self, key: Key) -> None:
        """Drop a resolved and delivered alert from memory; its stored record expires later."""
        record = self.records.get(key)
        if record is not None and not record.firing and not record.untold:
            del self.records[key]

    # --- inside

    def _put(self, name: str, subject: str, standing: Standing) -> None:
        self._standings[name][subject] = standing
        if self._rules[name].rule.is_stored:
            self.unsaved.add(name)
        self._plan_look((name, subject))

    def _drop(self, key: Key, reason: str, now: datetime) -> None:
        name, subject = key
        if self._standings.get(name, {}).pop(subject, None) is not None and self._rules[name].rule.is_stored:
            self.unsaved.add(name)
        self._due.remove(f"{name} {subject}")
        record = self.records.get(key)
        if record is not None and (alert := over(record.alert, reason, now)) is not None:
            self._say(key, alert)

    def _judge(self, key: Key, now: datetime, ended: str) -> None:
        name, subject = key
        watched, record = self._rules[name], self.records.get(key)
        before = None if record is None else record.alert
        standing = self._standings[name][subject]
        alert = judge(name, self._application, watched.rule, standing, before, now, watched.repeat, ended)
        if alert is not None:
            self._say(key, alert)
        self._plan_look(key, now)

    def _say(self, key: Key, alert: Alert) -> None:
        watched = self._rules.get(key[0])
        record = self.records.get(key) or AlertRecord(alert=alert)
        self._store(key, record.saying(alert, watched is not None and watched.has_sinks))
        self._changes.alerts.append(alert)

    def _store(self, key: Key, record: AlertRecord) -> None:
        self.records[key] = record
        self._changes.records[key] = record

    def _plan_look(self, key: Key, now: datetime | None = None) -> None:
        """Plan the next check of a subject."""
        name, subject = key
        watched, record = self._rules[name], self.records.get(key)
        standing = self._standings[name].get(subject)
        instants: list[datetime] = []
        if record is not None and record.firing:
            if watched.repeat is not None:
                instants.append(record.alert.at + watched.repeat)
            if watched.rule.by_time:
                instants.append(record.alert.at if now is None else now + RECHECK)
        elif standing is not None and (at := watched.rule.look_at(standing)) is not None:
            instants.append(at)
        if instants:
            self._due.put(f"{name} {subject}", min(instants))
        else:
            self._due.remove(f"{name} {subject}")


def _age(standing: Standing) -> datetime:
    """When it began."""
    if standing.failures:
        return standing.failures[0].at
    return standing.since or FOREVER


def _because(event: Event) -> str:
    """The reason of a resolved alert, from the event that ended it."""
    what = event.type.removeprefix("job_").removeprefix("schedule_").replace("_", " ")
    return f"job {event.job_id} {what}" if event.job_id else f"the schedule was {what}"
