"""Recurrence rules in plain words: ``every 2 weeks on Monday at 09:00``. What is said is what fires, to the second."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from naq.timing.cron_words import MONTHS, WEEKDAYS, join, ordinal
from naq.timing.rrule_parts import Frequency, RuleParts, Skip, Until

__all__ = ["describe_rule"]

MOST_TIMES = 4
"""More times of day than these are told by hour, minute and second, not one by one."""
_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")


def describe_rule(rule: RuleParts, start: datetime | None) -> str:
    """The rule as a phrase; ``start`` is the source of what it does not name."""
    unit = _UNITS[rule.frequency]
    words = [f"every {unit}" if rule.interval == 1 else f"every {rule.interval} {unit}s", *_days(rule, start)]
    if rule.months:
        words.append(f"in {join([MONTHS[month - 1] for month in rule.months])}")
    words.append(_times_within(rule) if rule.is_elapsed else _times_of_day(rule, start))
    if rule.positions and not _picks_days(rule):
        words.append(f"(only the {join([_from_end(position) for position in rule.positions])} time of each {unit})")
    if rule.week_start and rule.frequency <= Frequency.WEEKLY and (rule.interval > 1 or rule.weeks or rule.positions):
        words.append(f"with weeks from {_weekday(rule.week_start)}")
    if rule.count is not None:
        words.append(f"{rule.count} time{'s' if rule.count > 1 else ''}")
    if rule.until is not None:
        words.append(f"until {_until(rule.until)}")
    return " ".join(word for word in words if word)


def _days(rule: RuleParts, start: datetime | None) -> list[str]:
    words = []
    if rule.days:
        days = join([_day(number, weekday) for number, weekday in _from_monday(rule.days)])
        if _picks_days(rule):
            days = f"the {join([_from_end(position) for position in rule.positions])} of {days}"
        words.append(f"on {days}")
    if rule.month_days:
        words.append(f"on the {join([_from_end(day) for day in _in_order(rule.month_days)])} of the month")
    if rule.year_days:
        words.append(f"on the {join([_from_end(day) for day in _in_order(rule.year_days)])} day of the year")
    if rule.weeks:
        words.append(f"in the {join([_from_end(week) for week in _in_order(rule.weeks)])} week of the year")
    if start is not None:
        words.append(_day_of_start(rule, start))
    if rule.skip != Skip.OMIT:
        other = "the last day" if rule.skip == Skip.BACKWARD else "the first of the next month"
        words.append(f"(or {other} in a month without)")
    return words


def _day_of_start(rule: RuleParts, start: datetime) -> str:
    """The day that a rule without one takes from its start."""
    only_weeks = rule.weeks and not (rule.days or rule.month_days or rule.year_days)
    if only_weeks or (rule.frequency == Frequency.WEEKLY and not rule.days):
        return f"on {_weekday(start.weekday())}"
    if rule.names_day or rule.frequency > Frequency.WEEKLY:
        return ""
    if rule.frequency == Frequency.MONTHLY or rule.months:
        return f"on the {ordinal(start.day)}"
    return f"on {start.day} {MONTHS[start.month - 1]}"


def _times_of_day(rule: RuleParts, start: datetime | None) -> str:
    """The times of a day that matches."""
    if start is None and not all(rule.times):
        names = ("hour", "minute", "second")
        told = [_listed(name, rule.times[index]) for index, name in enumerate(names) if rule.times[index]]
        missing = [name for index, name in enumerate(names) if not rule.times[index]]
        return f"at {', '.join(told)}, {join(missing)} as it starts" if told else ""
    hours = rule.hours or (start.hour if start else 0,)
    minutes = rule.minutes or (start.minute if start else 0,)
    seconds = rule.seconds or (start.second if start else 0,)
    if len(hours) * len(minutes) * len(seconds) > MOST_TIMES:
        second = "" if seconds == (0,) else f"{_listed('second', seconds)} of "
        return f"at {second}{_listed('minute', minutes)} of {_listed('hour', hours)}"
    times = [
        f"{hour:02}:{minute:02}" + (f":{second:02}" if seconds != (0,) else "")
        for hour in hours
        for minute in minutes
        for second in seconds
    ]
    return f"at {join(times)}"


def _times_within(rule: RuleParts) -> str:
    """What a rule by the hour or finer says of hours, minutes and seconds: finer units are times, others limits."""
    words = []
    for unit, values in reversed(list(enumerate(rule.times))):
        if values:
            finer = unit > rule.frequency - Frequency.HOURLY
            words.append(f"{'at' if finer else 'in'} {_listed(_UNITS[unit + Frequency.HOURLY], values)}")
    return " ".join(words)


def _picks_days(rule: RuleParts) -> bool:
    """Whether BYSETPOS picks days named by BYDAY: one time a day, and nothing else that names days."""
    one_time = all(len(values) <= 1 for values in rule.times)
    others = rule.month_days or rule.year_days or rule.weeks
    return bool(rule.positions and rule.days and not others and one_time and rule.frequency < Frequency.DAILY)


def _listed(unit: str, values: Sequence[int]) -> str:
    """``minute 5``, ``minutes 0 and 30``, ``hours 9 to 17``."""
    if len(values) > 2 and values[-1] - values[0] == len(values) - 1:
        return f"{unit}s {values[0]} to {values[-1]}"
    return f"{unit}{'s' if len(values) > 1 else ''} {join([str(value) for value in values])}"


def _from_monday(days: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(days, key=lambda day: (day[0] < 0, day[0], day[1]))


def _in_order(numbers: Sequence[int]) -> list[int]:
    """From the beginning on, those counted from the end last."""
    return sorted(numbers, key=lambda number: (number < 0, number))


def _day(number: int, weekday: int) -> str:
    return f"the {_from_end(number)} {_weekday(weekday)}" if number else _weekday(weekday)


def _weekday(weekday: int) -> str:
    return WEEKDAYS[(weekday + 1) % 7]


def _from_end(number: int) -> str:
    if number >= 0:
        return ordinal(number)
    return "last" if number == -1 else f"{ordinal(-number)} to last"


def _until(until: Until) -> str:
    if until.is_date:
        return f"{until.wall.date().isoformat()} 00:00"
    timespec = "seconds" if until.wall.second else "minutes"
    return until.wall.isoformat(sep=" ", timespec=timespec) + (" UTC" if until.is_utc else "")
