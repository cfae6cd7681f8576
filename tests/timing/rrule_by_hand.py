"""Recurrence rules by hand: the table of RFC 5545, 3.3.10, day by day and time by time. Slow, plain, and nothing of naq's.

Of the search in `naq.timing` nothing is used, not even its reading of the text.
"""

from __future__ import annotations

import itertools
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NAMES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
ONE_DAY = timedelta(days=1)
UNITS = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}


class Rule:
    """The parts of a rule as lists of numbers."""

    def __init__(self, text: str, start: datetime) -> None:
        self.parts = dict(part.split("=") for part in text.split(";"))
        self.start = start
        self.frequency = self.parts["FREQ"]
        self.interval = int(self.parts.get("INTERVAL", "1"))
        self.week_start = NAMES.index(self.parts.get("WKST", "MO"))
        self.days = [(int(day[:-2] or 0), NAMES.index(day[-2:])) for day in self._words("BYDAY")]

    def _words(self, name: str) -> list[str]:
        return self.parts[name].split(",") if name in self.parts else []

    def numbers(self, name: str) -> list[int]:
        return sorted({int(word) for word in self._words(name)})

    def has(self, *names: str) -> bool:
        return any(name in self.parts for name in names)


def in_order(numbers: list[int], place: int, count: int) -> bool:
    """Whether the ``place``-th (from 1) of ``count`` is named, from the beginning or from the end."""
    return place in numbers or place - count - 1 in numbers


def week_number(day: date, week_start: int) -> tuple[int, int]:
    """The number of a day's week, and how many weeks that year has: the week belongs where most of its days are."""

    def first_week(year: int) -> date:
        fourth = date(year, 1, 4)
        return fourth - timedelta(days=(fourth.weekday() - week_start) % 7)

    year = (
        day.year + 1 if day >= first_week(day.year + 1) else day.year if day >= first_week(day.year) else day.year - 1
    )
    first = first_week(year)
    return (day - first).days // 7 + 1, (first_week(year + 1) - first).days // 7


def weekday_matches(rule: Rule, day: date) -> bool:
    for number, weekday in rule.days:
        if day.weekday() != weekday:
            continue
        if number == 0:
            return True
        if rule.frequency == "MONTHLY" or rule.has("BYMONTH"):
            place, length = day.day, monthrange(day.year, day.month)[1]
        else:
            place, length = day.timetuple().tm_yday, date(day.year, 12, 31).timetuple().tm_yday
        if number == ((place + 6) // 7 if number > 0 else -((length - place) // 7 + 1)):
            return True
    return False


def day_matches(rule: Rule, day: date) -> bool:
    """Whether a day passes every part that names days, and those that the start stands in for."""
    month_length = monthrange(day.year, day.month)[1]
    year_length = date(day.year, 12, 31).timetuple().tm_yday
    if rule.has("BYMONTH") and day.month not in rule.numbers("BYMONTH"):
        return False
    if rule.has("BYWEEKNO") and not in_order(rule.numbers("BYWEEKNO"), *week_number(day, rule.week_start)):
        return False
    if rule.has("BYYEARDAY") and not in_order(rule.numbers("BYYEARDAY"), day.timetuple().tm_yday, year_length):
        return False
    if rule.has("BYMONTHDAY") and not in_order(rule.numbers("BYMONTHDAY"), day.day, month_length):
        return False
    if rule.has("BYDAY"):
        return weekday_matches(rule, day)
    if rule.frequency == "WEEKLY" or (rule.has("BYWEEKNO") and not rule.has("BYYEARDAY", "BYMONTHDAY")):
        return day.weekday() == rule.start.weekday()
    if rule.has("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY") or rule.frequency not in ("YEARLY", "MONTHLY"):
        return True
    if rule.frequency == "YEARLY" and not rule.has("BYMONTH") and day.month != rule.start.month:
        return False
    return day.day == rule.start.day


def period_of(rule: Rule) -> Callable[[date], int]:
    """The number of the period that a day is in."""
    if rule.frequency == "YEARLY":
        return lambda day: day.year
    if rule.frequency == "MONTHLY":
        return lambda day: day.year * 12 + day.month
    if rule.frequency == "WEEKLY":
        return lambda day: (day.toordinal() - 1 - rule.week_start) // 7
    return lambda day: day.toordinal()


def begin_of(rule: Rule) -> date:
    """A day not later than the beginning of the start's period."""
    return rule.start.date() - timedelta(days=366) if rule.start.year > 1 else rule.start.date()


def picked(rule: Rule, found: list[datetime]) -> list[datetime]:
    positions = rule.numbers("BYSETPOS")
    if not positions:
        return found
    return [at for place, at in enumerate(found, 1) if in_order(positions, place, len(found))]


def walls_by_days(text: str, start: datetime, end: datetime) -> list[datetime]:
    """The wall times of a rule by the day or a longer period, up to ``end``; COUNT and UNTIL are not looked at."""
    rule = Rule(text, start)
    times = [
        time(hour, minute, second)
        for hour in rule.numbers("BYHOUR") or [start.hour]
        for minute in rule.numbers("BYMINUTE") or [start.minute]
        for second in sorted({min(second, 59) for second in rule.numbers("BYSECOND")}) or [start.second]
    ]
    period = period_of(rule)
    first = period(start.date())
    days = (begin_of(rule) + timedelta(days=number) for number in range((end.date() - begin_of(rule)).days + 400))
    found: list[datetime] = []
    for number, group in itertools.groupby(days, period):
        if number < first or (number - first) % rule.interval:
            continue
        all_of_period = [datetime.combine(day, at) for day in group if day_matches(rule, day) for at in times]
        found += picked(rule, all_of_period)
    return [at for at in found if start <= at <= end]


def instants_by_hours(text: str, start: datetime, zone: ZoneInfo, end: datetime) -> list[datetime]:
    """The instants of a rule by the hour or finer, up to the instant ``end``, second by second of elapsed time.

    The offsets of ``zone`` must be whole minutes: then the seconds of the wall are those of UTC.
    """
    rule = Rule(text, start)
    unit = UNITS[rule.frequency]
    begin = start.replace(tzinfo=zone).astimezone(UTC)
    names = ("BYHOUR", "BYMINUTE", "BYSECOND")
    finer = names[list(UNITS).index(rule.frequency) + 1 :]
    expands = unit > 1 and rule.has(*finer, "BYSETPOS")
    step = timedelta(seconds=unit * rule.interval)
    at = begin - timedelta(seconds=(start.minute * 60 + start.second) % unit) if expands else begin
    wanted = {min(second, 59) for second in rule.numbers("BYSECOND")} or {start.second}
    found: list[datetime] = []
    while at <= end:
        seconds = [second for second in range(unit) if (at.second + second) % 60 in wanted] if expands else [0]
        of_period = [at + timedelta(seconds=second) for second in seconds]
        found += picked(
            rule, [moment for moment in of_period if _passes(rule, moment.astimezone(zone), finer, expands)]
        )
        at += step
    return [moment for moment in found if begin <= moment <= end]


def _passes(rule: Rule, wall: datetime, finer: tuple[str, ...], expands: bool) -> bool:
    for name, own, started in (
        ("BYHOUR", wall.hour, rule.start.hour),
        ("BYMINUTE", wall.minute, rule.start.minute),
        ("BYSECOND", wall.second, rule.start.second),
    ):
        if rule.has(name):
            if own not in [min(number, 59) for number in rule.numbers(name)]:
                return False
        elif expands and name in finer and own != started:
            return False
    return day_matches(rule, wall.date())


def ahead(found: list[datetime], after: datetime) -> Iterator[datetime]:
    """Those later than ``after``."""
    return (at for at in found if at > after)
