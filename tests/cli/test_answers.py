"""When next, what happened the last times, and why not: what an operator reads at night, on a real server."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from naq.jobs.history import HistoryRecord, RunOutcome
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import Job
from naq.jobs.records import WorkerInfo
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.store.codec import encode
from naq.store.keys import job_id, schedule_key
from naq.store.nats.bucket import KVStoreService
from tests.cli.conftest import Command, Outcome, Start
from tests.worker.conftest import until

YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
Do = Callable[[Callable[[ServiceManager], Awaitable[Any]]], Any]


@pytest.fixture
def do(config: dict[str, Any]) -> Do:
    """Do something to the store that no command does."""

    def execute(work: Callable[[ServiceManager], Awaitable[Any]]) -> Any:
        async def inside() -> Any:
            async with ServiceManager(config) as services:
                return await work(services)

        return asyncio.run(inside())

    return execute


@pytest.fixture
def worker(do: Do) -> Callable[..., None]:
    """Say that a worker is alive."""

    def appear(name: str = "w", **more: Any) -> None:
        now = datetime.now(UTC)
        info = WorkerInfo(**{"worker_id": name, "started_at": now, "seen_at": now, "queues": ("default",), **more})

        async def put(services: ServiceManager) -> None:
            await (await services.get_service(KVStoreService)).put(f"worker.{name}", encode(info))

        do(put)

    return appear


@pytest.fixture
def past(do: Do) -> Callable[..., None]:
    """Write history."""

    def write(*records: HistoryRecord) -> None:
        async def put(services: ServiceManager) -> None:
            history = await services.get_service(HistoryService)
            history.record(records)
            await history.flush()

        do(put)

    return write


def add(naq: Command, name: str, *arguments: str) -> None:
    assert naq("schedule", "add", "shop:greet", "--id", name, *arguments).code == 0


def fields(shown: Outcome) -> list[tuple[str, str]]:
    """What the upper part of a ``show`` says, field by field."""
    assert shown.code == 0, shown.err
    lines = shown.out.split("\n\n")[0].splitlines()[1:]
    return [(line[:10].strip(), line[10:].strip()) for line in lines]


def why(shown: Outcome) -> list[str]:
    """Why not, and what to do, in their order."""
    return [value for name, value in fields(shown) if name in ("why not", "do")]


def times(shown: Outcome, heading: str = "last times") -> list[list[str]]:
    """The rows of a table, cell by cell, each cell parted by the width of the table's gap."""
    lines = shown.out.split(heading)[1].split("\n\n")[0].splitlines()[3:]
    return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in lines]


def run_of(nominal: datetime, outcome: RunOutcome, **more: Any) -> HistoryRecord:
    known: dict[str, Any] = {
        "schedule_id": "x",
        "outcome": outcome,
        "at": nominal,
        "job_id": job_id("x", nominal),
        "nominal_at": nominal,
        "fired_at": nominal,
        "started_at": nominal,
        "ended_at": nominal + timedelta(seconds=2),
    }
    return HistoryRecord(**{**known, **more})


def stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S UTC")


# --- schedules


def test_nobody_leads(naq: Command) -> None:
    add(naq, "x", "--every", "1h")
    assert why(naq("schedule", "show", "x"))[:2] == [
        "no scheduler leads: nothing fires",
        "start a scheduler (naq scheduler)",
    ]
    assert naq("schedule", "ls").out.endswith(
        "\nno scheduler leads: nothing fires. Start a scheduler (naq scheduler)\n"
    )
    assert naq("schedule", "show", "x", "--json").json["why"][0] == {
        "found": "no scheduler leads: nothing fires",
        "remedy": "start a scheduler (naq scheduler)",
    }


async def test_a_leader_that_was_killed_does_not_lead(naq: Command, start: Start) -> None:
    def ask(*arguments: str) -> Any:
        return asyncio.to_thread(naq, *arguments)

    await asyncio.to_thread(add, naq, "x", "--every", "1h")
    scheduler = await start("scheduler", "--instance-id", "first")
    assert (await ask("leader", "--json")).json["instance_id"] == "first"
    assert not any("no scheduler leads" in each for each in why(await ask("schedule", "show", "x")))
    await scheduler.kill()
    assert (await ask("leader")).out.startswith("no instance leads"), "its name is in the lease still"
    findings = {each["subject"]: each["found"] for each in (await ask("doctor", "--json")).json}
    assert findings["leader"] == "no scheduler leads: nothing fires"
    assert why(await ask("schedule", "show", "x"))[0] == "no scheduler leads: nothing fires"


def test_when_next_is_said_in_the_zone_in_utc_and_from_now_on(naq: Command) -> None:
    add(naq, "x", "--cron", "0 9 * * *", "--tz", "Asia/Tokyo")
    shown = naq("schedule", "show", "x")
    said = dict(fields(shown))["next run"]
    assert " 09:00:00 JST  (" in said
    assert " 00:00:00 UTC)  in " in said
    assert dict(fields(shown))["last run"] == "never"
    assert times(shown, "next times")[0][0].endswith(" 09:00:00 JST")


def test_the_last_times_are_times_not_attempts(naq: Command, past: Callable[..., None]) -> None:
    add(naq, "x", "--every", "1h")
    hours = [YESTERDAY + timedelta(hours=number) for number in range(12)]
    broken = {"error_type": "ValueError", "error": "no stock [left]"}
    past(
        *(run_of(hour, RunOutcome.COMPLETED) for hour in hours[:10]),
        run_of(hours[10], RunOutcome.RETRIED, **broken),
        run_of(hours[10], RunOutcome.FAILED, attempt=2, **broken),
    )
    shown = naq("schedule", "show", "x")
    rows = times(shown)
    assert len(rows) == 10
    assert rows[0] == [stamp(hours[10]), "failed", "2s", "2", "ValueError: no stock [left]"]
    assert rows[1] == [stamp(hours[9]), "completed", "2s", "1"]
    identity = job_id("x", hours[10])
    assert why(shown)[2:4] == [
        "the last run failed after 2 attempts: ValueError: no stock [left]",
        f"naq job show {identity}; after fixing the cause: naq job requeue {identity}",
    ]
    (newest, *_) = naq("schedule", "history", "x", "-n", "3", "--json").json
    assert (newest["outcome"], [each["outcome"] for each in newest["attempts"]]) == ("failed", ["retried", "failed"])
    (listed,) = naq("schedule", "ls", "--json").json
    assert listed["last_outcome"] == "failed"
    job = naq("job", "show", identity)
    assert job.code == 0, "its result is gone, its schedule's history knows of it"
    assert "it ended as failed, according to the schedule's history; its result expired" in job.out
    assert [row[0] for row in times(job, "attempts")] == ["1", "2"]


def test_a_narrow_terminal_squeezes_nothing(
    naq: Command, past: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(naq, "x", "--every", "1h")
    error = "the warehouse did not answer within thirty seconds: connection refused, tried again three times"
    both = [YESTERDAY, YESTERDAY + timedelta(hours=1)]
    past(*(run_of(nominal, RunOutcome.FAILED, error_type="OSError", error=error) for nominal in both))
    monkeypatch.setattr("naq.cli.render.UNFOLDED", 80)
    lines = naq("schedule", "history", "x").out.splitlines()
    assert lines[2].split() == ["UTC", "outcome", "took", "attempts"]
    assert lines[3] == f"{stamp(both[1])}  failed   2s    1"
    assert lines[4].startswith("    OSError: the warehouse did not answer")
    assert lines[-1].strip() == "(as above)"
    assert max(map(len, lines)) <= 80


def test_paused_resumed_and_what_the_pause_took(naq: Command) -> None:
    add(naq, "x", "--every", "1ms")
    naq("schedule", "pause", "x", "--reason", "stock-taking [north]")
    found, remedy = why(naq("schedule", "show", "x"))
    assert re.match(r"it was paused \d+s ago by cli:", found)
    assert ": stock-taking [north]; " in found
    assert found.endswith(" times passed since")
    assert remedy == "resume it: naq schedule resume x (with --catch-up for the times that were due meanwhile)"

    assert naq("schedule", "resume", "x").code == 0
    (row,) = naq("schedule", "history", "x", "--json").json
    assert (row["outcome"], row["reason"]) == ("skipped", "paused")
    assert row["count"] >= 1


@pytest.mark.parametrize(
    ("arguments", "commands", "found"),
    [
        (["--every", "1h"], [["cancel", "x"]], r"it was cancelled \d+s ago: it never fires again"),
        (["--every", "1h"], [["skip", "x", "3"]], "its next 3 times are to be skipped, on request"),
        (["--every", "1h"], [], "it has not fired yet: its first time is in the future"),
    ],
    ids=["cancelled", "skipped on request", "never fired"],
)
def test_plain_sentences(naq: Command, arguments: list[str], commands: list[list[str]], found: str) -> None:
    add(naq, "x", *arguments)
    for each in commands:
        assert naq("schedule", *each).code == 0
    assert any(re.fullmatch(found, each) for each in why(naq("schedule", "show", "x")))


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (lambda value: b"\xffrubbish", "JSON is malformed"),
        (lambda value: value.replace(b"{", b'{"v":99,', 1), "it has version 99"),
        (
            lambda value: value.replace(b"Europe/Berlin", b"Mars/Base"),
            "it cannot be planned: InvalidSchedule: timezone",
        ),
    ],
    ids=["rubbish", "newer", "unknown zone"],
)
def test_quarantined(naq: Command, do: Do, spoilt: Callable[[bytes], bytes], reason: str) -> None:
    add(naq, "x", "--cron", "0 9 * * *", "--tz", "Europe/Berlin")

    async def spoil(services: ServiceManager) -> None:
        store = await services.get_service(KVStoreService)
        entry = await store.get(schedule_key("x"))
        assert entry is not None
        assert entry.value is not None
        await store.put(entry.key, spoilt(entry.value))

    do(spoil)
    found, remedy = why(naq("schedule", "show", "x"))
    assert found.startswith(f"its record cannot be used, so it does not fire: {reason}")
    assert remedy.endswith("or remove it: naq schedule delete x")
    assert naq("schedule", "ls", "--json").json[0]["status"] == "quarantined"
    assert "x is quarantined" in naq("doctor").out


def test_an_id_that_is_written_wrong(naq: Command) -> None:
    add(naq, "daily-report", "--every", "1h")
    for command in ("show", "history"):
        said = naq("schedule", command, "dayli-report")
        assert (said.code, said.out) == (1, "")
        assert said.err == "dayli-report: there is no such schedule; did you mean 'daily-report'?\n"
    job = naq("schedule", "trigger", "daily-report").out.strip()
    said = naq("job", "show", job[:-1])
    assert said.err == f"{job[:-1]}: there is no such job, or its result is no longer kept; did you mean {job!r}?\n"
    naq("schedule", "rm", "daily-report")
    assert "did you mean" not in naq("schedule", "show", "dayli-report").err, "what was removed is not suggested"
    assert naq("schedule", "show", "zzz").err == "zzz: there is no such schedule; naq schedule ls shows all\n"


def test_a_server_that_is_not_there_is_no_schedule_that_is_not_there(command: Command) -> None:
    for words in (("schedule", "show", "x"), ("schedule", "history", "x"), ("job", "show", "x")):
        said = command("--nats-url", "nats://127.0.0.1:1", *words)
        assert (said.code, said.out) == (3, "")
        assert said.err.startswith("naq: cannot connect to NATS at nats://127.0.0.1:1")


# --- jobs that wait


def test_runs_that_wait_say_for_what(naq: Command, worker: Callable[..., None]) -> None:
    add(naq, "x", "--every", "1h", "--queue", "mail")
    job = naq("schedule", "trigger", "x").out.strip()
    assert "1 run of it waits: no worker runs" in why(naq("schedule", "show", "x"))
    worker()
    found = "no worker serves queue 'mail' (those that run serve default)"
    remedy = "start a worker: naq worker MODULE:APP --queue mail"
    shown = naq("schedule", "show", "x")
    assert why(shown)[2:4] == [f"1 run of it waits: {found}", remedy]
    (row,) = times(shown)
    assert row[1:] == ["queued", "-", "1", f"by hand; {found}"]
    assert naq("job", "show", job, "--json").json["why"] == {"found": found, "remedy": remedy}
    doctor = {each["subject"]: (each["found"], each["remedy"]) for each in naq("doctor", "--json").json}
    assert doctor["queue"] == ("1 job in 'mail', and no worker serves it", remedy)
    worker("v", queues=("mail",), running_count=1)
    assert "all 1 slots of the 1 worker of queue 'mail' are in use" in naq("job", "show", job).out
    assert naq("queue", "limit", "mail", "--rate", "0.5").code == 0
    worker("v", queues=("mail",), concurrency=9)
    assert "queue 'mail' starts 0.5 jobs a second at most, and 1 job are in it" in naq("job", "show", job).out
    assert naq("queue", "limit", "mail", "--pause").code == 0
    assert "resume it: naq queue limit mail --resume" in naq("job", "show", job).out
    assert "yes: no worker gets its jobs" in naq("queue", "show", "mail").out
    assert naq("queue", "show", "mail", "--json").json["limits"]["rate"] == 0.5, "what is not given stays"
    assert naq("queue", "limit", "mail", "--resume", "--rate", "0").code == 0
    assert naq("queue", "show", "mail", "--json").json["limits"] == {
        "max_concurrent": None,
        "rate": None,
        "paused": False,
    }
    assert naq("schedule", "trigger", "x").code == 0
    assert len(times(naq("schedule", "history", "x"))) == 2
    assert len(times(naq("schedule", "history", "x", "-n", "1"))) == 1, "what waits is counted, too"


def test_jobs_that_wait_for_jobs_and_for_their_time(naq: Command, do: Do) -> None:
    async def enqueue(services: ServiceManager) -> None:
        jobs = await services.get_service(JobService)
        await jobs.enqueue(Job(func="shop:greet", job_id="first"))
        await jobs.enqueue(Job(func="shop:greet", job_id="second", depends_on=["first"]))
        await jobs.enqueue(Job(func="shop:greet", job_id="orphan", depends_on=["nobody"]))
        await jobs.enqueue(Job(func="shop:greet", job_id="later"), delay="2h")

    do(enqueue)

    def said(name: str) -> tuple[str, str | None]:
        found = naq("job", "show", name, "--json").json["why"]
        return found["found"], found["remedy"]

    assert said("second") == (
        "it waits for first to succeed, which is queued",
        "see that job: naq job show first",
    )
    assert said("orphan") == (
        "it waits for nobody to succeed, which is unknown: it does not exist, or its result expired",
        "run nobody, or cancel this one: naq job cancel orphan",
    )
    assert said("later")[0].startswith("it starts in 1h5")
    naq("job", "cancel", "first", "--reason", "wrong month")
    assert said("first") == ("it was cancelled before it began: wrong month", None)
    assert said("second") == (
        "a job that it depends on did not end as required: DependencyNotMet: first ended as cancelled, not succeeded",
        "run that job again first, then queue it again: naq job requeue second",
    )


# --- jobs that run


@pytest.fixture
def flag(tmp_path: Path) -> Iterator[Path]:
    """Where a patient job looks whether it may end; it may, in the end."""
    file = tmp_path / "go"
    yield file
    file.touch()


async def test_it_runs_and_its_worker_is_killed(naq: Command, start: Start, flag: Path) -> None:
    def ask(*arguments: str) -> Any:
        return asyncio.to_thread(naq, *arguments)

    await ask("schedule", "add", "shop:patient", "--arg", str(flag), "--every", "1h", "--id", "x")
    doomed = await start("worker", "shop:app", "--instance-id", "doomed")
    job = (await ask("schedule", "trigger", "x")).out.strip()
    await doomed.line("patient runs")

    async def stored_as_running() -> bool:
        return bool((await ask("job", "show", job, "--json")).json["status"] == "running")

    await until(stored_as_running)
    shown = await ask("schedule", "show", "x")
    (now,) = [value for name, value in fields(shown) if name == "now"]
    assert now.startswith("it has been running for ")
    assert now.endswith(" on doomed, attempt 1 of 1")
    (row,) = times(shown)
    assert (row[1], row[-1]) == ("running", "by hand; on doomed")
    await doomed.kill()
    said = (await ask("job", "show", job, "--json")).json["why"]
    assert said["found"].startswith("its worker doomed stopped responding; it started the job ")
    assert said["found"].endswith(" ago, and no other worker serves queue 'default'")
    assert said["remedy"] == "start a worker: naq worker MODULE:APP"
    assert f"1 run of it waits: {said['found'][:30]}" in "\n".join(why(await ask("schedule", "show", "x")))


async def test_a_run_that_is_cancelled_by_hand(naq: Command, start: Start, flag: Path) -> None:
    def ask(*arguments: str) -> Any:
        return asyncio.to_thread(naq, *arguments)

    await ask("schedule", "add", "shop:patient", "--arg", str(flag), "--every", "1h", "--id", "x")
    worker = await start("worker", "shop:app")
    job = (await ask("schedule", "trigger", "x")).out.strip()
    await worker.line("patient runs")
    assert (await ask("job", "cancel", job, "--reason", "wrong month")).code == 0

    async def ended() -> bool:
        return bool((await ask("job", "show", job, "--json")).json["status"] == "cancelled")

    await until(ended)
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 0, "what it has to tell is written when it has ended"
    shown = await ask("schedule", "show", "x")
    assert why(shown)[2:4] == ["the last run was cancelled: wrong month", "run it now: naq schedule trigger x"]
    assert "it was cancelled: wrong month" in (await ask("job", "show", job)).out
