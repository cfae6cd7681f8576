"""The scheduler that users step by hand in their tests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq import Job
from naq.exceptions import InvalidSchedule
from naq.jobs.context import JobContext
from naq.jobs.job import JobStatus, QueuedJob
from naq.testing.scheduler import ManualScheduler

calls: list[Any] = []


def note(*args: Any, **kwargs: Any) -> dict[str, Any]:
    calls.append((args, kwargs))
    return {"calls": len(calls)}


def fail() -> None:
    raise ValueError("no")


async def nap(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


def who(context: JobContext) -> str:
    return f"{context.schedule_id} {context.nominal_at} {context.attempt}"


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def nominals(jobs: list[QueuedJob]) -> list[str]:
    return [f"{job.nominal_at:%d %H:%M}" for job in jobs]


def test_a_cron_over_the_change_to_summer_time() -> None:
    with ManualScheduler("2030-03-30T00:00:00Z") as scheduler:
        scheduler.schedule(note, {"type": "cron", "cron": "30 2 * * *", "timezone": "Europe/Berlin"})
        fired = scheduler.advance("3d")
        assert nominals(fired) == ["30 01:30", "31 01:00", "01 00:30"]
        assert fired == scheduler.fired
        assert scheduler.now == datetime(2030, 4, 2, tzinfo=UTC)


def test_a_year_costs_what_is_due_in_it() -> None:
    with ManualScheduler() as scheduler:
        scheduler.schedule(note, {"type": "cron", "cron": "0 0 1 * *"})
        assert len(scheduler.advance("365d")) == 12


def test_changes_of_a_schedule() -> None:
    with ManualScheduler() as scheduler:
        name = scheduler.schedule(note, {"type": "interval", "interval": "1h"}, schedule_id="hourly")
        assert name == "hourly"
        assert len(scheduler.advance("2h")) == 2
        assert scheduler.pause(name, "a holiday")
        assert not scheduler.pause(name)
        assert scheduler.advance("5h") == []
        assert scheduler.resume(name)
        assert nominals(scheduler.advance("1h")) == ["01 08:00"]
        assert scheduler.update(name, schedule={"type": "interval", "interval": "10m"})
        assert len(scheduler.advance("1h")) == 6
        identity = scheduler.trigger(name)
        assert scheduler.fired[-1].job_id == identity
        state = scheduler.get(name)
        assert state is not None
        assert (state["runs"], state["manual_runs"], state["status"]) == (9, 1, "active")
        assert scheduler.cancel(name)
        assert scheduler.advance("1h") == []
        assert scheduler.delete(name)
        assert not scheduler.delete(name)
        assert scheduler.get(name) is None
        assert scheduler.trigger(name) is None


def test_a_schedule_is_refused_as_the_service_refuses_it() -> None:
    with ManualScheduler() as scheduler, pytest.raises(InvalidSchedule, match="cron"):
        scheduler.schedule(note, {"type": "cron", "cron": "every day"})


def test_events_and_history_are_kept() -> None:
    with ManualScheduler() as scheduler:
        scheduler.schedule(note, {"type": "interval", "interval": 60, "catch_up": 0})
        scheduler.clock.step_wall(3600)
        scheduler.settle()
        assert [record.count for record in scheduler.history] == [59]
        assert {"job_scheduled", "scheduled_job_triggered", "fire_missed"} <= {event.type for event in scheduler.events}


def test_jobs_are_run_where_they_stand() -> None:
    with ManualScheduler() as scheduler:
        scheduler.schedule(Job(func=note, args=[1], kwargs={"b": 2}), {"type": "interval", "interval": 60})
        scheduler.advance(120)
        assert len(scheduler.queued) == 2
        assert calls == []
        ran = scheduler.run_jobs()
        assert calls == [((1,), {"b": 2})] * 2
        assert [(each.status, each.value) for each in ran] == [
            (JobStatus.COMPLETED, {"calls": 1}),
            (JobStatus.COMPLETED, {"calls": 2}),
        ]
        assert scheduler.queued == []
        assert scheduler.run_jobs() == []


def test_a_job_sees_its_context() -> None:
    with ManualScheduler() as scheduler:
        scheduler.schedule(who, {"type": "interval", "interval": 60}, schedule_id="s")
        scheduler.advance(60)
        assert scheduler.run_jobs()[0].value == "s 2030-01-01 00:01:00+00:00 1"


def test_an_async_job_sleeps_on_the_schedulers_clock() -> None:
    with ManualScheduler() as scheduler:
        scheduler.schedule(Job(func=nap, args=[1800]), {"type": "once", "run_at": "2030-01-01T01:00:00Z"})
        scheduler.schedule(note, {"type": "once", "run_at": "2030-01-01T01:15:00Z"})
        scheduler.advance("1h")
        assert [ran.value for ran in scheduler.run_jobs()] == ["rested"]
        assert scheduler.now == datetime(2030, 1, 1, 1, 30, tzinfo=UTC)
        assert [job.spec.func.partition(":")[2] for job in scheduler.queued] == ["note"]


def test_a_job_that_takes_too_long_is_told() -> None:
    with ManualScheduler() as scheduler:
        scheduler.schedule(wait_for_ever, {"type": "interval", "interval": 60})
        scheduler.advance(60)
        with pytest.raises(RuntimeError, match=r"everything waits.*job "):
            scheduler.run_jobs(patience="1h")


def test_a_timeout_is_a_timeout() -> None:
    with ManualScheduler() as scheduler:
        scheduler.schedule(Job(func=nap, args=[100], timeout=5), {"type": "once", "run_at": "2030-01-01T00:01:00Z"})
        scheduler.advance(60)
        (ran,) = scheduler.run_jobs()
        assert (ran.status, ran.error_type) == (JobStatus.FAILED, "JobTimeout")
        assert scheduler.now == datetime(2030, 1, 1, 0, 1, 5, tzinfo=UTC)


def test_a_job_that_fails_is_tried_again_after_its_backoff() -> None:
    with ManualScheduler() as scheduler:
        job = Job(func=fail, retries=1, backoff="10s")
        scheduler.schedule(job, {"type": "once", "run_at": "2030-01-01T00:01:00Z"}, schedule_id="s")
        scheduler.advance(60)
        (first,) = scheduler.run_jobs()
        assert (first.status, first.error) == (JobStatus.DEFERRED, "ValueError: no")
        assert scheduler.queued == []
        scheduler.advance("15s")
        assert [job.attempt for job in scheduler.queued] == [2]
        (second,) = scheduler.run_jobs()
        assert (second.status, second.error_type, second.error) == (JobStatus.FAILED, "ValueError", "no")
        state = scheduler.get("s")
        assert state is not None
        assert state["error_count"] == 1


def test_overlap_waits_for_the_end_of_the_run() -> None:
    with ManualScheduler() as scheduler:
        scheduler.schedule(note, {"type": "interval", "interval": 60, "overlap": "skip"})
        assert len(scheduler.advance(300)) == 1
        scheduler.run_jobs()
        assert len(scheduler.advance(60)) == 1


def test_a_start_deadline_that_passed() -> None:
    with ManualScheduler() as scheduler:
        scheduler.schedule(note, {"type": "once", "run_at": "2030-01-01T00:01:00Z", "start_deadline": 30})
        scheduler.advance(120)
        assert [ran.status for ran in scheduler.run_jobs()] == [JobStatus.MISSED]
        assert calls == []


def test_a_function_can_be_stubbed_and_an_unknown_one_is_a_dead_letter() -> None:
    with ManualScheduler() as scheduler:
        scheduler.stub("reports:send", lambda to: f"sent to {to}")
        scheduler.schedule(Job(func="reports:send", args=["me"]), {"type": "interval", "interval": 60})
        scheduler.schedule("no_such_module:send", {"type": "interval", "interval": 60})
        scheduler.advance(60)
        ends = {ran.job.spec.func: (ran.status, ran.value, ran.error_type) for ran in scheduler.run_jobs()}
        assert ends == {
            "reports:send": (JobStatus.COMPLETED, "sent to me", None),
            "no_such_module:send": (JobStatus.FAILED, None, "UnknownFunction"),
        }


def test_arguments_that_do_not_fit_are_a_dead_letter() -> None:
    with ManualScheduler() as scheduler:
        scheduler.schedule(Job(func=nap, args=["long"]), {"type": "interval", "interval": 60})
        scheduler.advance(60)
        assert [ran.error_type for ran in scheduler.run_jobs()] == ["BadArguments"]


def test_advance_to_an_instant() -> None:
    with ManualScheduler(datetime(2030, 1, 1, tzinfo=UTC)) as scheduler:
        scheduler.schedule(note, {"type": "interval", "interval": timedelta(hours=1)})
        assert len(scheduler.advance_to("2030-01-01T05:30:00Z")) == 5
        with pytest.raises(ValueError, match="not an instant"):
            scheduler.advance_to("tomorrow")
        with pytest.raises(ValueError, match="not an instant"):
            ManualScheduler("tomorrow")


def test_closing_twice_does_no_harm() -> None:
    scheduler = ManualScheduler()
    scheduler.close()
    scheduler.close()


async def test_it_refuses_to_be_used_in_a_coroutine() -> None:
    with pytest.raises(RuntimeError, match="plain function"):
        ManualScheduler()
