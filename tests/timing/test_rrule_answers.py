"""The examples of RFC 5545 itself, and what two other libraries answered to rules made at random."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from naq.timing.triggers import RRule

NEW_YORK = "America/New_York"

# Rule, start, the first dates the RFC lists (section 3.8.5.3); all at 9:00 unless a time is told.
EXAMPLES: Sequence[tuple[str, str, str]] = [
    ("FREQ=DAILY;COUNT=10", "19970902", "0902 0903 0904 0905 0906 0907 0908 0909 0910 0911 end"),
    ("FREQ=DAILY;INTERVAL=2", "19970902", "0902 0904 0906 0908 0910 0912 0914 0916 0918 0920 0922 0924"),
    ("FREQ=DAILY;INTERVAL=10;COUNT=5", "19970902", "0902 0912 0922 1002 1012 end"),
    ("FREQ=WEEKLY;COUNT=10", "19970902", "0902 0909 0916 0923 0930 1007 1014 1021 1028 1104 end"),
    (
        "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
        "19970902",
        "0902 0904 0909 0911 0916 0918 0923 0925 0930 1002 end",
    ),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", "19970902", "0902 0904 0916 0918 0930 1002 1014 1016 end"),
    ("FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "19970905", "0905 1003 1107 1205"),
    ("FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU", "19970907", "0907 0928 1102 1130"),
    ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "19970922", "0922 1020 1117 1222"),
    ("FREQ=MONTHLY;BYMONTHDAY=-3", "19970928", "0928 1029 1128 1229"),
    ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15", "19970902", "0902 0915 1002 1015 1102 1115 1202 1215"),
    ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1", "19970930", "0930 1001 1031 1101 1130 1201 1231"),
    ("FREQ=MONTHLY;INTERVAL=2;BYDAY=TU", "19970902", "0902 0909 0916 0923 0930 1104 1111 1118 1125"),
    ("FREQ=YEARLY;COUNT=10;BYMONTH=6,7", "19970610", "0610 0710 19980610 19980710"),
    ("FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3", "19970310", "0310 19990110 19990210 19990310 20010110"),
    (
        "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
        "19970101",
        "0101 0410 0719 20000101 20000409 20000718 20030101",
    ),
    ("FREQ=YEARLY;BYDAY=20MO", "19970519", "0519 19980518 19990517"),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "19970512", "0512 19980511 19990517"),
    ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "19970313", "0313 0320 0327 19980305 19980312 19980319 19980326 19990304"),
    ("FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8", "19970605", "0605 0612 0619 0626 0703 0710 0717 0724 0731 0807"),
    ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "19970902", "19980213 19980313 19981113 19990813 20001013"),
    ("FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", "19970913", "0913 1011 1108 1213 19980110 19980207"),
    (
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        "19961105",
        "19961105 20001107 20041102",
    ),
    ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "19970904", "0904 1007 1106 end"),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "19970929", "0929 1030 1127 1230 19980129 19980226 19980330"),
    ("FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T210000Z", "19970902", "0902T0900 0902T1200 0902T1500 end"),
    (
        "FREQ=MINUTELY;INTERVAL=15;COUNT=6",
        "19970902",
        "0902T0900 0902T0915 0902T0930 0902T0945 0902T1000 0902T1015 end",
    ),
    ("FREQ=MINUTELY;INTERVAL=90;COUNT=4", "19970902", "0902T0900 0902T1030 0902T1200 0902T1330 end"),
    (
        "FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40",
        "19970902",
        "0902T0900 0902T0920 0902T0940 0902T1000",
    ),
    (
        "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16",
        "19970902",
        "0902T0900 0902T0920 0902T0940 0902T1000",
    ),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "19970805", "0805 0810 0819 0824 end"),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "19970805", "0805 0817 0819 0831 end"),
    ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "20070115", "20070115 20070130 20070215 20070315 20070330 end"),
]


@pytest.mark.parametrize(("rule", "day", "expected"), EXAMPLES)
def test_the_examples_of_rfc_5545(rule: str, day: str, expected: str) -> None:
    """In New York, as there. "Every 3 hours from 9:00 AM to 5:00 PM" has its UNTIL as erratum 3883 corrects it: 21:00Z."""
    trigger = RRule(rule, datetime.strptime(f"{day}T0900", "%Y%m%dT%H%M"), NEW_YORK)  # noqa: DTZ007
    assert trigger.check("rrule") == []
    at: datetime | None = datetime(1996, 1, 1, tzinfo=UTC)
    for word in expected.split():
        assert at is not None
        at = trigger.next_after(at)
        if word == "end":
            assert at is None
            break
        assert at is not None
        date_text, _, time_text = word.partition("T")
        year = "" if len(date_text) == 8 else day[:4]
        local = at.astimezone(ZoneInfo(NEW_YORK))
        assert f"{local:%Y%m%dT%H%M}" == f"{year}{date_text}T{time_text or '0900'}"


ANSWERS = [
    line.split("|")
    for line in (Path(__file__).parent / "rrule_answers.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


def test_two_other_libraries_answered_the_same() -> None:
    assert len(ANSWERS) == 250
    for who, rule, start_text, times in ANSWERS:
        start = datetime.fromisoformat(start_text)
        expected = [datetime.fromisoformat(at).replace(tzinfo=UTC) for at in times.split()]
        trigger = RRule(rule, start)
        found: list[datetime] = []
        at = trigger.next_after(start.replace(tzinfo=UTC) - timedelta(seconds=1))
        while at is not None and len(found) < len(expected):
            found.append(at)
            at = trigger.next_after(at)
        assert found == expected, f"{rule} from {start_text}, answered by {who}"
