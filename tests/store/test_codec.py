"""Bytes that become records: what is missing is filled in, what is newer or makes no sense is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from naq.exceptions import RecordUnreadable
from naq.jobs.job import QueuedJob
from naq.scheduler.lease import Lease
from naq.schedules.policy import Policy
from naq.schedules.record import Schedule, ScheduleStatus
from naq.store.codec import decode, encode

OLDEST = b"""{"schedule_id": "s", "job": {"func": "reports:send"}, "created_at": "2026-01-01T00:00:00Z",
    "trigger": {"type": "interval", "every": "PT1H", "anchor": "2026-01-01T00:00:00Z"}}"""
"""What the first naq wrote at least: a record that a later one cannot read any more would be a schedule that is lost."""


def test_what_an_older_record_does_not_say_is_filled_in() -> None:
    schedule = decode(Schedule, "schedule.s", OLDEST)
    assert (schedule.v, schedule.status, schedule.policy) == (1, ScheduleStatus.ACTIVE, Policy())
    assert (schedule.runs, schedule.open_runs, schedule.job.queue, schedule.job.retries) == (0, (), "default", 0)
    assert decode(Schedule, "schedule.s", encode(schedule)) == schedule


def test_what_is_newer_is_refused_and_said_to_be_so() -> None:
    for value in (OLDEST.replace(b"{", b'{"v": 2, ', 1), b'{"v": 2, "shape": "unheard of"}'):
        with pytest.raises(RecordUnreadable, match="it has version 2, and this naq reads up to 1: upgrade") as caught:
            decode(Schedule, "schedule.s", value)
        assert caught.value.newer


def test_who_leads_is_read_from_the_lease_of_any_version() -> None:
    lease = decode(Lease, "lease.0", b'{"v": 7, "instance_id": "one", "term": "t", "ttl": 3, "shape": "unheard of"}')
    assert (lease.instance_id, lease.term, lease.ttl) == ("one", "t", 3)


@pytest.mark.parametrize("field", ["created_at", "next_run_at", "next_nominal_at", "last_run_at"])
def test_an_instant_without_a_zone_is_no_instant(field: str) -> None:
    with pytest.raises(RecordUnreadable, match="timezone"):
        decode(Schedule, "schedule.s", OLDEST.replace(b"}}", b'}, "%b": "2026-01-01T00:00:00"}' % field.encode()))


def test_a_queued_job_of_which_little_is_said() -> None:
    queued = decode(
        QueuedJob,
        "job.default.j",
        b'{"job_id": "j", "spec": {"func": "m:f"}, "enqueued_at": "2026-01-01T00:00:00Z", "more": 1}',
    )
    assert (queued.attempt, queued.epoch, queued.enqueued_at) == (1, 0, datetime(2026, 1, 1, tzinfo=UTC))
