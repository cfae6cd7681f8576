"""Sinks: what they are told, what they show of themselves, and that a slow one keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq import Alert, FailedTimes, Job, LogSink, Naq, Webhook, every
from naq.clock import SystemClock
from naq.events import Event, EventType
from naq.exceptions import InvalidInput, SinkError
from naq.observe.alerts import sinks
from naq.observe.alerts.alert import AlertKind
from naq.observe.alerts.delivery import Delivery
from naq.observe.alerts.sinks import FunctionSink, Notice, as_sink
from naq.observe.alerts.webhook import signature
from naq.timing.backoff import Backoff
from tests.observe.alerts import functions
from tests.observe.alerts.conftest import HANG, Hook, Run
from tests.observe.alerts.conftest import Received as ReceivedAlerts

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
QUICK = Backoff(delay=timedelta(milliseconds=1))
ALERT = Alert(
    kind=AlertKind.FIRED,
    name="exports",
    application="shop",
    rule="failed 3 times",
    subject="nightly",
    since=NOW,
    at=NOW,
    reason="the last 3 runs failed",
    schedule_id="nightly",
)


class Recorder:
    """A sink that fails as often as it is told to, and waits for a gate."""

    def __init__(self, failures: int = 0, again: bool = True, tries: int = 5) -> None:
        self.tries = tries
        self.told: list[Notice] = []
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._failures = failures
        self._again = again

    async def deliver(self, told: Notice) -> None:
        self.calls += 1
        await self.gate.wait()
        if self.calls <= self._failures:
            raise SinkError("not now", again=self._again)
        self.told.append(told)

    async def close(self) -> None:
        pass


async def delivered(delivery: Delivery, *told: Notice) -> None:
    """Hand things over and wait until all are through."""
    done = asyncio.Semaphore(0)
    delivery.start()
    for each in told:
        delivery.put(each, done=done.release)
    async with asyncio.timeout(HANG):
        for _ in told:
            await done.acquire()
    await delivery.stop()


async def test_what_fails_is_tried_again() -> None:
    sink = Recorder(failures=3)
    delivery = Delivery(sink, SystemClock(), waits=QUICK)
    await delivered(delivery, ALERT)
    assert (sink.calls, sink.told, delivery.delivered, delivery.dropped) == (4, [ALERT], 1, 0)


@pytest.mark.parametrize(("again", "calls"), [(True, 3), (False, 1)])
async def test_it_is_given_up_logged_and_counted(again: bool, calls: int, caplog: pytest.LogCaptureFixture) -> None:
    sink = Recorder(failures=99, again=again, tries=3)
    delivery = Delivery(sink, SystemClock(), waits=QUICK)
    await delivered(delivery, ALERT)
    assert (sink.calls, delivery.delivered, delivery.dropped) == (calls, 0, 1)
    assert f"did not receive {ALERT.id}, given up: not now" in caplog.text


async def test_too_many_that_wait_are_given_up_the_oldest_first(caplog: pytest.LogCaptureFixture) -> None:
    sink = Recorder()
    delivery = Delivery(sink, SystemClock(), limit=3, waits=QUICK)
    events = [Event(type=EventType.JOB_FAILED, timestamp=NOW, job_id=str(number)) for number in range(5)]
    await delivered(delivery, *events)
    assert sink.told == events[2:]
    assert delivery.dropped == 2
    assert "the oldest of its 3 queued notifications is dropped" in caplog.text


async def test_a_stop_leaves_what_is_not_told() -> None:
    sink = Recorder()
    sink.gate.clear()
    delivery = Delivery(sink, SystemClock())
    delivery.start()
    delivery.put(ALERT, 7)
    delivery.put(ALERT, 8)
    await delivery.stop(0.01)
    assert delivery.floor == 7
    assert sink.told == []


async def test_functions_of_all_kinds() -> None:
    told: list[Notice] = []

    async def slowly(alert: Alert) -> None:
        told.append(alert)

    def fails(alert: Alert) -> None:
        raise ValueError("no line")

    for func in (slowly, told.append, lambda alert: slowly(alert), ReceivedAlerts().__call__):
        await FunctionSink(func).deliver(ALERT)
    assert told == [ALERT] * 3
    with pytest.raises(SinkError, match="ValueError: no line"):
        await FunctionSink(fails).deliver(ALERT)
    with pytest.raises(SinkError, match="SystemExit: 3"):
        await FunctionSink(lambda _: sys.exit(3)).deliver(ALERT)


async def test_a_function_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "PATIENCE", 0.05)
    gate = threading.Event()
    sink = FunctionSink(lambda _: gate.wait())
    with pytest.raises(SinkError, match="longer than"):
        await sink.deliver(ALERT)
    await sink.close()
    assert {thread.daemon for thread in threading.enumerate() if thread.name.startswith("naq sink")} == {True}
    gate.set()


async def test_a_webhook_posts_signed_json(hook: Hook) -> None:
    webhook = Webhook(hook.url, secret="s3cr3t", headers={"Authorization": "Bearer t0k3n"})
    await webhook.deliver(ALERT)
    event = Event(type=EventType.JOB_FAILED, timestamp=NOW, job_id="a", reason="no")
    await webhook.deliver(event)
    await webhook.close()
    (headers, body), (_, second) = hook.posts
    assert json.loads(body)["alert"] == {
        "id": ALERT.id,
        "kind": "fired",
        "name": "exports",
        "application": "shop",
        "rule": "failed 3 times",
        "subject": "nightly",
        "since": "2026-11-24T09:00:00Z",
        "at": "2026-11-24T09:00:00Z",
        "reason": "the last 3 runs failed",
        "schedule_id": "nightly",
    }
    assert json.loads(second)["event"]["type"] == "job_failed"
    wanted = hmac.new(b"s3cr3t", headers["x-naq-timestamp"].encode() + b"." + body, "sha256").hexdigest()
    assert headers["x-naq-signature"] == f"sha256={wanted}" == signature("s3cr3t", headers["x-naq-timestamp"], body)
    assert headers["x-naq-delivery"] == ALERT.id
    assert headers["authorization"] == "Bearer t0k3n"
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "again"), [(500, True), (503, True), (429, True), (400, False), (404, False), (302, False)]
)
async def test_what_a_webhook_answers(hook: Hook, status: int, again: bool) -> None:
    hook.statuses.append(status)
    webhook = Webhook(hook.url)
    with pytest.raises(SinkError, match=str(status)) as caught:
        await webhook.deliver(ALERT)
    await webhook.close()
    assert caught.value.again is again
    assert "T0P-SECRET" not in str(caught.value)


async def test_a_webhook_that_does_not_answer_in_time_or_is_not_there(hook: Hook) -> None:
    hook.gate.clear()
    webhook = Webhook(hook.url, timeout="100ms")
    with pytest.raises(SinkError, match=r"(within 0\.1 s|ReadTimeout)") as caught:
        await webhook.deliver(ALERT)
    hook.gate.set()
    await webhook.close()
    assert caught.value.again
    nobody = Webhook("http://127.0.0.1:1/hook", timeout=5)
    with pytest.raises(SinkError, match="ConnectError"):
        await nobody.deliver(ALERT)
    await nobody.close()


async def test_what_is_logged_has_no_secret(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sink = Webhook(hook.url, secret="s3cr3t", tries=2)
    hook.statuses += [503, 500]
    await delivered(Delivery(sink, SystemClock(), waits=QUICK), ALERT)
    assert "responded with 503" in caplog.text
    assert "did not receive" in caplog.text
    assert "T0P-SECRET" not in caplog.text
    assert "s3cr3t" not in caplog.text
    assert logging.getLogger("httpx").filters == []


def test_a_webhook_shows_no_secret() -> None:
    webhook = Webhook("https://user:pa55@hooks.example.org/T0P-SECRET?k=1", secret="s3cr3t", headers={"A": "t0k3n"})
    assert repr(webhook) == "Webhook('https://hooks.example.org/***')"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("hooks.example.org/T0P-SECRET", "'hooks.example.org/\\*\\*\\*': must begin with http"),
        ("ftp://example.org", "must begin with http"),
        ("https:///path", "must contain a host"),
        ("http://example.org:port/", "must be a URL"),
        ("http://example.org/a b", "must not contain spaces"),
        (7, "must be text"),
    ],
)
def test_a_bad_url_is_refused(url: Any, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint) as caught:
        Webhook(url)
    assert "SECRET" not in str(caught.value)
    assert "url = " in str(caught.value)


def test_without_the_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(InvalidInput, match=r"pip install 'naq\[webhook\]'"):
        Webhook("https://example.org")


def test_other_bad_input_is_refused(config: dict[str, Any]) -> None:
    app = Naq(**config)
    with pytest.raises(InvalidInput, match=r"secret = \*\*\*"):
        Webhook("https://example.org", secret="")
    with pytest.raises(InvalidInput, match="tries = 0"):
        Webhook("https://example.org", tries=0)
    with pytest.raises(InvalidInput, match="timeout = -1"):
        Webhook("https://example.org", timeout=-1)
    with pytest.raises(InvalidInput, match="to = 'mail': must be a function or a sink"):
        as_sink("mail")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="rule = 3: must be an alert rule"):
        app.alert(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="repeat = 0"):
        app.alert(FailedTimes(1), repeat=0)
    with pytest.raises(InvalidInput, match="name = 'a b'"):
        app.alert(FailedTimes(1), name="a b")
    app.alert(FailedTimes(1), name="twice")
    with pytest.raises(InvalidInput, match="is already the name of another alert"):
        app.alert(FailedTimes(2), name="twice")
    with pytest.raises(InvalidInput, match="types = 'job_fialed'"):
        app.sink(LogSink(), types=["job_fialed"])


async def test_an_application_with_alerts_needs_a_name(config: dict[str, Any]) -> None:
    app = Naq(**config)
    app.alert(FailedTimes(1))
    with pytest.raises(InvalidInput, match=r"Naq\(name=...\)"):
        await app.run(worker=False)


async def test_the_log_has_one_line_for_each_event(caplog: pytest.LogCaptureFixture) -> None:
    sink, as_json = LogSink(), LogSink("naq.json", as_json=True)
    with caplog.at_level(logging.DEBUG):
        event = Event(
            type=EventType.JOB_FAILED,
            timestamp=NOW,
            instance_id="w1",
            schedule_id="nightly",
            job_id="nightly/1",
            attempt=2,
            reason="disk full",
            details={"error_type": "OSError"},
        )
        await sink.deliver(event)
        await sink.deliver(Event(type=EventType.JOB_STARTED, timestamp=NOW, job_id="a"))
        await sink.deliver(ALERT)
        await as_json.deliver(event)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines[0] == (
        "ERROR",
        "job_failed instance_id=w1 schedule_id=nightly job_id=nightly/1 attempt=2 "
        'reason="disk full" error_type=OSError',
    )
    assert lines[1] == ("DEBUG", "job_started job_id=a")
    assert lines[2][0] == "ERROR"
    assert lines[2][1].startswith(f"alert_fired id={ALERT.id} name=exports application=shop")
    assert json.loads(lines[3][1])["job_id"] == "nightly/1"
    assert caplog.records[0].naq["schedule_id"] == "nightly"  # type: ignore[attr-defined]


async def test_a_webhook_that_hangs_delays_neither_schedules_nor_other_sinks(
    config: dict[str, Any], run: Run, hook: Hook
) -> None:
    hook.gate.clear()
    app, told = Naq(name="shop", **{**config, "drain_timeout": 5}), ReceivedAlerts()
    app.schedule(every("50ms"), id="nightly")(functions.export)
    app.schedule(every("50ms"), id="other")(functions.fine)
    app.alert(FailedTimes(1), to=[Webhook(hook.url), told], name="exports")
    app.alert(FailedTimes(2), to=told, name="both")
    runs: list[Event] = []
    enough = asyncio.Event()

    async def count(event: Event) -> None:
        runs.append(event)
        if len(runs) >= 20:
            enough.set()

    app.sink(count, types=[EventType.JOB_COMPLETED], schedule="other")
    async with run(app):
        await hook.until(1)
        await told.until("fired", "nightly", 2)
        functions.broken = False
        await told.until("resolved", "nightly", 2)
        async with asyncio.timeout(HANG):
            await enough.wait()
        assert len(hook.posts) == 1
        (untold,) = [record for record in await app.list_alerts(everything=True) if record.alert.name == "exports"]
        kinds = [str(alert.kind) for alert in untold.untold]
        assert kinds[:2] == ["fired", "resolved"]
        hook.gate.set()
        bodies = await hook.until(len(kinds))
    assert [body["alert"]["kind"] for body in bodies] == kinds
    assert {event.schedule_id for event in runs} == {"other"}
    assert len({event.job_id for event in runs}) == len(runs)


async def test_a_sink_of_events_goes_on_where_it_was(config: dict[str, Any], run: Run) -> None:
    """A second process tells what was emitted while none ran, and nothing twice after an orderly end."""
    seen: list[list[Event]] = []
    for round_number in range(2):
        app = Naq(name="shop", **{**config, "drain_timeout": 5})
        app.job(functions.fine)
        events: list[Event] = []
        last = asyncio.Event()

        async def take(event: Event, events: list[Event] = events, last: asyncio.Event = last) -> None:
            events.append(event)
            if event.job_id == "last":
                last.set()

        app.sink(take, types=["job_enqueued"])
        if round_number == 1:
            async with app:
                await app.enqueue_job(functions_job("between"))
        async with run(app, worker=False):
            await app.enqueue_job(functions_job("first" if round_number == 0 else "last"))
            if round_number == 1:
                async with asyncio.timeout(HANG):
                    await last.wait()
            else:
                async with asyncio.timeout(HANG):
                    while not events:  # noqa: ASYNC110  the list is what is waited for
                        await asyncio.sleep(0.01)
        seen.append(events)
        await app.close()
    assert [[event.job_id for event in events] for events in seen] == [["first"], ["between", "last"]]


async def test_workers_alone_say_that_nobody_watches(
    config: dict[str, Any], run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    app = Naq(name="shop", **{**config, "drain_timeout": 5})
    app.alert(FailedTimes(1))
    async with run(app, worker=False):
        pass
    assert "are not watched" not in caplog.text
    async with run(app, scheduler=False):
        pass
    assert "the alerts of shop are not watched" in caplog.text


async def test_a_local_sink_hears_its_own_process(config: dict[str, Any], run: Run) -> None:
    app, events = Naq(**{**config, "drain_timeout": 5, "instance_id": "me"}), []
    app.job(functions.fine)

    async def take(event: Event) -> None:
        events.append(event)

    app.sink(take, local=True)
    async with run(app, scheduler=False):
        await app.result(await app.enqueue(functions.fine), timeout=HANG)
    assert [event.type for event in events] == ["worker_started", "job_started", "job_completed", "worker_stopped"]
    assert {event.instance_id for event in events} == {"me"}


def functions_job(job_id: str) -> Job:
    return Job(func=functions.fine, job_id=job_id)
