"""A crontab is taken over line by line, and what cannot be is reported."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from naq.schedules.crontab import read_crontab
from naq.schedules.declared_file import read_definitions
from naq.shell import run
from naq.timing.triggers import Cron

CRONTAB = r"""
# nightly things
SHELL=/bin/bash
PATH = "/usr/local/bin:/usr/bin"
MAILTO=ops@example.org
CRON_TZ=Europe/Berlin

30 2 * * *   /opt/backup.sh --full > /dev/null 2>&1
*/10 8-18 * * MON-FRI  cd /srv && python3 poll.py
@daily       /usr/sbin/logrotate /etc/logrotate.conf
@reboot      /opt/start.sh
0 9 1 * *    mail -s report boss%Dear boss,%see above, 100\% done
61 * * * *   /bin/false
0 0 30 2 *   /bin/never
@fortnightly /bin/true
5 4 * *
CRON_TZ=Mars/Base
RANDOM_DELAY=15
0 6 * * SUN  /opt/backup.sh
"""


def read() -> tuple[dict[str, Any], list[str]]:
    crontab = read_crontab(CRONTAB)
    return crontab.form["schedules"], [str(complaint) for complaint in crontab.complaints]


def test_lines_become_schedules() -> None:
    schedules, _ = read()
    assert list(schedules) == ["backup-sh", "poll-py", "logrotate", "mail", "backup-sh-2"]
    assert schedules["backup-sh"] == {
        "job": {
            "func": "naq.shell:run",
            "args": ["/opt/backup.sh --full > /dev/null 2>&1"],
            "kwargs": {"shell": "/bin/bash", "env": {"PATH": "/usr/local/bin:/usr/bin"}},
        },
        "schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"},
    }
    assert schedules["logrotate"]["schedule"] == {"cron": "@daily", "timezone": "Europe/Berlin"}
    assert schedules["backup-sh-2"]["schedule"]["jitter"] == "15m"


def test_a_percent_sign_ends_the_command_and_begins_its_input() -> None:
    schedules, _ = read()
    job = schedules["mail"]["job"]
    assert job["args"] == ["mail -s report boss"]
    assert job["kwargs"]["stdin"] == "Dear boss,\nsee above, 100% done\n"


def test_what_cannot_be_taken_over_is_reported_with_its_reason() -> None:
    _, complaints = read()
    starts = [
        ("line 5: MAILTO=ops@example.org:", "no mail is sent"),
        ("line 11: @reboot", "does not name a time"),
        ("line 13: 61 * * * *", "0-59"),
        ("line 14: 0 0 30 2 *", "can never fire"),
        ("line 15: @fortnightly", "is not known"),
        ("line 16: 5 4 * *", "has no 5 time fields and a command"),
        ("line 17: CRON_TZ=Mars/Base:", "time zone"),
    ]
    assert len(complaints) == len(starts)
    for complaint, (start, reason) in zip(complaints, starts, strict=True):
        assert complaint.startswith(start)
        assert reason in complaint


def test_the_result_is_a_declared_set() -> None:
    definitions = read_definitions(read_crontab(CRONTAB).form)
    assert definitions[0].trigger == Cron("30 2 * * *", "Europe/Berlin")
    assert len(definitions) == 5


def test_a_system_crontab_names_users() -> None:
    crontab = read_crontab("17 * * * * root run-parts /etc/cron.hourly\n@daily root\n", with_user=True, tz="Asia/Tokyo")
    (entry,) = crontab.form["schedules"].values()
    assert entry["job"]["args"] == ["run-parts /etc/cron.hourly"]
    assert entry["schedule"]["timezone"] == "Asia/Tokyo"
    assert [(complaint.line, complaint.taken) for complaint in crontab.complaints] == [(1, True), (2, False)]


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/bin/env FOO=1 /opt/x/run_all.py", "run_all-py"),
        ("sudo -u bob /opt/thing", "bob"),
        ("PATH=/bin backup", "backup"),
        ("[ -x /usr/bin/foo ] && foo", "foo"),
        ("...", "command"),
    ],
)
def test_ids_come_from_the_command(command: str, name: str) -> None:
    assert list(read_crontab(f"* * * * * {command}").form["schedules"]) == [name]


def test_the_shell_job_runs_a_command() -> None:
    assert run("read line; echo $WHO $line", env={"WHO": "me"}, stdin="too\n")["stdout"] == "me too\n"
    with pytest.raises(subprocess.CalledProcessError):
        run("exit 3")


def test_a_step_without_a_range_is_refused_as_cron_does() -> None:
    """It was taken for every 15 minutes from 5 on, which no cron makes of it."""
    found = read_crontab("5/15 * * * * /bin/true\n5-59/15 * * * * /bin/date\n")
    assert [complaint.reason for complaint in found.complaints] == [
        "5/15 is a step without a range, which cron refuses; for minutes 5-59/15 may be meant"
    ]
    assert list(found.form["schedules"]) == ["date"]
