"""Cron expressions as text: what is refused and with which words, and what an expression says in plain words."""

from __future__ import annotations

import pytest

from naq.exceptions import InvalidSchedule, Problem
from naq.timing.cron import Cron
from naq.timing.cron_fields import parse_cron

REFUSED = [
    ("", "has 0 fields"),
    ("0 9 * *", "has 4 fields"),
    ("0 0 9 * * ? 2030", "has seven fields"),
    ("a b c d e f g h", "has 8 fields"),
    ("60 * * * *", "'60' in the field minute is not in 0-59"),
    ("* 24 * * *", "'24' in the field hour is not in 0-23"),
    ("0 0 0 * *", "'0' in the field day of month is not in 1-31"),
    ("0 0 32 * *", "'32' in the field day of month is not in 1-31"),
    ("0 0 1 0 *", "'0' in the field month is not in 1-12"),
    ("0 0 1 13 *", "'13' in the field month is not in 1-12"),
    ("0 0 * * 8", "'8' in the field day of week is not in 0-7"),
    ("60 0 0 * * *", "'60' in the field second is not in 0-59"),
    ("-1 * * * *", "in the field minute is no range of two numbers"),
    ("1- * * * *", "in the field minute is no range of two numbers"),
    ("1,,2 * * * *", "'' in the field minute is no number"),
    ("1.5 * * * *", "'1.5' in the field minute is no number"),
    ("x * * * *", "'X' in the field minute is no number"),
    ("\u0663 * * * *", "in the field minute is no number"),
    ("MON * * * *", "'MON' in the field minute is no number"),
    ("0 0 1 MON *", "'MON' in the field month is no number or a name such as JAN"),
    ("0 0 * * JAN", "'JAN' in the field day of week is no number or a name such as SUN"),
    ("30-10 * * * *", "runs backwards; write it as two ranges, 30-59,0-10"),
    ("0 22-2 * * *", "runs backwards; write it as two ranges, 22-23,0-2"),
    ("0 0 * * FRI-MON", "runs backwards; write it as two ranges, 5-7,0-1"),
    ("0 0 * * 7-3", "runs backwards; write it as a range, 0-3"),
    ("0 22-4/3 * * *", "runs backwards; write it as the numbers 22,1,4"),
    ("0 0 * * FRI-MON/2", "runs backwards; write it as the numbers 5,0"),
    ("50-10/7 * * * *", "runs backwards; write it as the numbers 50,57,4"),
    ("0 0 1 NOV-FEB/2 *", "runs backwards; write it as the numbers 11,1"),
    ("*/0 * * * *", "has a step that is no number above zero"),
    ("*/x * * * *", "has a step that is no number above zero"),
    ("1/ * * * *", "has a step that is no number above zero"),
    ("? * * * *", "'?' in the field minute is no number"),
    ("0 0 ?,1 * *", "'?' in the field day of month is no number"),
    ("L * * * *", "'L' in the field minute is no number"),
    ("0 0 L-31 * *", "is before the first day of every month"),
    ("0 0 L-0 * *", "'0' in the field day of month is not in 1-31"),
    ("0 0 L/2 * *", "'L' in the field day of month is no number"),
    ("0 0 0W * *", "'0' in the field day of month is not in 1-31"),
    ("0 0 1-5W * *", "'1-5' in the field day of month is no number"),
    ("0 0 W * *", "'' in the field day of month is no number"),
    ("0 0 * * L", "needs a weekday, as in 5L or FRIL"),
    ("0 0 * * 5#0", "needs a number from 1 to 5 after the #"),
    ("0 0 * * 5#6", "needs a number from 1 to 5 after the #"),
    ("0 0 * * 5#", "needs a number from 1 to 5 after the #"),
    ("0 0 * * #1", "'' in the field day of week is no number"),
    ("0 0 * * MON-FRI#1", "'MON-FRI' in the field day of week is no number"),
    ("@every 5m", "for a fixed period use an interval"),
    ("@reboot", "is no nickname naq knows"),
    ("@dayly", "is no nickname naq knows"),
    ("0 0 30 2 *", "can never fire"),
    ("0 0 31 2 *", "can never fire"),
    ("0 0 31 4,6,9,11 *", "can never fire"),
    ("0 0 0 30 2 ?", "can never fire"),
    ("0 0 30W 2 *", "can never fire"),
    ("0 0 L-29 2 *", "can never fire"),
    ("0 0 30 2 */2", "can never fire"),
]


@pytest.mark.parametrize(("expression", "reason"), REFUSED)
def test_refused_with_field_value_reason_and_a_valid_example(expression: str, reason: str) -> None:
    (problem,) = Cron(expression, "Europe/Berlin").check("daily.cron")
    assert problem.field == "daily.cron"
    assert reason in problem.reason
    assert problem.value.strip("'\"")[:3].strip() == expression.strip()[:3].strip()
    example = problem.example.strip("'")
    assert Cron(example).check("cron") == []


@pytest.mark.parametrize(("index", "low", "high"), [(0, 0, 59), (1, 0, 23), (2, 1, 31), (3, 1, 12), (4, 0, 6)])
def test_the_hint_for_a_range_that_runs_backwards_means_what_the_range_says(index: int, low: int, high: int) -> None:
    for first in range(low, high + 1):
        for last in range(low + (index == 4), first):
            for step in (1, 2, 3, 7, 100):
                term = f"{first}-{last}" + (f"/{step}" if step > 1 else "")
                wheel = [*range(first, high + 1), *range(low, last + 1)]
                expected = set(wheel[::step])
                with pytest.raises(InvalidSchedule) as raised:
                    parse_cron(_with(index, term))
                hint = raised.value.problems[0].reason.split()[-1]
                fields = parse_cron(_with(index, hint))
                found = (fields.minutes, fields.hours, fields.days, fields.months, fields.weekdays)[index]
                assert set(found) == expected, f"{term}: {hint}"


def _with(index: int, term: str) -> str:
    parts = ["*"] * 5
    parts[index] = term
    return " ".join(parts)


def test_both_the_expression_and_the_zone_are_told_at_once() -> None:
    problems = Cron("99 * * * *", "Europe/Berln").check("jobs.cron")
    assert [problem.field for problem in problems] == ["jobs.cron", "jobs.timezone"]
    assert "did you mean Europe/Berlin" in problems[1].reason


def test_the_and_of_two_day_fields_that_never_meet_is_refused() -> None:
    assert Cron("0 0 31 4 MON", day_or=True).check("cron") == []
    (problem,) = Cron("0 0 31 4 MON", day_or=False).check("cron")
    assert problem.reason == "can never fire: no month has such a day"
    assert Cron("0 0 8-14 * MON#1", day_or=False).check("cron") != []


@pytest.mark.parametrize("expression", ["x * * * *", "0 0 * *"])
def test_an_unreadable_expression_raises_for_that_schedule(expression: str) -> None:
    with pytest.raises(InvalidSchedule) as raised:
        parse_cron(expression)
    assert isinstance(raised.value.problems[0], Problem)
    assert str(Cron(expression)) == f"cron {expression}, UTC"


WORDS = [
    ("0 9 * * MON-FRI", "at 09:00 on Monday to Friday"),
    ("* * * * *", "every minute"),
    ("*/5 * * * *", "every 5 minutes"),
    ("5/15 * * * *", "every 15 minutes from minute 5"),
    ("7 * * * *", "at minute 7 of every hour"),
    ("0 */2 * * *", "at minute 0 of every 2nd hour from 00:00"),
    ("30 2 1,15 * *", "at 02:30 on the 1st and 15th of the month"),
    ("0 9,17 * * *", "at 09:00 and 17:00"),
    ("0,30 9-17 * * SAT,SUN", "at minutes 0 and 30 of hours 9 to 17 on Saturday and Sunday"),
    ("0 0 13 * FRI", "at 00:00 on the 13th of the month and on Friday"),
    ("0 0 */2 * MON", "at 00:00 on every 2nd day from the 1st of the month when that is Monday"),
    ("0 0 L * *", "at 00:00 on the last day of the month"),
    ("0 0 L-3 * *", "at 00:00 on the 3rd day before the last of the month"),
    ("0 0 LW 1-3 *", "at 00:00 on the last weekday of January to March"),
    ("0 0 15W * *", "at 00:00 on the weekday nearest to the 15th of the month"),
    ("0 9 * * 5#3", "at 09:00 on the 3rd Friday of the month"),
    ("0 9 * 6 FRIL", "at 09:00 on the last Friday in June"),
    ("0 0 1 1 *", "at 00:00 on the 1st of January"),
    ("0 0 * 12 *", "at 00:00 in December"),
    ("*/10 * * * * *", "every 10 seconds"),
    ("15 30 9 * * *", "at 09:30:15"),
    ("* 30 2 * * *", "every second of minute 30 of hour 2"),
    ("@hourly", "at minute 0 of every hour"),
    ("@daily", "at 00:00"),
]


@pytest.mark.parametrize(("expression", "words"), WORDS)
def test_says_in_plain_words(expression: str, words: str) -> None:
    assert str(Cron(expression, "Europe/Berlin")) == f"{words}, Europe/Berlin"
