"""An alert: what is told when a condition begins to hold, goes on holding, and holds no more. Frozen records, and `judge`.

A condition that holds fires once, however often it is looked at; then it is resolved once. The two alternate, for each
subject of each rule. What is told has an id made of what it says: told twice, it has the same id.
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
MOST_UNTOLD = 20
"""Tellings of one alert that wait for their sinks at most; the oldest are given up."""


class AlertKind(StrEnum):
    """What an alert says of its condition."""

    FIRED = "fired"
    """It began to hold."""
    REPEATED = "repeated"
    """It still holds."""
    RESOLVED = "resolved"
    """It holds no more."""


class Alert(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One telling. Times are aware UTC; ids that do not apply are ``None``."""

    kind: AlertKind
    name: str
    """The alert's name in its application."""
    application: str
    rule: str
    """The rule in words."""
    subject: str
    """What it is about: a schedule's id, a function's name or a job's id."""
    since: datetime
    """When the condition began to hold."""
    at: datetime
    """When this was found."""
    reason: str
    """Why it holds, or why no more."""
    schedule_id: str | None = None
    func: str | None = None
    queue: str | None = None
    job_id: str | None = None

    @property
    def firing(self) -> bool:
        """Whether the condition holds."""
        return self.kind is not AlertKind.RESOLVED

    @property
    def id(self) -> str:
        """The same whenever the same is told again: for whoever must not act twice."""
        moment = self.at if self.kind is AlertKind.REPEATED else self.since
        return f"{self.application}/{self.name}/{self.subject}/{moment.isoformat()}/{self.kind}"

    def __str__(self) -> str:
        return f"{self.name} {self.kind} for {self.subject}: {self.reason}"


class AlertRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is stored of an alert: how it stands, and what its sinks were not told yet."""

    v: int = 1
    alert: Alert
    untold: tuple[Alert, ...] = ()

    @property
    def firing(self) -> bool:
        """Whether the condition holds."""
        return self.alert.firing

    def saying(self, alert: Alert, to_be_told: bool) -> AlertRecord:
        """The record after one more telling."""
        untold = (*self.untold, alert)[-MOST_UNTOLD:] if to_be_told else self.untold
        return AlertRecord(alert=alert, untold=untold)

    def told(self, alert_id: str) -> AlertRecord:
        """The record after its sinks have been told that."""
        return msgspec.structs.replace(self, untold=tuple(alert for alert in self.untold if alert.id != alert_id))


def judge(
    name: str,
    application: str,
    rule: Rule,
    standing: Standing,
    before: Alert | None,
    now: datetime,
    repeat: timedelta | None = None,
    ended: str = "it holds no more",
) -> Alert | None:
    """What is to be told about a subject, given what was told ``before``; ``None``: nothing new.

    ``repeat``: while it holds, it is told again after so long. ``ended``: why it is over, if it is.
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
    """The end of an alert; ``None`` when it is not firing."""
    if before is None or not before.firing:
        return None
    return _evolve(before, kind=AlertKind.RESOLVED, at=max(now, before.since), reason=reason)


def _since(rule: Rule, standing: Standing, now: datetime, before: Alert | None) -> datetime:
    due = rule.look_at(standing)
    since = now if due is None else min(due, now)
    if before is not None and timedelta() <= before.since - since < SAME_INSTANT:
        return before.since + MICROSECOND  # it was over, and holds again at one instant: another id tells them apart
    return since


def _evolve(alert: Alert, **changes: Any) -> Alert:
    return msgspec.structs.replace(alert, **changes)
