"""``naq demo``: naq at work on this machine alone, with real schedules, a worker, and a live table.

Everything is the real thing: an embedded server in a temporary directory, a scheduler that leads, a worker that runs
the jobs. At the end every fire that was due is looked for, once, among the jobs that ran.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from naq.app import Naq
from naq.cli import demo_jobs
from naq.cli.processes import until_told
from naq.clock import SystemClock
from naq.events import Event, EventType
from naq.schedule import Schedule
from naq.services.base import ServiceManager
from naq.services.events import EventService
from naq.services.scheduler import SchedulerService
from naq.specification import cron, every, once
from naq.timing.duration import parse_duration

__all__ = ["demo"]

REFRESH = 0.25
TAIL = timedelta(milliseconds=500)
"""What came due so shortly before the demo paused a schedule may have been paused before it was fired."""
SETTLE = 5.0
"""Seconds that the last jobs may take to be run, once nothing more is to fire."""


@dataclass
class Watch:
    """What the demo sees, from the events that scheduler and worker emit."""

    fired: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=lambda: defaultdict(list))
    """Schedule -> (nominal time, when it was fired)."""
    run: Counter[str] = field(default_factory=Counter)
    """Job id -> how often it was completed."""
    jobs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    failed: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def on_event(self, event: Event) -> None:
        if event.type == EventType.SCHEDULED_JOB_TRIGGERED and event.schedule_id and event.nominal_at and event.job_id:
            self.fired[event.schedule_id].append((event.nominal_at, event.timestamp))
            self.jobs[event.schedule_id].add(event.job_id)
        elif event.type == EventType.JOB_COMPLETED and event.job_id:
            self.run[event.job_id] += 1
        elif event.type == EventType.JOB_FAILED:
            self.failed += 1
        self.changed.set()

    @property
    def settled(self) -> bool:
        """Whether every job that was enqueued has been run."""
        return all(self.run[job_id] for jobs in self.jobs.values() for job_id in jobs)


def demo(
    for_: Annotated[str | None, typer.Option("--for", help="End by itself after this long: 20s, 1m.")] = None,
) -> None:
    """Show naq at work: embedded server, schedules of each kind, a worker, a live table. Ctrl-C ends it.

    With --for it ends by itself, and its exit code is 0 only if every fire that was due was run exactly once.
    """
    limit = None if for_ is None else parse_duration(for_, "--for")
    with tempfile.TemporaryDirectory(prefix="naq-demo-") as directory:
        problems = asyncio.run(_demo(directory, limit))
    if problems:
        raise typer.Exit(1)


def _app(directory: str, now: datetime) -> Naq:
    app = Naq(name="demo", data_dir=directory, nats_url=(), namespace="demo", concurrency=10)
    schedules: list[tuple[str, Any, Any]] = [
        ("five-a-second", every("200ms"), demo_jobs.heartbeat),
        ("every-second", cron("* * * * * *"), demo_jobs.check_stock),
        ("weekdays-in-berlin", cron("*/5 * * * * *", tz="Europe/Berlin"), demo_jobs.send_report),
        ("in-ten-seconds", once(now + timedelta(seconds=10)), demo_jobs.remind),
        ("jittered", every("2s", jitter="500ms"), demo_jobs.poll),
        ("three-times", every("3s", max_runs=3), demo_jobs.warm_up),
        ("one-at-a-time", every("1s", overlap="skip"), demo_jobs.slow_import),
    ]
    for name, schedule, function in schedules:
        app.schedule(schedule, id=name)(function)
    return app


async def _demo(directory: str, limit: timedelta | None) -> list[str]:
    clock = SystemClock()
    app = _app(directory, clock.now())
    console, watch = Console(highlight=False), Watch()
    started: asyncio.Future[ServiceManager] = asyncio.get_running_loop().create_future()

    def ready(services: ServiceManager) -> None:
        events = services.find(EventService)
        assert events is not None
        started.set_result(services)

    with until_told() as stopped:
        runner = asyncio.create_task(_run(app, watch, stopped, ready))
        waiting: set[asyncio.Future[Any]] = {runner, started}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if runner.done():
            await runner
        scheduler = started.result().find(SchedulerService)
        assert scheduler is not None
        begin = clock.now()
        await _show(console, scheduler, watch, stopped, None if limit is None else begin + limit)
        problems = await _close(scheduler, watch)
        stopped.set()
        await runner
    fires = sum(map(len, watch.fired.values()))
    for problem in problems:
        console.print(f"[bold red]✗[/] {problem}")
    if not problems:
        console.print(f"[bold green]✓[/] {fires} fires were due, and each was run exactly once")
    return problems


async def _run(app: Naq, watch: Watch, stopped: asyncio.Event, ready: Any) -> None:
    await app.run(stop=stopped, ready=ready, listen=watch.on_event)
    await app.close()


async def _show(
    console: Console, scheduler: SchedulerService, watch: Watch, stopped: asyncio.Event, until: datetime | None
) -> None:
    clock = scheduler.clock
    live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
    lines = 0
    if live is not None:
        live.start()
    try:
        while not stopped.is_set() and (until is None or clock.now() < until):
            if live is not None:
                live.update(picture(scheduler, watch, await _records(scheduler)), refresh=True)
            elif lines % 20 == 0:
                fires = sum(map(len, watch.fired.values()))
                console.print(f"{clock.now():%H:%M:%S} fires {fires}, jobs run {watch.run.total()}, {_lateness(watch)}")
            lines += 1
            try:
                async with asyncio.timeout(REFRESH):
                    await stopped.wait()
            except TimeoutError:
                continue
    finally:
        if live is not None:
            live.update(picture(scheduler, watch, await _records(scheduler)), refresh=True)
            live.stop()


async def _records(scheduler: SchedulerService) -> list[Schedule]:
    found: list[Schedule] = []
    async for page in scheduler.schedules.pages():
        found += [record for record in page if isinstance(record, Schedule)]
    return sorted(found, key=lambda record: record.schedule_id)


def picture(scheduler: SchedulerService, watch: Watch, records: list[Schedule]) -> Panel:
    """The live table."""
    now = scheduler.clock.now()
    table = Table(expand=True, header_style="bold", box=None, padding=(0, 1))
    for heading in ("schedule", "when", "next run", "last run", "late", "runs", "status"):
        table.add_column(heading, justify="right" if heading in ("late", "runs", "next run") else "left")
    for record in records:
        fires = watch.fired.get(record.schedule_id, [])
        late = f"{(fires[-1][1] - fires[-1][0]).total_seconds() * 1000:.1f} ms" if fires else "-"
        if record.policy.jitter is not None and fires:
            late = "jitter"
        wait = "-" if record.next_run_at is None else f"{max(0.0, (record.next_run_at - now).total_seconds()):.1f} s"
        last = "-" if record.last_run_at is None else record.last_run_at.astimezone().strftime("%H:%M:%S")
        style = {"active": "green", "completed": "cyan"}.get(str(record.status), "yellow")
        runs = f"{record.runs}" + (f" (-{record.skipped})" if record.skipped else "")
        table.add_row(
            record.schedule_id, str(record.trigger), wait, last, late, runs, Text(str(record.status), style=style)
        )
    leader = scheduler.partition.elector.leader
    facts = Text.assemble(
        ("leader ", "bold"),
        leader.instance_id if leader is not None else "nobody",
        ("   fires ", "bold"),
        str(sum(map(len, watch.fired.values()))),
        ("   jobs finished ", "bold"),
        str(watch.run.total()),
        ("   ", ""),
        _lateness(watch),
    )
    return Panel(Group(table, Text(""), facts), title="naq demo", subtitle="Ctrl-C ends it", border_style="blue")


def _lateness(watch: Watch) -> str:
    late = sorted(
        (fired_at - nominal_at).total_seconds() * 1000
        for name, fires in watch.fired.items()
        if name != "jittered"
        for nominal_at, fired_at in fires
    )
    if not late:
        return "lateness -"
    return f"lateness p50 {late[len(late) // 2]:.1f} ms, p99 {late[int(len(late) * 0.99)]:.1f} ms"


async def _close(scheduler: SchedulerService, watch: Watch) -> list[str]:
    """Stop all schedules, let the last jobs end, and compare what was due with what was run."""
    records = await _records(scheduler)
    for record in records:
        await scheduler.pause_scheduled_job(record.schedule_id)
    records = await _records(scheduler)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(loop.time() + SETTLE):
            while not watch.settled:
                watch.changed.clear()
                await watch.changed.wait()
    except TimeoutError:
        pass
    return [problem for record in records for problem in _problems(record, watch)]


def _problems(record: Schedule, watch: Watch) -> list[str]:
    """Of one schedule: targets without a fire, fires without a target, fires that were not run exactly once."""
    name = record.schedule_id
    fired = Counter(nominal_at for nominal_at, _ in watch.fired.get(name, []))
    ended = record.paused_at or record.completed_at
    assert ended is not None
    targets: list[datetime] = []
    instant = record.nominals.next_after(record.created_at)
    while (
        instant is not None
        and record.nominals.due_at(instant) < ended
        and len(targets) < (record.policy.max_runs or 1_000_000)
    ):
        targets.append(instant)
        instant = record.nominals.next_after(instant)
    found = [f"{name}: {nominal_at} was fired {times} times" for nominal_at, times in fired.items() if times > 1]
    found += [f"{name}: {nominal_at} was not due, and fired" for nominal_at in fired.keys() - set(targets)]
    settled_until = ended - TAIL
    missing = [target for target in targets if target not in fired and record.nominals.due_at(target) < settled_until]
    if len(missing) > record.skipped + record.missed:
        found.append(f"{name}: {len(missing)} of {len(targets)} fires are missing, the first at {missing[0]}")
    for job_id in watch.jobs.get(name, set()):
        if watch.run[job_id] != 1:
            found.append(f"{name}: job {job_id} was run {watch.run[job_id]} times")
    return found
