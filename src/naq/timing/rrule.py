"""Recurrence rules of RFC 5545 (iCalendar), read on the wall clock of a zone.

python-dateutil expands the rule on naive wall times; the zone and daylight saving come after it, by the same rules as
for cron (`naq.timing.wall`). dateutil has no random access: it walks from the start of a rule. So a rule is asked from
a start that is moved close to the question by whole periods, which changes nothing about its phase; a rule that ends
by COUNT is written out once; and an even grid (no BY... part) needs no walk at all.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import msgspec
from dateutil import rrule as du

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.timing.cron import beside
from naq.timing.rrule_words import describe_rule
from naq.timing.wall import DstMark, Grid, WallClock, WallRule
from naq.timing.zones import DstGap, DstOverlap, check_zone, get_zone

__all__ = ["RRule", "recurrence"]

EXAMPLE = "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"
MOST_COUNTED = 10_000
"""The largest COUNT; such a rule is written out in memory."""
_SECONDS = {du.WEEKLY: 604_800, du.DAILY: 86_400, du.HOURLY: 3_600, du.MINUTELY: 60, du.SECONDLY: 1}
_DAY_PARTS = frozenset(("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYWEEKDAY", "BYEASTER"))
_PLAIN_PARTS = frozenset(("FREQ", "INTERVAL", "UNTIL", "WKST"))
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall time has no zone
_SECOND = timedelta(seconds=1)


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
            rule = recurrence(self.rrule, start, self.tz)
            fires = _days_exist(self.rrule, start) and rule.next_wall(-(1 << 60)) is not None
        except InvalidSchedule as error:
            return [Problem(field, found.value, found.reason, found.example) for found in error.problems]
        return [] if fires else [Problem(field, shown(self.rrule), "can never fire", shown(EXAMPLE))]

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


def _bad(text: str, reason: str) -> InvalidSchedule:
    return InvalidSchedule(Problem("rrule", shown(text), reason, shown(EXAMPLE)))


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
        raise _bad(text, "must be one recurrence rule; the start goes into dtstart, exceptions into exclude")
    parts = _parts(text)
    if "FREQ" not in parts:
        raise _bad(text, "has no FREQ")
    if not re.fullmatch(r"0*[1-9]\d{0,7}", parts.get("INTERVAL", "1")):
        raise _bad(text, "has an INTERVAL that is no number from 1 to 99999999")
    if "COUNT" in parts and "UNTIL" in parts:
        raise _bad(text, "has both COUNT and UNTIL")
    try:
        until = _until(parts["UNTIL"], tz) if "UNTIL" in parts else None
        rest = ";".join(f"{name}={value}" for name, value in parts.items() if name != "UNTIL")
        rule = du.rrulestr(rest, dtstart=start)
    except (ValueError, TypeError) as error:
        raise _bad(text, f"is no recurrence rule ({error})") from error
    assert isinstance(rule, du.rrule)
    return rule, until


def _days_exist(text: str, start: datetime) -> bool:
    """Whether any day at all passes the rule's BY... parts, looked for in four hundred years.

    dateutil would search for such a day up to the year 9999, day by day, before it gives up.
    """
    parts = _parts(text)
    days = {name: value for name, value in parts.items() if name in _DAY_PARTS or name == "BYMONTH"}
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
    if "COUNT" in parts:
        if not 1 <= int(parts["COUNT"]) <= MOST_COUNTED:
            raise _bad(text, f"has a COUNT that is not in 1-{MOST_COUNTED}; use max_runs")
        return _Counted(rule, text)
    frequency = _frequency(parts)
    if parts.keys() <= _PLAIN_PARTS and frequency in _SECONDS:
        step = _SECONDS[frequency] * int(parts.get("INTERVAL", "1"))
        return Grid(_number(start), step, None if until is None else _number(until))
    return _Walked(rule, start, text, None if until is None else _number(until))


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


def _number(wall: datetime) -> int:
    return (wall - _EPOCH) // _SECOND


def _moment(wall: int) -> datetime:
    """The wall time as a datetime, within the years that datetimes have."""
    try:
        return _EPOCH + timedelta(seconds=wall)
    except OverflowError:
        return datetime.combine(date.max if wall > 0 else date.min, time.min)


class _Counted:
    """A rule that ends by COUNT, written out; a `naq.timing.wall.WallRule`."""

    def __init__(self, rule: du.rrule, text: str) -> None:
        try:
            self._walls = tuple(_number(at) for at in rule)
        except ValueError as error:
            raise _bad(text, f"is no recurrence rule ({error})") from error

    def next_wall(self, wall: int) -> int | None:
        index = bisect_left(self._walls, wall)
        return self._walls[index] if index < len(self._walls) else None

    def previous_wall(self, wall: int) -> int | None:
        index = bisect_right(self._walls, wall)
        return self._walls[index - 1] if index else None

    def count_walls(self, first: int, end: int) -> int:
        return bisect_left(self._walls, end) - bisect_left(self._walls, first)


class _Walked:
    """A rule that dateutil expands, from a start near the question; a `naq.timing.wall.WallRule`."""

    def __init__(self, rule: du.rrule, start: datetime, text: str, until: int | None) -> None:
        parts = _parts(text)
        self._text = text
        self._start = start
        self._until = until
        self._frequency = _frequency(parts)
        self._interval = int(parts.get("INTERVAL", "1"))
        self._rule = rule.replace(**_made_explicit(parts, start))

    def next_wall(self, wall: int) -> int | None:
        found = next(self._from(wall, back=2), None)
        return found if found is not None and (self._until is None or found <= self._until) else None

    def previous_wall(self, wall: int) -> int | None:
        if self._until is not None:
            wall = min(wall, self._until)
        back = 4
        while True:
            near = self._near(wall, back)
            last = None
            for found in self._walls(near, max(_number(near), self._floor(wall, back))):
                if found > wall:
                    break
                last = found
            if last is not None or near <= self._start:
                return last
            back *= 8

    def count_walls(self, first: int, end: int) -> int:
        if self._until is not None:
            end = min(end, self._until + 1)
        total = 0
        for found in self._from(first, back=2):
            if found >= end:
                break
            total += 1
        return total

    def _from(self, wall: int, back: int) -> Iterator[int]:
        """The wall times from ``wall`` on."""
        return self._walls(self._near(wall, back), wall)

    def _walls(self, near: datetime, wall: int) -> Iterator[int]:
        try:
            for at in self._rule.replace(dtstart=near):
                if (found := _number(at)) >= wall:
                    yield found
        except ValueError as error:
            # dateutil finds out while it walks that BYHOUR, BYMINUTE or BYSECOND are never met at this INTERVAL.
            raise _bad(self._text, str(error)) from error

    def _floor(self, wall: int, back: int) -> int:
        """From where on a walk that began ``back`` periods before ``wall`` can be trusted: the second period."""
        near = self._near(wall, back)
        return _number(near) if near <= self._start else _number(self._near(wall, back - 1))

    def _near(self, wall: int, back: int) -> datetime:
        """A start in phase with the real one, at least ``back`` - 1 periods before ``wall``, unless that is before it.

        The first period of a walk may be cut (BYSETPOS counts from the start in it), so it must end before ``wall``.
        """
        at = _moment(wall)
        if at <= self._start:
            return self._start
        if self._frequency in _SECONDS:
            period = _SECONDS[self._frequency] * self._interval * _SECOND
            steps = (at - self._start) // period - back
            return self._start + steps * period if steps > 0 else self._start
        months = self._interval * (12 if self._frequency == du.YEARLY else 1)
        first = self._start.year * 12 + self._start.month - 1
        steps = (at.year * 12 + at.month - 1 - first) // months - back
        if steps <= 0:
            return self._start
        year, month = divmod(first + steps * months, 12)
        return datetime.combine(date(year, month + 1, 1), self._start.time())


def _made_explicit(parts: dict[str, str], start: datetime) -> dict[str, Any]:
    """What the rule takes from its start's date, said aloud, so that the start can be moved."""
    explicit: dict[str, Any] = {}
    if not _DAY_PARTS & parts.keys():
        frequency = _frequency(parts)
        if frequency == du.YEARLY and "BYMONTH" not in parts:
            explicit["bymonth"] = start.month
        if frequency in (du.YEARLY, du.MONTHLY):
            explicit["bymonthday"] = start.day
    return explicit
