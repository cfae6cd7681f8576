"""Recurrence rules of RFC 5545 (iCalendar), read on the wall clock of a zone.

python-dateutil expands the rule on naive wall times; the zone and daylight saving come after it, by the same rules as
for cron (`naq.timing.wall`). dateutil walks a rule from its start; `naq.timing.rrule_walk` enters it anywhere. An even
grid (no BY... part) needs no walk at all.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from dateutil import rrule as du

from naq.exceptions import InvalidSchedule, Problem
from naq.timing.cron import beside
from naq.timing.rrule_walk import DAY_PARTS, PERIODS, Counted, Paged, bad_rule, number
from naq.timing.rrule_words import describe_rule
from naq.timing.wall import DstMark, Grid, WallClock, WallRule
from naq.timing.zones import DstGap, DstOverlap, check_zone, get_zone

__all__ = ["RRule", "recurrence"]

MOST_COUNTED = 10_000
"""The largest COUNT; such a rule is written out in memory."""
_PLAIN_PARTS = frozenset(("FREQ", "INTERVAL", "UNTIL", "WKST"))
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall time has no zone


class RRule(msgspec.Struct, frozen=True, tag="rrule", omit_defaults=True):
    """An RFC 5545 recurrence rule, e.g. ``FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-1``, on the wall clock of ``tz``.

    ``dtstart`` is where it counts from, and the wall time of day it has when the rule names none; a naive one is a wall
    time of ``tz``. It is an occurrence only if the rule says so. Rules by the hour, minute or second follow elapsed
    time, all others obey ``dst_gap`` and ``dst_overlap``.
    """

    rrule: str
    dtstart: datetime | None = None
    """``None``: the time of creation, to the second, which `bound` fills in."""
    tz: str = "UTC"
    dst_gap: DstGap = DstGap.SHIFT
    dst_overlap: DstOverlap = DstOverlap.FIRST

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant later than ``after``. Raises `InvalidSchedule` when it is not usable here."""
        return _clock(self).next_after(after)

    def previous(self, before: datetime) -> datetime | None:
        """The last instant earlier than ``before``. Raises like `next_after`."""
        return _clock(self).previous(before)

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many instants are in (``after``, ``until``]; walks through them, unless the rule has no BY... part."""
        return _clock(self).count_between(after, until)

    def bound(self, created_at: datetime) -> RRule:
        """The same rule with its start filled in, as a wall time."""
        if self.dtstart is not None:
            return self
        wall = created_at.astimezone(get_zone(self.tz).info).replace(tzinfo=None, microsecond=0)
        return msgspec.structs.replace(self, dtstart=wall)

    def check(self, field: str) -> list[Problem]:
        """What is wrong with it, told for the user's ``field``; a rule that can never fire is refused."""
        problems = check_zone(self.tz, beside(field, "timezone"))
        if problems:
            return problems
        try:
            start = _wall(self.dtstart or _EPOCH, self.tz)
            if recurrence(self.rrule, start, self.tz).next_wall(-(1 << 60)) is None:
                raise bad_rule(self.rrule, "can never fire")
        except InvalidSchedule as error:
            return [Problem(field, found.value, found.reason, found.example) for found in error.problems]
        return []

    def clock(self) -> WallClock:
        """The wall times hung in their zone, made once. Raises like `next_after`."""
        return _clock(self)

    def mark(self, instant: datetime) -> DstMark | None:
        """How a change of the clocks touched ``instant``, one of its own; ``None`` on ordinary days."""
        return _clock(self).mark(instant)

    def __str__(self) -> str:
        words = f"{describe_rule(_parts(self.rrule), self.dtstart)}, {self.tz}"
        return words if self.dtstart is None else f"{words}, from {self.dtstart.isoformat(sep=' ', timespec='minutes')}"


def _parts(text: str) -> dict[str, str]:
    """The parts of a rule by name, upper case; unreadable ones have an empty value."""
    pairs = (part.partition("=") for part in text.strip().upper().removeprefix("RRULE:").split(";") if part)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _wall(at: datetime, tz: str) -> datetime:
    """A start as a naive wall time of ``tz``."""
    wall = at if at.tzinfo is None else at.astimezone(get_zone(tz).info)
    return wall.replace(tzinfo=None, microsecond=0, fold=0)


def _until(text: str, tz: str) -> datetime:
    """UNTIL as a naive wall time: RFC 5545 wants it in UTC when the start has a zone, others write it local."""
    match = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", text)
    if match is None:
        raise ValueError("UNTIL is no date (20300131) or time (20300131T090000Z)")
    numbers = [int(group or 0) for group in match.groups()[:6]]
    if match[7]:
        at = datetime(*numbers, tzinfo=UTC)  # type: ignore[misc, arg-type]
        return at.astimezone(get_zone(tz).info).replace(tzinfo=None)
    return datetime(*numbers)  # type: ignore[arg-type] # noqa: DTZ001


def _read(text: str, start: datetime, tz: str) -> tuple[du.rrule, datetime | None]:
    """The rule as dateutil has it, on naive wall times and without UNTIL, which is handed out beside it."""
    if len(text.split()) != 1:
        raise bad_rule(text, "must be one recurrence rule; the start goes into dtstart, exceptions into exclude")
    parts = _parts(text)
    if "FREQ" not in parts:
        raise bad_rule(text, "has no FREQ")
    if not re.fullmatch(r"0*[1-9]\d{0,7}", parts.get("INTERVAL", "1")):
        raise bad_rule(text, "has an INTERVAL that is no number from 1 to 99999999")
    if "COUNT" in parts and "UNTIL" in parts:
        raise bad_rule(text, "has both COUNT and UNTIL")
    try:
        until = _until(parts["UNTIL"], tz) if "UNTIL" in parts else None
        rest = ";".join(f"{name}={value}" for name, value in parts.items() if name != "UNTIL")
        rule = du.rrulestr(rest, dtstart=start)
    except (ValueError, TypeError) as error:
        raise bad_rule(text, f"is no recurrence rule ({error})") from error
    assert isinstance(rule, du.rrule)
    return rule, until


def _days_exist(parts: dict[str, str], start: datetime) -> bool:
    """Whether any day at all passes the rule's BY... parts, looked for in four hundred years.

    dateutil would search for such a day up to the year 9999, day by day, before it gives up.
    """
    days = {name: value for name, value in parts.items() if name in DAY_PARTS or name == "BYMONTH"}
    for name in ("BYDAY", "BYWEEKDAY"):
        if name in days:
            days[name] = re.sub(r"[+-]?\d+|\(.*?\)", "", days[name])
    if not days:
        return True
    wider = ";".join(["FREQ=YEARLY", *(f"{name}={value}" for name, value in days.items())])
    rule = du.rrulestr(f"{wider};COUNT=1", dtstart=start.replace(year=9600, month=1, day=1))
    return next(iter(rule), None) is not None


@lru_cache(maxsize=16384)
def recurrence(text: str, start: datetime, tz: str) -> WallRule:
    """The wall times of a rule that counts from the naive wall time ``start``. Raises `InvalidSchedule`."""
    rule, until = _read(text, start, tz)
    parts = _parts(text)
    if not _days_exist(parts, start):
        raise bad_rule(text, "can never fire")
    if "COUNT" in parts:
        if not 1 <= int(parts["COUNT"]) <= MOST_COUNTED:
            raise bad_rule(text, f"has a COUNT that is not in 1-{MOST_COUNTED}; use max_runs")
        return Counted(rule, text)
    frequency, interval = _frequency(parts), int(parts.get("INTERVAL", "1"))
    last = None if until is None else number(until)
    if parts.keys() <= _PLAIN_PARTS and frequency in PERIODS:
        return Grid(number(start), PERIODS[frequency] * interval, last)
    return Paged(rule, text, start, frequency, interval, parts, last)


@lru_cache(maxsize=16384)
def _clock(trigger: RRule) -> WallClock:
    if trigger.dtstart is None:
        raise InvalidSchedule.of("dtstart", None, "is open: use bound(created_at) first", "2030-01-31T09:00:00")
    zone = get_zone(trigger.tz)
    rule = recurrence(trigger.rrule, _wall(trigger.dtstart, trigger.tz), trigger.tz)
    elapsed = _frequency(_parts(trigger.rrule)) >= du.HOURLY
    return WallClock(zone, rule, trigger.dst_gap, trigger.dst_overlap, elapsed=elapsed)


def _frequency(parts: dict[str, str]) -> int:
    return du.FREQNAMES.index(parts["FREQ"])
