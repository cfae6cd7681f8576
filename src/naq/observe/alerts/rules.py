"""The alert rules, as frozen records.

Each *subject* of a rule has its own alert: each schedule (or each function, for jobs without a schedule), or each run.
The filters ``schedule``, ``func`` and ``queue`` are patterns with ``*`` and ``?``.

::

    FailedTimes(3, schedule="nightly-*")        three failed runs in a row
    Missed(queue="mail")                        nominal times that were not enqueued in time
    RunningLongerThan("10m", func=export)       a run that takes too long
    NotRunSince("26h", schedule="backup")       no successful run for this long, or none at all
    ScheduleGone(schedule="backup")             it was deleted or cancelled

A rule turns an event into a new `Standing`; `Rule.holds` decides whether the condition is true for a standing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import msgspec

from naq.events import Event, EventType
from naq.exceptions import InvalidInput
from naq.observe.alerts.standing import Failure, Standing, shortened, standing_of
from naq.schedules.planning.decision import NonFireReason
from naq.store.codec import function_name
from naq.timing.duration import duration_text, parse_duration

__all__ = ["FailedTimes", "Missed", "NotRunSince", "Pattern", "Rule", "RunningLongerThan", "ScheduleGone"]

Pattern = str | Callable[..., Any]
"""A function, or a pattern of names."""
Duration = timedelta | float | str
"""Seconds, a timedelta, or text such as ``"1h30m"``."""
MOST_TIMES = 1000

ENDED = frozenset(
    {
        EventType.JOB_FAILED,
        EventType.JOB_COMPLETED,
        EventType.JOB_CANCELLED,
        EventType.JOB_RETRY_SCHEDULED,
        EventType.JOB_ABANDONED,
    }
)
LEFT = frozenset({EventType.SCHEDULE_DELETED, EventType.SCHEDULE_CANCELLED})
"""The schedule will not run again."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """The filters that all rules have. ``None`` matches everything."""

    schedule: str | None = None
    """A pattern of schedule ids; if set, jobs without a schedule are ignored."""
    func: Pattern | None = None
    """A function, or a pattern of ``module:qualname``."""
    queue: str | None = None
    """A pattern of queue names."""

    word: ClassVar[str]
    """The start of the default name of an alert."""
    hears: ClassVar[frozenset[EventType]]
    """The events that can change a standing under this rule."""
    by_time: ClassVar[bool] = False
    """Whether the condition becomes true by time passing, not by an event."""
    is_stored: ClassVar[bool] = True
    """Whether standings must be stored; if not, they can be read from the records again."""

    def __post_init__(self) -> None:
        if self.func is not None and not isinstance(self.func, str):
            msgspec.structs.force_setattr(self, "func", function_name(self.func, "func"))
        for field in ("schedule", "func", "queue"):
            pattern = getattr(self, field)
            if pattern is not None and (not isinstance(pattern, str) or not pattern.strip()):
                example = {"schedule": "nightly-*", "func": "reports:*", "queue": "mail"}[field]
                raise InvalidInput.of(field, pattern, "must be a pattern of names", example)

    def fits(self, schedule_id: str | None, func: str | None, queue: str | None) -> bool:
        """Whether the filters match."""
        return (
            _matches(self.schedule, schedule_id)
            and _matches(self.func if isinstance(self.func, str) else None, func)
            and _matches(self.queue, queue)
        )

    def subject(self, event: Event) -> str | None:
        """The subject of the event; ``None``: the rule ignores it. Events that only end alerts are not filtered."""
        if event.type not in LEFT and not self.fits(event.schedule_id, event.func, event.queue):
            return None
        return event.schedule_id or event.func

    def heard(self, standing: Standing | None, event: Event) -> Standing | None:
        """The subject's standing after an event; ``None``: forget the subject."""
        raise NotImplementedError

    def holds(self, standing: Standing, firing: bool, now: datetime) -> str | None:
        """Why the condition is true ``now``; ``None`` if it is not. ``firing``: it was true before."""
        raise NotImplementedError

    def look_at(self, standing: Standing) -> datetime | None:
        """When the condition may become true by time alone; ``None`` if only an event can do that."""
        return None

    def _filters(self) -> str:
        given = [f"{name}={getattr(self, name)}" for name in ("schedule", "func", "queue") if getattr(self, name)]
        return "".join(f" {each}" for each in given)


def _matches(pattern: str | None, name: str | None) -> bool:
    return pattern is None or (name is not None and fnmatchcase(name, pattern))


class FailedTimes(Rule, frozen=True):
    """The last ``n`` runs of a schedule failed; for jobs without a schedule, of a function.

    A dead letter counts as a failed run; a failed attempt that is retried does not, and neither does a worker that died. A
    success resets the count and resolves the alert; a cancelled run does neither. ``within``: the n failures must lie within
    this time; once firing, the alert stays until a success. Raises `InvalidInput` for an ``n`` that is not 1 to 1000.
    """

    n: int
    within: Duration | None = msgspec.field(default=None)

    word: ClassVar[str] = "failed"
    hears: ClassVar[frozenset[EventType]] = LEFT | {EventType.JOB_FAILED, EventType.JOB_COMPLETED}

    def __post_init__(self) -> None:
        Rule.__post_init__(self)
        if isinstance(self.n, bool) or not isinstance(self.n, int) or not 1 <= self.n <= MOST_TIMES:
            raise InvalidInput.of("n", self.n, f"must be a whole number from 1 to {MOST_TIMES}", 3)
        if self.within is not None:
            msgspec.structs.force_setattr(self, "within", parse_duration(self.within, "within"))

    def heard(self, standing: Standing | None, event: Event) -> Standing | None:
        """A failure adds one, a success resets."""
        if event.type != EventType.JOB_FAILED:
            return None
        known = () if standing is None else standing.failures
        if any(failure.job_id == event.job_id for failure in known):
            return standing
        failure = Failure(event.job_id or "", event.timestamp)
        subject = self.subject(event)
        assert subject is not None
        return standing_of(subject, event, failures=(*known, failure)[-self.n :], note=shortened(event.reason))

    def holds(self, standing: Standing, firing: bool, now: datetime) -> str | None:
        """Whether there are enough failures in a row, close enough in time when it starts to fire."""
        failures = standing.failures
        if not failures:
            return None
        in_time = self.within is None or failures[-1].at - failures[0].at <= parse_duration(self.within, "within")
        if not firing and (len(failures) < self.n or not in_time):
            return None
        return f"the last {_runs(max(self.n, len(failures)))} failed" + (f": {standing.note}" if standing.note else "")

    def __str__(self) -> str:
        within = "" if self.within is None else f" within {_length(self.within)}"
        return f"failed {self.n} times{within}{self._filters()}"


class Missed(Rule, frozen=True):
    """Nominal times of a schedule were not enqueued in time, or a job missed its start deadline.

    With ``skipped``, also times that the overlap policy skipped. Resolved when the schedule's next run starts.
    """

    skipped: bool = False

    word: ClassVar[str] = "missed"
    hears: ClassVar[frozenset[EventType]] = LEFT | {
        EventType.FIRE_MISSED,
        EventType.FIRE_SKIPPED,
        EventType.JOB_STARTED,
    }

    def heard(self, standing: Standing | None, event: Event) -> Standing | None:
        """A miss adds to the count, a started run resets it."""
        if event.type == EventType.FIRE_SKIPPED and not (self.skipped and event.reason == NonFireReason.OVERLAP):
            return standing
        if event.type not in (EventType.FIRE_MISSED, EventType.FIRE_SKIPPED):
            return None
        count = event.details.get("count", 1)
        missed = (0 if standing is None else standing.missed) + (count if isinstance(count, int) else 1)
        since = event.timestamp if standing is None else standing.since
        subject = self.subject(event)
        assert subject is not None
        return standing_of(subject, event, missed=missed, since=since, note=shortened(event.reason))

    def holds(self, standing: Standing, firing: bool, now: datetime) -> str | None:
        """Whether anything was missed since the last run started."""
        if standing.missed == 0:
            return None
        times = "time was" if standing.missed == 1 else "times were"
        return f"{standing.missed} nominal {times} not run" + (f": {standing.note}" if standing.note else "")

    def __str__(self) -> str:
        return f"missed{' or skipped' if self.skipped else ''}{self._filters()}"


class ScheduleGone(Rule, frozen=True):
    """A schedule was deleted or cancelled: nothing that watches its runs would say so. Resolved when a schedule with its id
    is created. Schedules that ended by themselves (a single time, ``max_runs``, ``end_at``) are not gone.

    Raises `InvalidInput` without ``schedule``: it stays until then, so it is for schedules that must be there.
    """

    word: ClassVar[str] = "gone"
    hears: ClassVar[frozenset[EventType]] = LEFT | {EventType.JOB_SCHEDULED}

    def __post_init__(self) -> None:
        Rule.__post_init__(self)
        if self.schedule is None:
            raise InvalidInput.of("schedule", None, "say which schedules must be there", "backup")

    def subject(self, event: Event) -> str | None:
        """The schedule, if its id matches. The events do not say function and queue, so these filters do not count."""
        return event.schedule_id if _matches(self.schedule, event.schedule_id) else None

    def heard(self, standing: Standing | None, event: Event) -> Standing | None:
        """A deletion or cancellation begins it, a creation ends it."""
        if event.type not in LEFT or event.schedule_id is None:
            return None
        what = "deleted" if event.type == EventType.SCHEDULE_DELETED else "cancelled"
        note = f"{what} by {event.actor or event.instance_id}" + (f": {event.reason}" if event.reason else "")
        return standing_of(event.schedule_id, event, since=event.timestamp, note=shortened(note))

    def holds(self, standing: Standing, firing: bool, now: datetime) -> str | None:
        """It is, until there is one again."""
        return None if standing.since is None else f"it was {standing.note}"

    def __str__(self) -> str:
        return f"gone{self._filters()}"


class _Lasting(Rule, frozen=True):
    """Base of rules whose condition is that something has lasted too long."""

    seconds: Duration

    by_time: ClassVar[bool] = True

    def __post_init__(self) -> None:
        Rule.__post_init__(self)
        msgspec.structs.force_setattr(self, "seconds", parse_duration(self.seconds, "seconds"))

    def look_at(self, standing: Standing) -> datetime | None:
        """When it will have lasted too long."""
        return None if standing.since is None else standing.since + parse_duration(self.seconds, "seconds")


class RunningLongerThan(_Lasting, frozen=True):
    """One attempt of a job has been running for longer than this; one alert per run. Resolved when the run ends."""

    word: ClassVar[str] = "running-long"
    hears: ClassVar[frozenset[EventType]] = ENDED | {EventType.JOB_STARTED}

    def subject(self, event: Event) -> str | None:
        """The job."""
        return event.job_id if self.fits(event.schedule_id, event.func, event.queue) else None

    def heard(self, standing: Standing | None, event: Event) -> Standing | None:
        """A start begins it; the end of this or a later attempt ends it."""
        attempt = event.attempt or 1
        if standing is not None and attempt < standing.attempt:
            return standing
        if event.type != EventType.JOB_STARTED:
            return None
        subject = self.subject(event)
        assert subject is not None
        return standing_of(subject, event, since=event.timestamp)

    def holds(self, standing: Standing, firing: bool, now: datetime) -> str | None:
        """Whether it has been running too long."""
        due = self.look_at(standing)
        if due is None or now < due or standing.since is None:
            return None
        return f"it has been running since {_instant(standing.since)}, longer than {_length(self.seconds)}"

    def __str__(self) -> str:
        return f"running longer than {_length(self.seconds)}{self._filters()}"


class NotRunSince(_Lasting, frozen=True):
    """A dead man's switch: no run of an active schedule has succeeded for this long.

    Without any success, time counts from the creation, ``start_at`` or last resume, whichever is latest. A schedule that is
    paused, completed, cancelled or deleted is not watched. Resolved by a success.
    """

    word: ClassVar[str] = "not-run"
    hears: ClassVar[frozenset[EventType]] = LEFT | {
        EventType.JOB_COMPLETED,
        EventType.SCHEDULE_PAUSED,
        EventType.SCHEDULE_COMPLETED,
    }
    is_stored: ClassVar[bool] = False

    def subject(self, event: Event) -> str | None:
        """The schedule."""
        return event.schedule_id

    def heard(self, standing: Standing | None, event: Event) -> Standing | None:
        """A success restarts the time; a schedule that is not watched stays so."""
        if event.type != EventType.JOB_COMPLETED:
            return None
        if standing is None or standing.since is None:
            return standing
        return standing.evolve(since=max(standing.since, event.timestamp), job_id=event.job_id)

    def holds(self, standing: Standing, firing: bool, now: datetime) -> str | None:
        """Whether the last success is too long ago."""
        due = self.look_at(standing)
        if due is None or now < due or standing.since is None:
            return None
        return f"no run has succeeded since {_instant(standing.since)}, for more than {_length(self.seconds)}"

    def __str__(self) -> str:
        return f"not run since {_length(self.seconds)}{self._filters()}"


def _length(duration: Duration) -> str:
    return duration_text(parse_duration(duration, "duration"))


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _runs(count: int) -> str:
    return "run" if count == 1 else f"{count} runs"
