"""The days of a recurrence rule as one number a year: bit 0 is 1 January.

Which days of a year match depends on the weekday it begins with and on its length: 14 patterns, each built once, when
first needed. What INTERVAL leaves over is a second number, and both together one AND. So the days of ten years are ten
numbers, whatever the rule, and "does any day match at all" is asked of 14.

Days are counted from 1970-01-01, weekdays from Monday = 0. The order in which parts limit and expand is that of the table
in RFC 5545, 3.3.10: a day must pass each part that names days; BYDAY with and without numbers is a union; a number counts
within the month with MONTHLY or BYMONTH, else within the year. Weeks are those of ISO 8601 with WKST as their first day;
a week that begins in the year before belongs, day by day, to the calendar year that the day is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from naq.timing.cron_search import month_length
from naq.timing.rrule_parts import Frequency, RuleParts, Skip

__all__ = ["EPOCH_ORDINAL", "FIRST_DAY", "LAST_DAY", "RuleDays", "new_year", "year_of"]

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
FIRST_DAY = date.min.toordinal() - EPOCH_ORDINAL
LAST_DAY = date.max.toordinal() - EPOCH_ORDINAL
_BEFORE = 2
"""Days before the start that are looked at: the clocks may show an earlier day than at the start."""
_MOST_YEARS = 400
"""Years of the INTERVAL that one search looks at: the calendar repeats after so many. What is rarer never comes."""
_KEPT = 512
"""Years whose days are kept."""


def year_of(day: int) -> int:
    """The year of a day from `FIRST_DAY` to `LAST_DAY`."""
    return date.fromordinal(day + EPOCH_ORDINAL).year


def new_year(year: int) -> int:
    """The day number of 1 January; ``year`` may be one past the last."""
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400 + 1 - EPOCH_ORDINAL


def _every(step: int, length: int, size: int) -> int:
    """Runs of ``length`` bits, ``step`` apart, in at least ``size`` bits."""
    bits, width = (1 << length) - 1, step
    while width < size:
        bits |= bits << width
        width *= 2
    return bits


_WEEK = 0x7F
_WEEKLY = _every(7, 1, 400)


class _Year:
    """One pattern of a year: the weekday it begins with, its own length and those of the years around it."""

    def __init__(self, first_weekday: int, length: int, before: int, after: int) -> None:
        self.first_weekday = first_weekday
        self.length = length
        self.all = (1 << length) - 1
        self._before = before
        self._after = after
        self.months: list[tuple[int, int]] = []
        begin = 0
        for month in range(1, 13):
            days = month_length(2000 if length == 366 else 2001, month)
            self.months.append((begin, days))
            begin += days

    def weekday(self, weekday: int) -> int:
        """The days with that weekday."""
        return (_WEEKLY << ((weekday - self.first_weekday) % 7)) & self.all

    def nth(self, weekday: int, number: int, begin: int, length: int) -> int:
        """The bit of the ``number``-th such weekday of a stretch of the year; 0 when there is none."""
        first = (weekday - self.first_weekday - begin) % 7
        last = first + (length - 1 - first) // 7 * 7
        at = first + 7 * (number - 1) if number > 0 else last + 7 * (number + 1)
        return 1 << (begin + at) if 0 <= at < length else 0

    def weeks(self, numbers: tuple[int, ...], week_start: int) -> int:
        """The days in weeks with those numbers; at its rims also those in weeks of the years around it."""
        first, count = _weeks(week_start, self.first_weekday, self.length)
        _, count_before = _weeks(week_start, self.first_weekday - self._before, self._before)
        _, count_after = _weeks(week_start, self.first_weekday + self.length, self._after)
        bits = 0
        for number in numbers:
            at = first + 7 * (number - 1 if number > 0 else count + number)
            if first <= at < first + 7 * count:
                bits |= _WEEK << at if at >= 0 else _WEEK >> -at
        if first > 0 and (count_before in numbers or -1 in numbers):
            bits |= _WEEK >> (7 - first)
        if 1 in numbers or -count_after in numbers:
            bits |= _WEEK << (first + 7 * count)
        return bits & self.all


def _weeks(week_start: int, first_weekday: int, length: int) -> tuple[int, int]:
    """The day of the year with which week 1 begins (-3 to 3), and how many weeks the year has.

    A week belongs to the year in which it has four days or more.
    """
    begin = (week_start - first_weekday) % 7
    first = begin if begin <= 3 else begin - 7
    return first, (length - first + 3) // 7


class RuleDays:
    """The days that pass all parts of a rule, and its INTERVAL when its periods are days, weeks, months or years.

    ``start`` is the day the rule counts from, and the source of what it does not name.
    """

    def __init__(self, rule: RuleParts, start: int) -> None:
        at = date.fromordinal(start + EPOCH_ORDINAL)
        self._rule = rule
        self._start = start
        self._year, self._month, self._day = at.year, at.month, at.day
        self._weekday = at.weekday()
        weekly = rule.frequency == Frequency.WEEKLY
        self._week = start - (self._weekday - rule.week_start) % 7 if weekly else start
        """The first day of a period that is days or weeks long, and ``_length`` the days of the INTERVAL."""
        self._length = rule.interval * {Frequency.DAILY: 1, Frequency.WEEKLY: 7}.get(rule.frequency, 0)
        self._patterns: dict[tuple[int, int, int, int], list[int]] = {}
        self._known: dict[int, int] = {}
        self._can_match: bool | None = None
        step = rule.interval
        self._grid = 0
        if step > 1 and rule.frequency == Frequency.DAILY:
            self._grid = _every(step, 1, 366) if step < 366 else 1
        elif step > 1 and rule.frequency == Frequency.WEEKLY:
            self._grid = _every(7 * step, 7, 366) if 7 * step < 366 else _WEEK

    def can_match(self) -> bool:
        """Whether any day of any year passes the parts, whatever the INTERVAL."""
        if self._can_match is None:
            self._can_match = any(any(pattern) for pattern in self._all_patterns())
        return self._can_match

    def most_in_period(self) -> int:
        """The most days that one period can have."""
        if self._rule.frequency == Frequency.WEEKLY:
            return len(self._rule.days) or 1
        return max(bits.bit_count() for pattern in self._all_patterns() for bits in pattern)

    def has(self, day: int) -> bool:
        """Whether the rule has that day."""
        if not FIRST_DAY <= day <= LAST_DAY:
            return False
        year = year_of(day)
        return bool(self.of_year(year) >> (day - new_year(year)) & 1)

    def next(self, day: int) -> int | None:
        """The first day of the rule that is ``day`` or later; ``None`` when there is none in 400 years of the INTERVAL."""
        day = max(day, FIRST_DAY)
        if day > LAST_DAY:
            return None
        year = year_of(day)
        begin = new_year(year)
        bits = self.of_year(year) >> (day - begin) << (day - begin)
        if not bits and not self.can_match():
            return None
        for _ in range(_MOST_YEARS):
            if bits:
                return new_year(year) + (bits & -bits).bit_length() - 1
            year = self._year_from(year + 1)
            if year > 9999:
                break
            bits = self.of_year(year)
        return None

    def previous(self, day: int) -> int | None:
        """The last day of the rule that is ``day`` or earlier, not long before the day it counts from."""
        day = min(day, LAST_DAY)
        if day < max(self._start - _BEFORE, FIRST_DAY):
            return None
        year = year_of(day)
        bits = self.of_year(year) & ((2 << (day - new_year(year))) - 1)
        for _ in range(_MOST_YEARS):
            if bits:
                return new_year(year) + bits.bit_length() - 1
            year = self._year_until(year - 1)
            if year < max(self._year - 1, 1):
                break
            bits = self.of_year(year)
        return None

    def count(self, low: int, high: int, step: int = 1) -> int:
        """How many days of the rule are in [low, high); with ``step`` only each ``step``-th day is looked at."""
        low, high = max(low, FIRST_DAY), min(high, LAST_DAY + 1)
        if low >= high:
            return 0
        total = 0
        comb = _every(step, 1, 366) if step > 1 else 0
        year, last = year_of(low), year_of(high - 1)
        while year <= last:
            begin = new_year(year)
            bits = self.of_year(year)
            if high - begin < 366:
                bits &= (1 << (high - begin)) - 1
            if low > begin:
                bits = bits >> (low - begin) << (low - begin)
            if comb:
                bits &= comb << (low - begin) % step
            total += bits.bit_count()
            year = self._year_from(year + 1)
        return total

    def each(self, low: int, high: int) -> Iterator[int]:
        """The days of the rule in [low, high), in order."""
        if low >= high:
            return
        for year in range(year_of(low), year_of(high - 1) + 1):
            begin = new_year(year)
            bits = self.of_year(year) & ((1 << min(high - begin, 366)) - 1)
            if low > begin:
                bits = bits >> (low - begin) << (low - begin)
            while bits:
                lowest = bits & -bits
                yield begin + lowest.bit_length() - 1
                bits ^= lowest

    def of_week(self, begin: int) -> int:
        """The days of the week that begins on the day ``begin``, bit 0 for that day."""
        if not FIRST_DAY <= begin <= LAST_DAY - 6:
            return 0
        year = year_of(begin)
        bits = self.of_year(year) >> (begin - new_year(year))
        left = new_year(year + 1) - begin
        return (bits | self.of_year(year + 1) << left if left < 7 and year < 9999 else bits) & _WEEK

    def of_month(self, year: int, month: int) -> int:
        """The days of a MONTHLY period, bit 0 for the first of January; SKIP may reach into the next month."""
        return self._pattern(self._key(year))[month - 1]

    def of_year(self, year: int) -> int:
        """The days of a year."""
        bits = self._known.get(year)
        if bits is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            bits = self._known[year] = self._made(year)
        return bits

    def _made(self, year: int) -> int:
        rule, step = self._rule, self._rule.interval
        if rule.frequency == Frequency.YEARLY and (year - self._year) % step:
            return 0
        pattern = self._pattern(self._key(year))
        if rule.frequency == Frequency.MONTHLY:
            bits = 0
            for month in range((self._year * 12 + self._month - 1 - year * 12) % step, 12, step):
                bits |= pattern[month]
            return bits
        bits = pattern[0]
        if bits and self._grid and rule.frequency == Frequency.DAILY:
            bits &= self._grid << min((self._start - new_year(year)) % step, 366)
        elif bits and self._grid:
            offset = (self._week - new_year(year)) % (7 * step)
            into = offset - 7 * step
            bits &= (self._grid << min(offset, 366)) | (_WEEK >> -into if into > -7 else 0)
        return bits

    def _year_from(self, year: int) -> int:
        """``year``, or the first later one in which a period of the rule's INTERVAL lies."""
        step = self._rule.interval
        if step == 1 or year > 9999:
            return year
        if self._rule.frequency == Frequency.YEARLY:
            return year + (self._year - year) % step
        if self._rule.frequency == Frequency.MONTHLY:
            month = year * 12
            return (month + (self._year * 12 + self._month - 1 - month) % step) // 12
        if self._length:
            # A week may begin up to six days before the year that it reaches into.
            day = new_year(year) - (6 if self._rule.frequency == Frequency.WEEKLY else 0)
            day += (self._week - day) % self._length
            return max(year, year_of(day) if day <= LAST_DAY else 10_000)
        return year

    def _year_until(self, year: int) -> int:
        """``year``, or the last earlier one in which a period of the rule's INTERVAL lies."""
        if self._rule.frequency != Frequency.YEARLY:
            return year
        return year - (year - self._year) % self._rule.interval

    @staticmethod
    def _key(year: int) -> tuple[int, int, int, int]:
        begin, after = new_year(year), new_year(year + 1)
        return (begin + 3) % 7, after - begin, begin - new_year(year - 1), new_year(year + 2) - after

    def _all_patterns(self) -> Iterator[list[int]]:
        lengths = ((365, 365, 365), (365, 366, 365), (365, 365, 366), (366, 365, 365))
        return (self._pattern((first, *three)) for first in range(7) for three in lengths)

    def _pattern(self, key: tuple[int, int, int, int]) -> list[int]:
        """The matching days of a pattern of year: in twelve numbers for MONTHLY, else in one."""
        found = self._patterns.get(key)
        if found is None:
            year = _Year(*key)
            if self._rule.frequency == Frequency.MONTHLY:
                found = [self._days_of_months(year, (month,)) for month in range(1, 13)]
            else:
                found = [self._days_of_months(year, self._rule.months or tuple(range(1, 13)))]
            self._patterns[key] = found
        return found

    def _days_of_months(self, year: _Year, months: tuple[int, ...]) -> int:
        """The days in ``months`` that pass each part that names days."""
        rule = self._rule
        months = tuple(month for month in months if not rule.months or month in rule.months)
        takes_start = not rule.names_day and rule.frequency <= Frequency.MONTHLY
        if takes_start and rule.frequency == Frequency.YEARLY and not rule.months:
            months = (self._month,)
        bits = _or(((1 << length) - 1) << begin for begin, length in (year.months[month - 1] for month in months))
        if rule.month_days or takes_start:
            bits = self._by_month_day(year, months, rule.month_days or (self._day,))
        if rule.weeks:
            bits &= year.weeks(rule.weeks, rule.week_start)
        if rule.year_days:
            bits &= _or(1 << (day - 1 if day > 0 else year.length + day) for day in self._real_days(year))
        if rule.days:
            bits &= self._by_weekday(year, months)
        elif rule.frequency == Frequency.WEEKLY or (rule.weeks and not (rule.year_days or rule.month_days)):
            bits &= year.weekday(self._weekday)
        return bits

    def _real_days(self, year: _Year) -> list[int]:
        """BYYEARDAY without those that this year does not have."""
        return [day for day in self._rule.year_days if abs(day) <= year.length]

    def _by_month_day(self, year: _Year, months: tuple[int, ...], days: tuple[int, ...]) -> int:
        bits = 0
        for begin, length in (year.months[month - 1] for month in months):
            for day in days:
                if abs(day) <= length:
                    bits |= 1 << (begin + (day - 1 if day > 0 else length + day))
                elif day > 0 and self._rule.skip != Skip.OMIT:
                    bits |= 1 << (begin + length - (self._rule.skip == Skip.BACKWARD))
        return bits

    def _by_weekday(self, year: _Year, months: tuple[int, ...]) -> int:
        rule = self._rule
        in_months = rule.frequency == Frequency.MONTHLY or rule.months
        spans = [year.months[month - 1] for month in months] if in_months else [(0, year.length)]
        bits = 0
        for number, weekday in rule.days:
            if number:
                bits |= _or(year.nth(weekday, number, begin, length) for begin, length in spans)
            else:
                bits |= year.weekday(weekday)
        return bits


def _or(bits: Iterable[int]) -> int:
    total = 0
    for each in bits:
        total |= each
    return total
