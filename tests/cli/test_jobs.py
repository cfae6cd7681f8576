from __future__ import annotations

import asyncio
from typing import Any

import pytest

from naq.jobs.job import Job
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from tests.cli.conftest import Command, Start


@pytest.fixture
def enqueue(config: dict[str, Any]) -> Any:
    def put(func: str, job_id: str, **options: Any) -> None:
        async def work() -> None:
            async with ServiceManager(config) as services:
                jobs = await services.get_service(JobService)
                await jobs.enqueue(Job(func=func, job_id=job_id, **options))

        asyncio.run(work())

    return put


def test_nothing(naq: Command) -> None:
    assert naq("job", "ls").out == "there are no such jobs\n"
    assert naq("job", "ls", "--json").json == []
    assert naq("job", "dead", "--json").json == []
    assert naq("workers").out == "there are no workers\n"
    assert naq("workers", "--json").json == []
    for command in (("show",), ("cancel",), ("retry",)):
        result = naq("job", *command, "nobody")
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith("nobody: ")


def test_waiting_jobs(naq: Command, enqueue: Any) -> None:
    enqueue("shop:greet", "one")
    enqueue("shop:send", "two", queue="mail")
    assert {each["job_id"]: each["status"] for each in naq("job", "ls", "--json").json} == {
        "one": "queued",
        "two": "queued",
    }
    assert [each["job_id"] for each in naq("job", "ls", "--queue", "mail", "--json").json] == ["two"]
    assert "shop:greet" in naq("job", "show", "one").out
    assert naq("queue", "show", "mail", "--json").json["waiting"] == 1
    assert naq("queue", "purge", "mail", "--yes").out == "1 removed\n"
    assert naq("job", "show", "two", "--json").json["status"] == "cancelled"
    assert naq("job", "cancel", "one", "--reason", "no longer").out == "one: cancelled\n"
    assert naq("job", "cancel", "one").code == 1
    assert naq("job", "ls", "--status", "queued", "--json").json == []


async def test_jobs_that_run_and_fail(naq: Command, enqueue: Any, start: Start) -> None:
    def ask(*arguments: str) -> Any:
        return asyncio.to_thread(naq, *arguments)

    worker = await start("worker", "shop:app")
    (alive,) = (await ask("workers", "--json")).json
    assert alive["pid"] == worker.pid
    assert str(worker.pid) in (await ask("workers")).out
    await asyncio.to_thread(enqueue, "shop:greet", "good", args=["you"])
    await worker.line("hello you")
    await asyncio.to_thread(enqueue, "shop:fail", "bad")
    events = await start("events", "--since", "1h", "--type", "job_failed", until="bad")
    assert any("job_failed" in line for line in events.lines)
    assert (await ask("job", "show", "good", "--json")).json["value"] == "hello you"
    shown = (await ask("job", "show", "bad")).out
    assert "RuntimeError: no stock [left]" in shown
    (dead,) = (await ask("job", "dead", "--json")).json
    assert (dead["job_id"], dead["error_type"]) == ("bad", "RuntimeError")
    assert "bad" in (await ask("job", "dead")).out
    assert (await ask("job", "retry", "bad")).out == "bad: queued again\n"
    history = (await ask("events", "--no-follow", "--since", "1h", "--job", "good", "--json")).out
    assert {"job_enqueued", "job_completed"} <= {
        word for line in history.splitlines() for word in line.split('"') if word.startswith("job_")
    }


def test_retry_all_and_purge(naq: Command) -> None:
    assert naq("job", "retry", "--all").out == "0 queued again\n"
    assert naq("job", "purge", "--older-than", "1d").out == "0 removed\n"
    both = naq("job", "retry", "one", "--all")
    assert both.code == 2
