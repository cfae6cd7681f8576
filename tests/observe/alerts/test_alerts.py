"""Alerts from end to end on a real server: a job that fails, one that runs long, a missed window, a dead man's switch."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from naq import FailedTimes, Job, Missed, Naq, NotRunSince, RunningLongerThan, ScheduleGone, every
from naq.clock import SystemClock
from naq.events import Event, EventType
from naq.lifecycle import ServiceManager
from naq.schedules.service import ScheduleService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from tests.observe.alerts import functions
from tests.observe.alerts.conftest import HANG, Received, Run


def application(config: dict[str, Any], **more: Any) -> Naq:
    return Naq(
        name="shop", **{**config, "drain_timeout": 5, "allow_functions": ["tests.observe.alerts.functions:*"], **more}
    )


async def test_a_schedule_that_fails_in_a_row_and_succeeds_again(config: dict[str, Any], run: Run) -> None:
    app, told = application(config), Received()
    app.schedule(every("100ms", overlap="skip"), id="nightly")(functions.export)
    app.schedule(every("100ms"), id="other")(functions.fine)
    app.alert(FailedTimes(3, schedule="n*"), to=told, name="exports")
    async with run(app) as services:
        fired = await told.until("fired", "nightly")
        assert (fired.name, fired.application, fired.schedule_id) == ("exports", "shop", "nightly")
        assert fired.func == "tests.observe.alerts.functions:export"
        assert fired.reason == "the last 3 runs failed: disk full"
        functions.broken = False
        resolved = await told.until("resolved", "nightly")
        assert resolved.since == fired.since <= resolved.at
        assert resolved.reason.startswith("job nightly/") and resolved.reason.endswith(" completed")
        functions.broken = True
        again = await told.until("fired", "nightly", 2)
        assert again.since > resolved.at
        events = await services.get_service(EventService)
        history = await events.get_event_history(types=[EventType.ALERT_FIRED, EventType.ALERT_RESOLVED])
    assert told.kinds("nightly") == ["fired", "resolved", "fired"]
    assert told.kinds("other") == []
    assert [event.type for event in history] == ["alert_fired", "alert_resolved", "alert_fired"]
    assert {event.schedule_id for event in history} == {"nightly"}
    assert history[0].details["alert"] == "exports"


async def test_jobs_of_no_schedule_count_for_their_function(config: dict[str, Any], run: Run) -> None:
    app, told = application(config), Received()
    app.alert(FailedTimes(2, func=functions.export), to=told, name="exports")
    async with run(app):
        for _ in range(2):
            await app.enqueue(functions.export)
        fired = await told.until("fired", "tests.observe.alerts.functions:export")
    assert fired.schedule_id is None


async def test_a_run_that_takes_too_long(config: dict[str, Any], run: Run) -> None:
    app, told = application(config), Received()
    app.alert(RunningLongerThan("400ms"), to=told, name="long", repeat="300ms")
    async with run(app):
        await app.enqueue(functions.fine)
        job_id = await app.enqueue(functions.patient)
        fired = await told.until("fired", job_id)
        assert fired.job_id == job_id
        assert fired.at - fired.since < timedelta(seconds=30)
        await told.until("repeated", job_id, 2)
        functions.gate.set()
        await told.until("resolved", job_id)
    assert {alert.subject for alert in told.alerts} == {job_id}
    kinds = told.kinds(job_id)
    assert (kinds[0], kinds[-1]) == ("fired", "resolved")
    assert set(kinds[1:-1]) == {"repeated"}


async def test_a_missed_window(config: dict[str, Any], run: Run) -> None:
    app, told = application(config), Received()
    app.alert(Missed(), to=told, name="missed")
    async with ServiceManager(config) as services:
        schedules = await services.get_service(ScheduleService)
        await schedules.schedule_job(Job(func=functions.fine), every("300ms"), schedule_id="late")
        await SystemClock().wait(asyncio.Event(), datetime.now(UTC) + timedelta(seconds=1.2))
        async with run(app):
            resolved = await told.until("resolved", "late")
    fired = told.alerts[0]
    assert fired.kind == "fired"
    assert fired.reason.endswith("nominal times were not run: coalesced into another fire of the same catch-up")
    assert resolved.reason.endswith("started")


async def test_a_dead_mans_switch(config: dict[str, Any], run: Run) -> None:
    """One that never ran, one that stops succeeding, one that is paused, one that runs."""
    app, told = application(config), Received()
    app.schedule(every("1d"), id="never-ran")(functions.fine)
    app.schedule(every("1d"), id="paused")(functions.fine)
    app.schedule(every("100ms"), id="runs")(functions.fine)
    app.schedule(every("100ms"), id="fails")(functions.export)
    app.alert(NotRunSince("3s"), to=told, name="silence")
    functions.broken = False
    async with run(app):
        await app.pause_schedule("paused")
        await told.until("fired", "never-ran")
        assert told.kinds("fails") == []
        functions.broken = True
        await told.until("fired", "fails")
        functions.broken = False
        await told.until("resolved", "fails")
        await app.trigger_schedule("never-ran")
        resolved = await told.until("resolved", "never-ran")
        assert "completed" in resolved.reason
        await told.until("fired", "never-ran", 2)
        await app.delete_schedule("never-ran")
        await told.until("resolved", "never-ran", 2)
    assert told.kinds("runs") == told.kinds("paused") == []


async def test_a_switch_that_goes_off_while_nobody_watches(config: dict[str, Any], run: Run) -> None:
    """After a restart the history tells of the last success, and the store of what fired before."""
    first, told = application(config), Received()
    first.schedule(every("1d"), id="daily")(functions.fine)
    first.alert(NotRunSince("1s"), to=told, name="silence")
    async with run(first):
        await first.trigger_schedule("daily")
        await told.until("fired", "daily")
    second, again = application(config), Received()
    second.schedule(every("1d"), id="daily")(functions.fine)
    second.alert(NotRunSince("1s"), to=again, name="silence")
    async with run(second):
        await second.trigger_schedule("daily")
        await again.until("resolved", "daily")
        await again.until("fired", "daily")
    assert again.kinds("daily") == ["resolved", "fired"]


async def test_a_rule_that_changed_and_one_that_is_gone(config: dict[str, Any], run: Run) -> None:
    first, told = application(config), Received()
    first.schedule(every("100ms"), id="nightly")(functions.export)
    first.alert(FailedTimes(1), to=told, name="stays")
    first.alert(FailedTimes(2), to=told, name="goes")
    async with run(first):
        await told.until("fired", "nightly", 2)
    second, again = application(config), Received()
    second.alert(FailedTimes(5), to=again, name="stays")
    async with run(second) as services:
        resolved = await again.until("resolved", "nightly")
        alerts = {record.alert.name: record for record in await second.list_alerts(everything=True)}
        events = await (await services.get_service(EventService)).get_event_history(types=["alert_resolved"])
        store = await services.get_service(KVStoreService)
        facts = [entry.key async for page in store.scan("watch.shop.*") for entry in page if entry.value is not None]
    assert resolved.reason == "the alert's rule was changed"
    assert alerts["goes"].alert.reason == "the alert is no longer declared"
    assert {event.details["alert"] for event in events} == {"stays", "goes"}
    assert facts in ([], ["watch.shop.stays"])


async def test_an_end_whose_event_was_lost_is_found_in_the_records(config: dict[str, Any], run: Run) -> None:
    """Two jobs are said to have started and never to have ended; of one the result tells that it has."""
    app, told = application(config), Received()
    app.job(functions.fine)
    app.alert(RunningLongerThan("300ms"), to=told, name="long")
    async with run(app) as services:
        done = await app.enqueue(functions.fine)
        await app.result(done, timeout=HANG)
        runs = await app.enqueue(functions.patient)
        begun = datetime.now(UTC)
        events = await services.get_service(EventService)
        events.emit([Event(type=EventType.JOB_STARTED, timestamp=begun, job_id=done, attempt=1)])
        await told.until("fired", runs)
        functions.gate.set()
        await told.until("resolved", runs)
    assert {alert.subject for alert in told.alerts} == {runs}


async def test_a_schedule_that_was_deleted_is_gone_until_it_is_created_again(config: dict[str, Any], run: Run) -> None:
    app, told = application(config), Received()
    app.alert(ScheduleGone(schedule="back*"), to=told, name="gone")
    async with run(app):
        for schedule_id in ("backup", "other"):
            await app.schedule_job(functions.fine, every("1h"), id=schedule_id)
            assert await app.delete_schedule(schedule_id, actor="ann")
        fired = await told.until("fired", "backup")
        assert fired.reason == "it was deleted by ann"
        await app.schedule_job(functions.fine, every("1h"), id="backup")
        await told.until("resolved", "backup")
    assert {alert.subject for alert in told.alerts} == {"backup"}
