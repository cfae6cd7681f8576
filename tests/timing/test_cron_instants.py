"""Cron expressions and the wall times they mean, checked against a calendar by hand.

In 2026, 1 January is a Thursday and 1 February a Sunday; 2028 is the next leap year.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from naq.timing.triggers import Cron
from naq.timing.zones import get_zone

# expression | after | the next wall times
TABLE = """
# every field by itself
* * * * *             | 2026-01-01T00:00    | 2026-01-01T00:01, 2026-01-01T00:02
* * * * *             | 2026-01-01T00:00:59 | 2026-01-01T00:01
* * * * *             | 2026-12-31T23:59    | 2027-01-01T00:00
0 * * * *             | 2026-01-01T00:00    | 2026-01-01T01:00, 2026-01-01T02:00
59 23 * * *           | 2026-01-01T00:00    | 2026-01-01T23:59, 2026-01-02T23:59
0 9 * * *             | 2026-01-01T08:59:59 | 2026-01-01T09:00
0 9 * * *             | 2026-01-01T09:00    | 2026-01-02T09:00
0 0 15 * *            | 2026-01-15T00:00    | 2026-02-15T00:00, 2026-03-15T00:00
0 0 1 6 *             | 2026-01-01T00:00    | 2026-06-01T00:00, 2027-06-01T00:00
0 0 * * 1             | 2026-01-01T00:00    | 2026-01-05T00:00, 2026-01-12T00:00
0 0 31 * *            | 2026-01-31T00:00    | 2026-03-31T00:00, 2026-05-31T00:00, 2026-07-31T00:00
0 0 30 * *            | 2026-01-30T00:00    | 2026-03-30T00:00, 2026-04-30T00:00
0 0 29 2 *            | 2026-01-01T00:00    | 2028-02-29T00:00, 2032-02-29T00:00
0 0 29 2 *            | 2096-03-01T00:00    | 2104-02-29T00:00
0 0 29 2 *            | 2096-01-01T00:00    | 2096-02-29T00:00, 2104-02-29T00:00
0 0 31 1,3,12 *       | 2026-02-01T00:00    | 2026-03-31T00:00, 2026-12-31T00:00, 2027-01-31T00:00
# lists, ranges, steps
1,31 * * * *          | 2026-01-01T00:00    | 2026-01-01T00:01, 2026-01-01T00:31, 2026-01-01T01:01
31,1 * * * *          | 2026-01-01T00:00    | 2026-01-01T00:01, 2026-01-01T00:31
1,1,1 * * * *         | 2026-01-01T00:00    | 2026-01-01T00:01, 2026-01-01T01:01
10-12 * * * *         | 2026-01-01T00:00    | 2026-01-01T00:10, 2026-01-01T00:11, 2026-01-01T00:12, 2026-01-01T01:10
10-10 * * * *         | 2026-01-01T00:00    | 2026-01-01T00:10, 2026-01-01T01:10
*/15 * * * *          | 2026-01-01T00:00    | 2026-01-01T00:15, 2026-01-01T00:30, 2026-01-01T00:45, 2026-01-01T01:00
*/25 * * * *          | 2026-01-01T00:00    | 2026-01-01T00:25, 2026-01-01T00:50, 2026-01-01T01:00
*/90 * * * *          | 2026-01-01T00:00    | 2026-01-01T01:00, 2026-01-01T02:00
5/20 * * * *          | 2026-01-01T00:00    | 2026-01-01T00:05, 2026-01-01T00:25, 2026-01-01T00:45, 2026-01-01T01:05
10-30/10 * * * *      | 2026-01-01T00:00    | 2026-01-01T00:10, 2026-01-01T00:20, 2026-01-01T00:30, 2026-01-01T01:10
0-10/5,50 * * * *     | 2026-01-01T00:00    | 2026-01-01T00:05, 2026-01-01T00:10, 2026-01-01T00:50, 2026-01-01T01:00
5-5/20 * * * *        | 2026-01-01T00:00    | 2026-01-01T00:05, 2026-01-01T00:25, 2026-01-01T00:45
0 */6 * * *           | 2026-01-01T00:00    | 2026-01-01T06:00, 2026-01-01T12:00, 2026-01-01T18:00, 2026-01-02T00:00
0 9-17/4 * * *        | 2026-01-01T00:00    | 2026-01-01T09:00, 2026-01-01T13:00, 2026-01-01T17:00, 2026-01-02T09:00
30 8,20 * * *         | 2026-01-01T08:30    | 2026-01-01T20:30, 2026-01-02T08:30
0 0 */10 * *          | 2026-01-01T00:00    | 2026-01-11T00:00, 2026-01-21T00:00, 2026-01-31T00:00, 2026-02-01T00:00
0 0 1 */3 *           | 2026-01-01T00:00    | 2026-04-01T00:00, 2026-07-01T00:00, 2026-10-01T00:00, 2027-01-01T00:00
0 0 1 2/5 *           | 2026-01-01T00:00    | 2026-02-01T00:00, 2026-07-01T00:00, 2026-12-01T00:00, 2027-02-01T00:00
# names
0 0 1 JAN *           | 2026-01-01T00:00    | 2027-01-01T00:00
0 0 1 jun-aug *       | 2026-01-01T00:00    | 2026-06-01T00:00, 2026-07-01T00:00, 2026-08-01T00:00, 2027-06-01T00:00
0 0 1 feb,MAY,Dec *   | 2026-01-01T00:00    | 2026-02-01T00:00, 2026-05-01T00:00, 2026-12-01T00:00
0 9 * * MON-FRI       | 2026-01-02T09:00    | 2026-01-05T09:00, 2026-01-06T09:00
0 9 * * mon-fri       | 2026-01-08T10:00    | 2026-01-09T09:00, 2026-01-12T09:00
0 9 * * SAT,SUN       | 2026-01-01T00:00    | 2026-01-03T09:00, 2026-01-04T09:00, 2026-01-10T09:00
0 9 * * SAT-SUN       | 2026-01-01T00:00    | 2026-01-03T09:00, 2026-01-04T09:00, 2026-01-10T09:00
0 9 * * FRI-SUN/2     | 2026-01-01T00:00    | 2026-01-02T09:00, 2026-01-04T09:00, 2026-01-09T09:00
0 0 * * 0             | 2026-01-01T00:00    | 2026-01-04T00:00, 2026-01-11T00:00
0 0 * * 7             | 2026-01-01T00:00    | 2026-01-04T00:00, 2026-01-11T00:00
0 0 * * 5-7           | 2026-01-01T00:00    | 2026-01-02T00:00, 2026-01-03T00:00, 2026-01-04T00:00, 2026-01-09T00:00
0 0 * * */2           | 2026-01-01T00:00    | 2026-01-03T00:00, 2026-01-04T00:00, 2026-01-06T00:00, 2026-01-08T00:00
0 0 * * 1/2           | 2026-01-01T00:00    | 2026-01-02T00:00, 2026-01-04T00:00, 2026-01-05T00:00, 2026-01-07T00:00
# day of month and day of week: one is enough when both are restricted
0 0 13 * FRI          | 2026-01-01T00:00    | 2026-01-02T00:00, 2026-01-09T00:00, 2026-01-13T00:00, 2026-01-16T00:00
0 0 1,15 * 1          | 2026-01-01T00:00    | 2026-01-05T00:00, 2026-01-12T00:00, 2026-01-15T00:00, 2026-01-19T00:00
0 0 30 2 MON          | 2026-01-01T00:00    | 2026-02-02T00:00, 2026-02-09T00:00, 2026-02-16T00:00
# ... and both must match when one begins with a star
0 0 */2 * MON         | 2026-01-01T00:00    | 2026-01-05T00:00, 2026-01-19T00:00, 2026-02-09T00:00, 2026-02-23T00:00
0 0 13 * */5          | 2026-01-01T00:00    | 2026-02-13T00:00, 2026-03-13T00:00, 2026-09-13T00:00
0 0 ? * MON           | 2026-01-01T00:00    | 2026-01-05T00:00, 2026-01-12T00:00
0 0 13 * ?            | 2026-01-01T00:00    | 2026-01-13T00:00, 2026-02-13T00:00
# L: last day of the month, L-n, last weekday n
0 0 L * *             | 2026-01-01T00:00    | 2026-01-31T00:00, 2026-02-28T00:00, 2026-03-31T00:00, 2026-04-30T00:00
0 0 L 2 *             | 2027-03-01T00:00    | 2028-02-29T00:00, 2029-02-28T00:00
0 0 l * *             | 2026-01-31T00:00    | 2026-02-28T00:00
0 0 15,L * *          | 2026-02-01T00:00    | 2026-02-15T00:00, 2026-02-28T00:00, 2026-03-15T00:00
0 0 L-2 * *           | 2026-01-01T00:00    | 2026-01-29T00:00, 2026-02-26T00:00, 2026-03-29T00:00
0 0 L-30 * *          | 2026-01-01T00:00    | 2026-03-01T00:00, 2026-05-01T00:00, 2026-07-01T00:00
0 0 * * 5L            | 2026-01-01T00:00    | 2026-01-30T00:00, 2026-02-27T00:00, 2026-03-27T00:00
0 0 * * FRIL          | 2026-01-01T00:00    | 2026-01-30T00:00, 2026-02-27T00:00
0 0 * * 0L            | 2026-01-01T00:00    | 2026-01-25T00:00, 2026-02-22T00:00
0 0 * * 7L            | 2026-01-01T00:00    | 2026-01-25T00:00, 2026-02-22T00:00
0 0 * * 1,5L          | 2026-01-19T00:00    | 2026-01-26T00:00, 2026-01-30T00:00, 2026-02-02T00:00
# LW and nW: the nearest Monday to Friday within the month
0 0 LW * *            | 2026-01-01T00:00    | 2026-01-30T00:00, 2026-02-27T00:00, 2026-03-31T00:00, 2026-04-30T00:00
0 0 LW 5 *            | 2026-01-01T00:00    | 2026-05-29T00:00, 2027-05-31T00:00
0 0 15W * *           | 2026-01-01T00:00    | 2026-01-15T00:00, 2026-02-16T00:00, 2026-03-16T00:00, 2026-04-15T00:00
0 0 15W 8 *           | 2026-01-01T00:00    | 2026-08-14T00:00, 2027-08-16T00:00
0 0 1W * *            | 2026-01-02T00:00    | 2026-02-02T00:00, 2026-03-02T00:00, 2026-04-01T00:00
0 0 1W 8 *            | 2026-01-02T00:00    | 2026-08-03T00:00, 2027-08-02T00:00
0 0 31W * *           | 2026-01-01T00:00    | 2026-01-30T00:00, 2026-03-31T00:00, 2026-05-29T00:00, 2026-07-31T00:00
0 0 30W 2 MON         | 2026-01-01T00:00    | 2026-02-02T00:00
0 0 1W,15W * *        | 2026-02-01T00:00    | 2026-02-02T00:00, 2026-02-16T00:00, 2026-03-02T00:00
# #: the nth weekday of the month
0 0 * * 5#3           | 2026-01-01T00:00    | 2026-01-16T00:00, 2026-02-20T00:00, 2026-03-20T00:00
0 0 * * MON#1         | 2026-01-01T00:00    | 2026-01-05T00:00, 2026-02-02T00:00, 2026-03-02T00:00
0 0 * * MON#5         | 2026-01-01T00:00    | 2026-03-30T00:00, 2026-06-29T00:00, 2026-08-31T00:00
0 0 * 2 MON#5         | 2026-01-01T00:00    | 2044-02-29T00:00, 2072-02-29T00:00, 2112-02-29T00:00
0 0 * * 0#1           | 2026-01-01T00:00    | 2026-01-04T00:00, 2026-02-01T00:00
0 0 * * 7#1           | 2026-01-01T00:00    | 2026-01-04T00:00, 2026-02-01T00:00
0 0 * * TUE#2,TUE#4   | 2026-01-01T00:00    | 2026-01-13T00:00, 2026-01-27T00:00, 2026-02-10T00:00
0 0 1 * MON#1         | 2026-01-02T00:00    | 2026-01-05T00:00, 2026-02-01T00:00, 2026-02-02T00:00
# six fields: seconds first
* * * * * *           | 2026-01-01T00:00    | 2026-01-01T00:00:01, 2026-01-01T00:00:02
*/20 * * * * *        | 2026-01-01T00:00    | 2026-01-01T00:00:20, 2026-01-01T00:00:40, 2026-01-01T00:01
15,45 30 9 * * *      | 2026-01-01T00:00    | 2026-01-01T09:30:15, 2026-01-01T09:30:45, 2026-01-02T09:30:15
59 59 23 31 12 *      | 2026-01-01T00:00    | 2026-12-31T23:59:59, 2027-12-31T23:59:59
0 0 9 * * MON-FRI     | 2026-01-02T09:00    | 2026-01-05T09:00
0 0 0 L * ?           | 2026-01-01T00:00    | 2026-01-31T00:00, 2026-02-28T00:00
30 0 0 ? * 6L         | 2026-01-01T00:00    | 2026-01-31T00:00:30, 2026-02-28T00:00:30
# nicknames
@yearly               | 2026-01-01T00:00    | 2027-01-01T00:00
@annually             | 2026-01-01T00:00    | 2027-01-01T00:00
@monthly              | 2026-01-01T00:00    | 2026-02-01T00:00
@weekly               | 2026-01-01T00:00    | 2026-01-04T00:00
@daily                | 2026-01-01T00:00    | 2026-01-02T00:00
@midnight             | 2026-01-01T00:00    | 2026-01-02T00:00
@hourly               | 2026-01-01T00:00    | 2026-01-01T01:00
@Hourly               | 2026-01-01T00:00    | 2026-01-01T01:00
# blanks do not matter
  0   9  * * *        | 2026-01-01T00:00    | 2026-01-01T09:00
# the rims of the calendar that naq promises
0 0 1 1 *             | 1969-12-31T23:59    | 1970-01-01T00:00, 1971-01-01T00:00
0 0 29 2 *            | 1970-01-01T00:00    | 1972-02-29T00:00
0 0 1 1 *             | 2099-01-01T00:00    | 2100-01-01T00:00
0 0 28 2 *            | 2099-12-31T00:00    | 2100-02-28T00:00
0 0 L 2 *             | 2099-12-31T00:00    | 2100-02-28T00:00
"""

# The same with day_or=False: day of month and day of week must both match.
TABLE_AND = """
0 0 13 * FRI          | 2026-01-01T00:00    | 2026-02-13T00:00, 2026-03-13T00:00, 2026-11-13T00:00, 2027-08-13T00:00
0 0 1-7 * MON         | 2026-01-01T00:00    | 2026-01-05T00:00, 2026-02-02T00:00, 2026-03-02T00:00
0 0 L * FRI           | 2026-01-01T00:00    | 2026-07-31T00:00, 2027-04-30T00:00
0 0 29 2 MON          | 2026-01-01T00:00    | 2044-02-29T00:00, 2072-02-29T00:00, 2112-02-29T00:00
0 0 29 2 SUN          | 2026-01-01T00:00    | 2032-02-29T00:00, 2060-02-29T00:00, 2088-02-29T00:00, 2128-02-29T00:00
0 0 1W * 1            | 2026-01-01T00:00    | 2026-02-02T00:00, 2026-03-02T00:00, 2026-06-01T00:00
"""


def _rows(table: str, day_or: bool) -> Sequence[object]:
    rows = []
    for line in table.strip("\n").splitlines():
        if not line.startswith("#"):
            expression, after, expected = line.split("|")
            times = [datetime.fromisoformat(text.strip()) for text in expected.split(",")]
            after_time = datetime.fromisoformat(after.strip())
            name = f"{expression.strip()} after {after.strip()}" + ("" if day_or else " (both)")
            rows.append(pytest.param(expression.rstrip(), day_or, after_time, times, id=name))
    return rows


ROWS = [*_rows(TABLE, True), *_rows(TABLE_AND, False)]
ZONES = ["UTC", "Asia/Kathmandu"]
"""Zones without changes in these years, one of them with an odd offset: the table means the same there."""


@pytest.mark.parametrize(("expression", "day_or", "after", "expected"), ROWS)
def test_expression_means(expression: str, day_or: bool, after: datetime, expected: list[datetime]) -> None:
    for name in ZONES if after.year > 1990 else ["UTC"]:
        zone = get_zone(name).info
        trigger = Cron(expression, name, day_or)
        at = after.replace(tzinfo=zone).astimezone(UTC)
        for wall in expected:
            found = trigger.next_after(at)
            assert found is not None
            assert found.tzinfo is UTC
            assert found.astimezone(zone).replace(tzinfo=None) == wall
            assert trigger.previous(found + timedelta(microseconds=1)) == found
            assert trigger.count_between(at, found) == 1
            at = found


def test_a_moment_after_an_instant_is_after_it_and_a_moment_before_is_before() -> None:
    trigger = Cron("0 9 * * *")
    nine = datetime(2026, 1, 1, 9, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    assert trigger.next_after(nine - tick) == nine
    assert trigger.next_after(nine) == nine + timedelta(days=1)
    assert trigger.previous(nine + tick) == nine
    assert trigger.previous(nine) == nine - timedelta(days=1)
    assert trigger.count_between(nine - tick, nine) == 1
    assert trigger.count_between(nine, nine + tick) == 0
    assert trigger.count_between(nine, nine) == 0
    assert trigger.count_between(nine, nine - timedelta(days=9)) == 0


def test_the_input_may_be_in_any_zone() -> None:
    nine = datetime(2026, 1, 1, 10, tzinfo=ZoneInfo("Europe/Berlin"))
    assert Cron("0 9 * * *").next_after(nine - timedelta(seconds=1)) == nine
    assert Cron("0 9 * * *").next_after(nine) == datetime(2026, 1, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize("year", [2, 9990])
def test_the_ends_of_the_calendar_are_none_not_an_error(year: int) -> None:
    trigger = Cron("0 0 29 2 MON", "Pacific/Apia", day_or=False)
    at: datetime | None = datetime(year, 1, 1, tzinfo=UTC)
    for _ in range(50):
        if at is not None:
            at = trigger.previous(at) if year == 2 else trigger.next_after(at)
    assert at is None


def test_400_days_of_every_second_are_counted_exactly() -> None:
    start = datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC)
    end = start + timedelta(days=400)
    for zone in ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"):
        assert Cron("* * * * * *", zone).count_between(start, end) == 400 * 86_400
        assert Cron("* * * * *", zone).count_between(start, end) == 400 * 1440
    # 400 days from Thursday noon: 57 weeks and one day have 286 Monday-to-Friday mornings.
    assert Cron("0 9 * * MON-FRI").count_between(start, end) == 286
