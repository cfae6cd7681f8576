"""Cron expressions in plain words: ``at 09:00 on Monday to Friday``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

from naq.timing.cron_fields import CronFields

__all__ = ["describe", "join", "ordinal"]

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
MOST_TIMES = 4
"""More times than these are told as "every ..." or by field, not one by one."""


@lru_cache(maxsize=1024)
def describe(fields: CronFields, matches_both: bool) -> str:
    """The expression as a phrase; ``matches_both`` says whether day of month and weekday must both match."""
    words = _times(fields)
    days, weekdays = _days(fields), _weekdays(fields)
    if days and weekdays:
        words += f" {days} when that is {weekdays.removeprefix('on ')}" if matches_both else f" {days} and {weekdays}"
    elif days or weekdays:
        words += f" {days or weekdays}"
    if len(fields.months) < 12:
        months = _spans(fields.months, lambda month: MONTHS[month - 1])
        words += f" of {months}" if days and not weekdays else f"{',' if days else ''} in {months}"
    return words


def join(words: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``11th``."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _times(fields: CronFields) -> str:
    hours, minutes, seconds = fields.hours, fields.minutes, fields.seconds
    if len(hours) * len(minutes) * len(seconds) <= MOST_TIMES:
        show_seconds = seconds != (0,)
        times = [
            f"{hour:02}:{minute:02}:{second:02}" if show_seconds else f"{hour:02}:{minute:02}"
            for hour in hours
            for minute in minutes
            for second in seconds
        ]
        return f"at {join(times)}"
    words = _units(minutes, 60, "minute")
    if seconds != (0,):
        first = _units(seconds, 60, "second")
        words = first if len(minutes) == 60 else f"{first} of {words.removeprefix('at ')}"
    if len(hours) == 24:
        return words if len(minutes) > 1 else f"{words} of every hour"
    if _step(hours, 24) is not None:
        return f"{words} of every {ordinal(_step(hours, 24) or 0)} hour from {hours[0]:02}:00"
    return f"{words} of {'hour' if len(hours) == 1 else 'hours'} {_spans(hours, str)}"


def _units(values: tuple[int, ...], size: int, unit: str) -> str:
    """``every minute``, ``every 5 minutes``, ``at minute 7``, ``at minutes 1, 5 and 30``."""
    if len(values) == size:
        return f"every {unit}"
    step = _step(values, size)
    if step is not None:
        return f"every {step} {unit}s" + (f" from {unit} {values[0]}" if values[0] else "")
    return f"at {unit}{'s' if len(values) > 1 else ''} {_spans(values, str)}"


def _step(values: tuple[int, ...], size: int) -> int | None:
    """The even step of values that run through the whole field, else ``None``."""
    if len(values) < 3:
        return None
    step = values[1] - values[0]
    even = all(after - before == step for before, after in pairwise(values))
    return step if step > 1 and even and values[0] < step and values[-1] + step >= size else None


def _spans(values: tuple[int, ...], name: Callable[[int], str]) -> str:
    """Numbers as a list in which three or more in a row are a range: ``Monday to Friday and Sunday``."""
    spans: list[list[int]] = []
    for value in values:
        if spans and value == spans[-1][-1] + 1:
            spans[-1].append(value)
        else:
            spans.append([value])
    words: list[str] = []
    for span in spans:
        if len(span) > 2:
            words.append(f"{name(span[0])} to {name(span[-1])}")
        else:
            words.extend(name(value) for value in span)
    return join(words)


def _days(fields: CronFields) -> str:
    """The days of the month as a phrase; empty when every day will do."""
    if len(fields.days) == 31:
        return ""
    words = []
    if fields.days:
        step = _step(fields.days, 32)
        if step is not None:
            words.append(f"every {ordinal(step)} day from the {ordinal(fields.days[0])}")
        else:
            words.append(f"the {_spans(fields.days, ordinal)}")
    words.extend(f"the weekday nearest to the {ordinal(day)}" for day in fields.nearest)
    words.extend(f"the {ordinal(back)} day before the last" if back else "the last day" for back in fields.from_last)
    words.extend(f"the weekday nearest to the {ordinal(back)} day before the last" for back in fields.nearest_from_last)
    if fields.last_weekday:
        words.append("the last weekday")
    plain_month = "" if len(fields.months) < 12 else " of the month"
    return f"on {join(words)}{plain_month}"


def _weekdays(fields: CronFields) -> str:
    """The days of the week as a phrase; empty when every day will do."""
    if len(fields.weekdays) == 7:
        return ""
    words = []
    if fields.weekdays:
        # A week is told from Monday on; Sunday comes last.
        words.append(_spans(tuple(sorted((day or 7) for day in fields.weekdays)), lambda day: WEEKDAYS[day % 7]))
    words.extend(f"the {ordinal(nth)} {WEEKDAYS[day]}" for day, nth in fields.nth)
    words.extend(f"the last {WEEKDAYS[day]}" for day in fields.last_of)
    month = " of the month" if (fields.nth or fields.last_of) and len(fields.months) == 12 else ""
    return f"on {join(words)}{month}"
