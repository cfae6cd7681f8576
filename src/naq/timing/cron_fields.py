"""Reading a cron expression: text in, sets of numbers out, and a complaint that shows what would be right.

Five fields (minute, hour, day of month, month, day of week), six with seconds in front, or a nickname: ``@daily``.
Everything cronsim reads is read alike; on top there are ``?``, ``nW``, ``L-n``, names before ``L``, and ranges that
end on Sunday. What is refused and why is listed in ``docs/concepts/schedules.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from naq.exceptions import InvalidSchedule, Problem, shown

__all__ = ["NICKNAMES", "CronFields", "parse_cron"]

NICKNAMES = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
EXAMPLE = "0 9 * * MON-FRI"
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: dict[str, int]
    example: str


SECOND = _Field("second", 0, 59, {}, "*/10 * * * * *")
MINUTE = _Field("minute", 0, 59, {}, "*/15 * * * *")
HOUR = _Field("hour", 0, 23, {}, "0 9-17 * * *")
DAY = _Field("day of month", 1, 31, {}, "0 0 1,15,L * *")
MONTH = _Field("month", 1, 12, {name: number for number, name in enumerate(MONTHS, 1)}, "0 0 1 JAN-MAR *")
WEEKDAY = _Field("day of week", 0, 7, {name: number for number, name in enumerate(WEEKDAYS)}, EXAMPLE)


@dataclass(frozen=True, slots=True)
class CronFields:
    """What an expression says, field by field; weekdays count from Sunday = 0."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    """Plain days of the month."""
    nearest: tuple[int, ...]
    """``nW``: the weekday (Monday to Friday) nearest to day n, within the month."""
    from_last: tuple[int, ...]
    """``L`` is 0, ``L-3`` is 3: so many days before the last day of the month."""
    nearest_from_last: tuple[int, ...]
    """``L-3W`` is 3: the weekday nearest to the third day before the last day of the month."""
    last_weekday: bool
    """``LW``: the last Monday-to-Friday of the month."""
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    nth: tuple[tuple[int, int], ...]
    """``5#3`` is (5, 3): the third Friday."""
    last_of: tuple[int, ...]
    """``5L`` is 5: the last Friday."""
    has_seconds: bool
    """Whether the expression has six fields."""
    is_fixed: bool
    """Whether minute and hour are both without a leading ``*``: a fixed-time job by Debian's rules."""
    starred_days: bool
    """Whether day of month or day of week begins with ``*`` (or is ``?``): then both must match, else one is enough."""
    parts: tuple[str, ...]
    """The six fields as text, upper case."""


@lru_cache(maxsize=4096)
def parse_cron(expression: str) -> CronFields:
    """Read ``expression``. Raises `InvalidSchedule`, naming the field of the expression and a valid example."""
    parts, has_seconds = _split(expression)
    days = _Days(expression, parts[3])
    weekdays = _Weekdays(expression, parts[5])
    return CronFields(
        seconds=_numbers(expression, SECOND, parts[0]),
        minutes=_numbers(expression, MINUTE, parts[1]),
        hours=_numbers(expression, HOUR, parts[2]),
        days=tuple(sorted(days.plain)),
        nearest=tuple(sorted(days.nearest)),
        from_last=tuple(sorted(days.from_last)),
        nearest_from_last=tuple(sorted(days.nearest_from_last)),
        last_weekday=days.last_weekday,
        months=_numbers(expression, MONTH, parts[4]),
        weekdays=tuple(sorted(weekdays.plain)),
        nth=tuple(sorted(weekdays.nth)),
        last_of=tuple(sorted(weekdays.last_of)),
        has_seconds=has_seconds,
        is_fixed=not parts[1].startswith("*") and not parts[2].startswith("*"),
        starred_days=parts[3].startswith(("*", "?")) or parts[5].startswith(("*", "?")),
        parts=tuple(parts),
    )


def _split(expression: str) -> tuple[list[str], bool]:
    """The six fields; a missing one for seconds is ``0``."""
    text = expression.strip().upper()
    if text.startswith(("TZ=", "CRON_TZ=")):
        reason = "names a zone in front of the expression; write the expression alone, and the zone as timezone"
        raise InvalidSchedule.of("cron", expression, reason, "{'cron': '0 9 * * *', 'timezone': 'Europe/Berlin'}")
    if text.startswith("@"):
        if text not in NICKNAMES:
            known = ", ".join(name.lower() for name in NICKNAMES)
            hint = "; for a fixed period use an interval" if text.startswith("@EVERY") else ""
            raise InvalidSchedule.of("cron", expression, f"is no nickname naq knows ({known}){hint}", "@daily")
        text = NICKNAMES[text]
    parts = text.split()
    if len(parts) == 7:
        raise InvalidSchedule.of(
            "cron", expression, "has seven fields; a year cannot be given, use start_at and end_at", EXAMPLE
        )
    if len(parts) not in (5, 6):
        reason = f"has {len(parts)} fields and needs five (minute hour day month weekday), or six with seconds in front"
        raise InvalidSchedule.of("cron", expression, reason, EXAMPLE)
    return (parts, True) if len(parts) == 6 else (["0", *parts], False)


def _bad(expression: str, field: _Field, term: str, reason: str) -> InvalidSchedule:
    reason = f"{term!r} in the field {field.name} {reason}"
    return InvalidSchedule(Problem("cron", shown(expression), reason, shown(field.example)))


def _number(expression: str, field: _Field, text: str) -> int:
    if text in field.names:
        return field.names[text]
    if not (text.isascii() and text.isdigit()):
        names = f" or a name such as {next(iter(field.names))}" if field.names else ""
        raise _bad(expression, field, text, f"is no number{names}")
    value = int(text)
    if not field.low <= value <= field.high:
        raise _bad(expression, field, text, f"is not in {field.low}-{field.high}")
    return value


def _numbers(expression: str, field: _Field, text: str) -> tuple[int, ...]:
    """A list of plain numbers, ranges and steps, sorted."""
    return tuple(sorted({value for term in text.split(",") for value in _term(expression, field, term)}))


def _term(expression: str, field: _Field, term: str) -> range:
    span, slash, step_text = term.partition("/")
    step = 1
    if slash:
        if not (step_text.isascii() and step_text.isdigit()) or int(step_text) == 0:
            raise _bad(expression, field, term, "has a step that is no number above zero")
        step = int(step_text)
    if span == "*":
        return range(field.low, field.high + 1, step)
    first_text, dash, last_text = span.partition("-")
    if dash and not (first_text and last_text):
        reason = (
            f"is no range of two numbers, and numbers below {field.low} there are none: write {field.low}-{field.high}"
        )
        raise _bad(expression, field, term, reason)
    first = _number(expression, field, first_text)
    last = _number(expression, field, last_text) if dash else first
    if field is WEEKDAY and last == 0 < first:
        last = 7
    if last < first:
        raise _bad(expression, field, term, f"runs backwards; write it as {_forwards(field, first, last, step)}")
    if slash and first == last:
        # "5/10" means 5-59/10; so does, as in cronsim, the odd "5-5/10".
        last = field.high
    return range(first, last + 1, step)


def _forwards(field: _Field, first: int, last: int, step: int) -> str:
    """What a range that runs backwards means, in words that `parse_cron` reads: over the end of the field and on."""
    size = 7 if field is WEEKDAY else field.high - field.low + 1
    ahead = (last - first) % size
    if step == 1:
        if first == field.low + size:
            return f"a range, {field.low}-{last}"
        return f"two ranges, {first}-{field.high},{field.low}-{last}"
    values = [field.low + (first - field.low + more) % size for more in range(0, ahead + 1, step)]
    return f"the numbers {','.join(map(str, values))}"


class _Days:
    """The day-of-month field, sorted by what its terms mean."""

    def __init__(self, expression: str, text: str) -> None:
        self.plain: set[int] = set()
        self.nearest: set[int] = set()
        self.from_last: set[int] = set()
        self.nearest_from_last: set[int] = set()
        self.last_weekday = False
        for term in text.split(","):
            if term == "?" == text:
                self.plain.update(range(1, 32))
            elif term == "LW":
                self.last_weekday = True
            elif term == "L":
                self.from_last.add(0)
            elif term.startswith("L-"):
                back = _number(expression, DAY, term[2:].removesuffix("W"))
                if back > 30:
                    raise _bad(expression, DAY, term, "is before the first day of every month")
                (self.nearest_from_last if term.endswith("W") else self.from_last).add(back)
            elif term.endswith("W"):
                self.nearest.add(_number(expression, DAY, term[:-1]))
            else:
                self.plain.update(_term(expression, DAY, term))


class _Weekdays:
    """The day-of-week field, sorted by what its terms mean; 7 is Sunday too."""

    def __init__(self, expression: str, text: str) -> None:
        self.plain: set[int] = set()
        self.nth: set[tuple[int, int]] = set()
        self.last_of: set[int] = set()
        for term in text.split(","):
            if term == "?" == text:
                self.plain.update(range(7))
            elif "#" in term:
                day, _, nth = term.partition("#")
                if nth not in ("1", "2", "3", "4", "5"):
                    raise _bad(expression, WEEKDAY, term, "needs a number from 1 to 5 after the #")
                self.nth.add((_number(expression, WEEKDAY, day) % 7, int(nth)))
            elif term == "L":
                raise _bad(expression, WEEKDAY, term, "needs a weekday, as in 5L or FRIL (the last Friday)")
            elif term.endswith("L"):
                self.last_of.add(_number(expression, WEEKDAY, term[:-1]) % 7)
            else:
                self.plain.update(value % 7 for value in _term(expression, WEEKDAY, term))
