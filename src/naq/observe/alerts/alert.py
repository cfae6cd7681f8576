"""Alerts as frozen records, and `judge`, which decides whether a condition fires, repeats or is resolved.

For each subject of each rule an alert fires once when the condition becomes true and is resolved once when it ends. The id
of an alert is derived from its content, so a repeated notification has the same id.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from naq.observe.alerts.rules import Rule
from naq.observe.alerts.standing import Standing

__all__ = ["Alert", "AlertKind", "AlertRecord", "judge", "over"]

MICROSECOND = timedelta(microseconds=1)
SAME_INSTANT = timedelta(milliseconds=1)
MOST_UNDELIVERED = 20
"""Limit of undelivered notifications of one alert; the oldest are dropped."""


class AlertKind(StrEnum):
    """What happened to the condition."""

    FIRED = "fired"
    """It became true."""
    REPEATED = "repeated"
    """It is still true."""
    RESOLVED = "resolved"
    """It is no longer true."""


class Alert(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One notification. Times are aware UTC; ids that do not apply are ``None``."""

    kind: AlertKind
    name: str
    """The alert's name in its application."""
    application: str
    rule: str
    """The rule in words."""
    subject: str
    """A schedule's id, a function's name or a job's id."""
    since: datetime
    """When the condition became true."""
    at: datetime
    """When this was detected."""
    reason: str
    """Why the condition is true, or why it ended."""
    schedule_id: str | None = None
    func: str | None = None
    queue: str | None = None
    job_id: str | None = None

    @property
    def firing(self) -> bool:
        """Whether the condition is true."""
        return self.kind is not AlertKind.RESOLVED

    @property
    def id(self) -> str:
        """The same when a notification is delivered again, so that receivers can drop duplicates."""
        moment = self.at if self.kind is AlertKind.REPEATED else self.since
        return f"{self.application}/{self.name}/{self.subject}/{moment.isoformat()}/{self.kind}"

    def __str__(self) -> str:
        return f"{self.name} {self.kind} for {self.subject}: {self.reason}"


class AlertRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The stored form of an alert: its current state and the notifications not delivered yet."""

    v: int = 1
    alert: Alert
    untold: tuple[Alert, ...] = ()

    @property
    def firing(self) -> bool:
        """Whether the condition is true."""
        return self.alert.firing

    def saying(self, alert: Alert, has_sinks: bool) -> AlertRecord:
        """The record with one more notification."""
        untold = (*self.untold, alert)[-MOST_UNDELIVERED:] if has_sinks else self.untold
        return AlertRecord(alert=alert, untold=untold)

    def notified(self, alert_id: str) -> AlertRecord:
        """The record after all sinks received this notification."""
        return msgspec.structs.replace(self, untold=tuple(alert for alert in self.untold if alert.id != alert_id))


def judge(
    name: str,
    application: str,
    rule: Rule,
    standing: Standing,
    before: Alert | None,
    now: datetime,
    repeat: timedelta | None = None,
    ended: str = "the condition is no longer true",
) -> Alert | None:
    """The next notification about a subject, given the last one (``before``); ``None``: nothing new.

    ``repeat``: notify again after this time while the condition is true. ``ended``: the reason, if it ended.
    """
    firing = before is not None and before.firing
    reason = rule.holds(standing, firing, now)
    if reason is None:
        return over(before, ended, now) if before is not None else None
    if before is not None and firing:
        if repeat is None or now - before.at < repeat:
            return None
        return _evolve(before, kind=AlertKind.REPEATED, at=now, reason=reason, job_id=standing.job_id)
    since = _since(rule, standing, now, before)
    return Alert(
        kind=AlertKind.FIRED,
        name=name,
        application=application,
        rule=str(rule),
        subject=standing.subject,
        since=since,
        at=max(now, since),
        reason=reason,
        schedule_id=standing.schedule_id,
        func=standing.func,
        queue=standing.queue,
        job_id=standing.job_id,
    )


def over(before: Alert | None, reason: str, now: datetime) -> Alert | None:
    """The resolved alert; ``None`` if it is not firing."""
    if before is None or not before.firing:
        return None
    return _evolve(before, kind=AlertKind.RESOLVED, at=max(now, before.since), reason=reason)


def _since(rule: Rule, standing: Standing, now: datetime, before: Alert | None) -> datetime:
    due = rule.look_at(standing)
    since = now if due is None else min(due, now)
    if before is not None and timedelta() <= before.since - since < SAME_INSTANT:
        return before.since + MICROSECOND  # ended and true again at the same instant: the ids must differ
    return since


def _evolve(alert: Alert, **changes: Any) -> Alert:
    return msgspec.structs.replace(alert, **changes)
