"""Reading a recurrence rule: text in, numbers out, and a complaint that names the rule of RFC 5545 it breaks.

What a rule may say is in RFC 5545, section 3.3.10; SKIP and RSCALE are those of RFC 7529. Whatever these two forbid is
refused here, so the search (`naq.timing.rrule_search`) only ever sees rules that mean something. Parts may come in any
order. Extensions of other programs (BYEASTER, BYWEEKDAY) are refused as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from functools import lru_cache

from naq.exceptions import InvalidSchedule, Problem, shown

__all__ = ["MOST_COUNTED", "Frequency", "RuleParts", "Skip", "Until", "bad_rule", "parse_rule", "read_until"]

MOST_COUNTED = 10_000
"""The largest COUNT. A schedule that is to end after more runs has ``max_runs``."""
LONGEST = 5_000
"""Characters of a rule; one with every value of every part stays below."""
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class Frequency(IntEnum):
    """FREQ: the unit of the rule's periods; a longer period is less."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


class Skip(StrEnum):
    """SKIP (RFC 7529): what happens to a day that a month does not have."""

    OMIT = "OMIT"
    BACKWARD = "BACKWARD"
    """It is the last day of the month."""
    FORWARD = "FORWARD"
    """It is the first day of the next month."""


@dataclass(frozen=True, slots=True)
class Until:
    """UNTIL: the last time of a rule, inclusive."""

    wall: datetime
    """As it is written, naive; a date is its midnight."""
    is_date: bool
    is_utc: bool


@dataclass(frozen=True, slots=True)
class RuleParts:
    """What a rule says, part by part; an empty tuple means that the part is not there."""

    frequency: Frequency
    interval: int
    count: int | None
    until: Until | None
    week_start: int
    """WKST; weekdays count from Monday = 0."""
    months: tuple[int, ...]
    weeks: tuple[int, ...]
    year_days: tuple[int, ...]
    month_days: tuple[int, ...]
    days: tuple[tuple[int, int], ...]
    """BYDAY: ``MO`` is (0, 0), ``-1FR`` is (-1, 4)."""
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    positions: tuple[int, ...]
    skip: Skip

    @property
    def is_plain(self) -> bool:
        """Whether there is no BY... part at all."""
        lists = (self.months, self.weeks, self.year_days, self.month_days, self.days, *self.times, self.positions)
        return not any(lists)

    @property
    def names_day(self) -> bool:
        """Whether a part other than BYMONTH says on which days."""
        return bool(self.weeks or self.year_days or self.month_days or self.days)

    @property
    def times(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """BYHOUR, BYMINUTE, BYSECOND."""
        return self.hours, self.minutes, self.seconds

    @property
    def is_elapsed(self) -> bool:
        """Whether its periods are elapsed time (HOURLY and finer) and not days of the calendar."""
        return self.frequency >= Frequency.HOURLY

    @property
    def expands(self) -> bool:
        """Whether a rule by the hour or finer names times within its periods: they may then have several, or another."""
        finer = self.times[max(0, self.frequency - Frequency.HOURLY) + 1 :]
        return self.is_elapsed and (any(finer) or bool(self.positions))


@dataclass(frozen=True, slots=True)
class _Numbers:
    low: int
    high: int
    signed: bool = False
    """Whether -high to -low is allowed as well."""


_RANGES: Mapping[str, _Numbers] = {
    "BYMONTH": _Numbers(1, 12),
    "BYWEEKNO": _Numbers(1, 53, signed=True),
    "BYYEARDAY": _Numbers(1, 366, signed=True),
    "BYMONTHDAY": _Numbers(1, 31, signed=True),
    "BYHOUR": _Numbers(0, 23),
    "BYMINUTE": _Numbers(0, 59),
    "BYSECOND": _Numbers(0, 60),
    "BYSETPOS": _Numbers(1, 366, signed=True),
}
_KNOWN = frozenset(("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "RSCALE", "SKIP", *_RANGES))
_UNTIL = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", re.ASCII)
_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,4}", re.ASCII)


def bad_rule(text: str, reason: str) -> InvalidSchedule:
    """The complaint about the rule ``text``."""
    return InvalidSchedule(Problem("rrule", shown(text), reason, "'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO'"))


@lru_cache(maxsize=16384)
def parse_rule(text: str) -> RuleParts:
    """Read one rule, with or without ``RRULE:`` before it. Raises `InvalidSchedule`, and nothing else."""
    if len(text) > LONGEST:
        raise bad_rule(text, f"is longer than {LONGEST} characters")
    if len(text.split()) != 1:
        raise bad_rule(text, "must be one recurrence rule; the start goes into dtstart, exceptions into exclude")
    try:
        parts = _parts(text)
        rule = _read(parts)
        _check_together(rule, parts)
    except ValueError as error:
        raise bad_rule(text, str(error)) from error
    return rule


def read_until(text: str) -> Until:
    """UNTIL as it is written. Raises ValueError with the reason."""
    match = _UNTIL.fullmatch(text)
    if match is None:
        raise ValueError("UNTIL is no date (20300131) or time (20300131T090000Z)")
    numbers = [int(group or 0) for group in match.groups()[:6]]
    numbers[5] = min(numbers[5], 59) if numbers[5] == 60 else numbers[5]
    try:
        wall = datetime(*numbers)  # type: ignore[arg-type] # noqa: DTZ001 - its zone is told beside it
    except ValueError as error:
        raise ValueError(f"UNTIL is no date or time that exists ({error})") from error
    return Until(wall, is_date=match[4] is None, is_utc=bool(match[7]))


def _parts(text: str) -> dict[str, str]:
    """The parts by name, upper case, in the order they are written."""
    parts: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").strip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"is no recurrence rule ({shown(part)} is no NAME=VALUE)")
        if name not in _KNOWN:
            hint = "; weekdays are BYDAY" if name == "BYWEEKDAY" else ""
            raise ValueError(f"has an unknown parameter {shown(name)}: RFC 5545 and 7529 know no such part{hint}")
        if name in parts:
            raise ValueError(f"names {name} twice: RFC 5545 (3.3.10) allows each part once")
        parts[name] = value
    if "FREQ" not in parts:
        raise ValueError("has no FREQ, which RFC 5545 (3.3.10) requires")
    return parts


def _read(parts: Mapping[str, str]) -> RuleParts:
    if parts["FREQ"] not in Frequency.__members__:
        raise ValueError(f"is no recurrence rule (FREQ is one of {', '.join(Frequency.__members__)})")
    lists = {name: _numbers(name, parts[name]) if name in parts else () for name in _RANGES}
    if "WKST" in parts and parts["WKST"] not in WEEKDAYS:
        raise ValueError(f"is no recurrence rule (WKST is one of {', '.join(WEEKDAYS)})")
    return RuleParts(
        frequency=Frequency[parts["FREQ"]],
        interval=_interval(parts.get("INTERVAL", "1")),
        count=_count(parts["COUNT"]) if "COUNT" in parts else None,
        until=read_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        week_start=WEEKDAYS.index(parts.get("WKST", "MO")),
        months=lists["BYMONTH"],
        weeks=lists["BYWEEKNO"],
        year_days=lists["BYYEARDAY"],
        month_days=lists["BYMONTHDAY"],
        days=_days(parts["BYDAY"]) if "BYDAY" in parts else (),
        hours=lists["BYHOUR"],
        minutes=lists["BYMINUTE"],
        # A clock without leap seconds reads second 60 as 59 (RFC 5545, 3.3.12).
        seconds=tuple(sorted({min(second, 59) for second in lists["BYSECOND"]})),
        positions=lists["BYSETPOS"],
        skip=_skip(parts),
    )


def _numbers(name: str, text: str) -> tuple[int, ...]:
    limits = _RANGES[name]
    told = f"{limits.low} to {limits.high}" + (f" and -{limits.high} to -{limits.low}" if limits.signed else "")
    found = set()
    for word in text.split(","):
        number = int(word) if _NUMBER.fullmatch(word) else None
        size = abs(number) if number is not None and limits.signed else number
        if number is None or size is None or not limits.low <= size <= limits.high:
            raise ValueError(f"is no recurrence rule (RFC 5545, 3.3.10: {name} takes {told}, not {shown(word)})")
        found.add(number)
    return tuple(sorted(found))


def _days(text: str) -> tuple[tuple[int, int], ...]:
    found = set()
    for word in text.split(","):
        match = _DAY.fullmatch(word)
        number = int(match[1]) if match and match[1] else 0
        if match is None or (match[1] and not 1 <= abs(number) <= 53):
            reason = "BYDAY takes MO, TU, WE, TH, FR, SA and SU, with 1 to 53 or -53 to -1 before it"
            raise ValueError(f"is no recurrence rule (RFC 5545, 3.3.10: {reason}, not {shown(word)})")
        found.add((number, WEEKDAYS.index(match[2])))
    return tuple(sorted(found))


def _interval(text: str) -> int:
    if not re.fullmatch(r"0{0,8}[1-9]\d{0,7}", text, re.ASCII):
        raise ValueError("has an INTERVAL that is no number from 1 to 99999999")
    return int(text)


def _count(text: str) -> int:
    count = int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else 0
    if not 1 <= count <= MOST_COUNTED:
        raise ValueError(f"has a COUNT that is not in 1-{MOST_COUNTED}; use max_runs")
    return count


def _skip(parts: Mapping[str, str]) -> Skip:
    if parts.get("RSCALE", "GREGORIAN") != "GREGORIAN":
        raise ValueError("has an RSCALE other than GREGORIAN, the one calendar naq has")
    if "SKIP" in parts and "RSCALE" not in parts:
        raise ValueError("has a SKIP without RSCALE=GREGORIAN, which RFC 7529 (4.1) asks for")
    if parts.get("SKIP", "OMIT") not in Skip.__members__:
        raise ValueError("has a SKIP that RFC 7529 does not know: OMIT, BACKWARD or FORWARD")
    return Skip(parts.get("SKIP", "OMIT"))


def _check_together(rule: RuleParts, parts: Mapping[str, str]) -> None:
    """Refuse what the parts may not be beside each other. Raises ValueError with the rule of the RFC."""
    told, section = rule.frequency.name, "RFC 5545, 3.3.10"
    numbered = any(number for number, _ in rule.days)
    if rule.count is not None and rule.until is not None:
        raise ValueError(f"has both COUNT and UNTIL ({section}: one of them)")
    if numbered and rule.frequency > Frequency.MONTHLY:
        raise ValueError(f"has a number in BYDAY with FREQ={told} ({section}: only with MONTHLY and YEARLY)")
    if numbered and rule.weeks:
        raise ValueError(f"has a number in BYDAY beside BYWEEKNO ({section} forbids it)")
    if rule.month_days and rule.frequency == Frequency.WEEKLY:
        raise ValueError(f"has BYMONTHDAY with FREQ=WEEKLY ({section} forbids it; use FREQ=DAILY)")
    if rule.weeks and rule.frequency != Frequency.YEARLY:
        raise ValueError(f"has BYWEEKNO with FREQ={told} ({section}: only with YEARLY)")
    if rule.year_days and rule.frequency in (Frequency.MONTHLY, Frequency.WEEKLY, Frequency.DAILY):
        raise ValueError(f"has BYYEARDAY with FREQ={told} ({section} forbids it; use FREQ=YEARLY)")
    if rule.positions and not any(name in parts for name in ("BYDAY", *_RANGES) if name != "BYSETPOS"):
        raise ValueError(f"has BYSETPOS alone ({section}: only beside another BY... part)")
    if rule.skip != Skip.OMIT and rule.frequency > Frequency.MONTHLY:
        raise ValueError(f"has SKIP with FREQ={told}, where no day is missing: only with MONTHLY and YEARLY")
    if rule.skip == Skip.FORWARD and rule.positions:
        raise ValueError("has SKIP=FORWARD with BYSETPOS: a day would stand in two periods at once")
