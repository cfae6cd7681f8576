"""What users wrote and were told unclearly; and ``L-3W``, as Quartz reads it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from naq.exceptions import InvalidSchedule
from naq.timing.cron_fields import parse_cron
from naq.timing.triggers import Cron
from naq.timing.zones import check_zone, get_zone


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("-1 * * * *", "'-1' in the field minute is no range of two numbers"),
        ("5- * * * *", "'5-' in the field minute is no range of two numbers"),
        ("* * -3 * *", "numbers below 1 there are none"),
        ("TZ=Europe/Berlin 0 9 * * *", "the zone as timezone"),
        ("CRON_TZ=UTC 0 9 * * *", "the zone as timezone"),
        ("0 9 L-31W * *", "is before the first day of every month"),
    ],
)
def test_the_message_says_what_to_write_instead(written: str, reason: str) -> None:
    with pytest.raises(InvalidSchedule) as raised:
        parse_cron(written)
    assert reason in str(raised.value)


@pytest.mark.parametrize("name", ["localtime", "posixrules", "Factory"])
def test_a_zone_that_is_another_one_on_each_machine_is_refused(name: str) -> None:
    (problem,) = check_zone(name, "timezone")
    assert "write the zone's own name" in problem.reason
    with pytest.raises(InvalidSchedule):
        get_zone(name)


def test_the_weekday_nearest_to_the_third_day_before_the_last() -> None:
    # 2026: the third day before the last is Wednesday 28 January, Wednesday 25 February, Saturday 28 March (so Friday 27),
    # Monday 27 April, Thursday 28 May, Saturday 27 June (so Friday 26).
    trigger = Cron("0 9 L-3W * *")
    at: datetime | None = datetime(2026, 1, 1, tzinfo=UTC)
    found = []
    for _ in range(6):
        assert at is not None
        at = trigger.next_after(at)
        assert at is not None
        found.append(f"{at:%m-%d}")
    assert found == ["01-28", "02-25", "03-27", "04-27", "05-28", "06-26"]
    assert str(trigger) == "at 09:00 on the weekday nearest to the 3rd day before the last of the month, UTC"
