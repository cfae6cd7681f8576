"""``naq demo``: naq at work on this machine alone, with real schedules, a worker, and a live table.

Everything is the real thing: an embedded server in a temporary directory, a scheduler that leads, a worker that runs
the jobs. At the end every fire that was due is looked for, once, among the jobs that ran.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from naq.app.application import Naq
from naq.cli.context import FAILED
from naq.cli.demo import jobs as demo_jobs
from naq.cli.demo.check import Watch, problems
from naq.cli.demo.view import View
from naq.cli.running import run, until_stopped
from naq.clock import SystemClock
from naq.lifecycle import ServiceManager
from naq.observe.verify.service import VerifyService
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.schedules.forms.specification import Spec, cron, every, once
from naq.schedules.record import Schedule
from naq.timing.duration import parse_duration

__all__ = ["Demo", "demo"]

REFRESH = 0.125
"""Seconds between two pictures."""
SAY_EVERY = 5.0
"""Seconds between two lines where there is no terminal."""
SETTLE = 10.0
"""Seconds that the last jobs may take to be run, once nothing more is to fire."""


def demo(
    for_: Annotated[str | None, typer.Option("--for", help="End by itself after this long: 20s, 1m.")] = None,
) -> None:
    """Show naq at work: embedded server, schedules of each kind, a worker, a live table. Ctrl-C ends it.

    At the end all that was due is looked for among the jobs that ran: the exit code is 0 only if each ran exactly once.
    """
    limit = None if for_ is None else parse_duration(for_, "--for")
    with tempfile.TemporaryDirectory(prefix="naq-demo-") as directory:
        found = run(_demo(Path(directory), limit))
    if found:
        raise typer.Exit(FAILED)


async def _demo(directory: Path, limit: timedelta | None) -> list[str]:
    console = Console(highlight=False)
    console.print("starting a NATS server, a scheduler and a worker in a temporary directory ...")
    me = asyncio.current_task()
    assert me is not None
    with until_stopped(me.cancel) as stopped:  # who cannot wait for the verdict leaves no server behind either
        async with Demo(directory) as shown:
            await _show(console, shown, stopped, limit)
            console.print("pausing all schedules, and looking for all that was due ...")
            found = await shown.close()
    for problem in found:
        console.print("[bold red]✗[/]", escape(problem), soft_wrap=True)
    if not found:
        console.print(
            f"[bold green]✓[/] {shown.watch.total} fires were due, and each was run exactly once; naq verify agrees"
        )
    return found


async def _show(console: Console, shown: Demo, stopped: asyncio.Event, limit: timedelta | None) -> None:
    clock, until = SystemClock(), None if limit is None else shown.began + limit
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    interval = SAY_EVERY if live is None else REFRESH
    if live is not None:
        live.start()
    try:
        while True:
            view = await shown.view()
            if live is None:
                console.print(view.line(), soft_wrap=True, markup=False)
            else:
                live.update(view.picture(), refresh=True)
            left = interval if until is None else (until - clock.now()).total_seconds()
            if stopped.is_set() or left <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(interval, left)):
                    await stopped.wait()
    finally:
        if live is not None:
            live.stop()


class Demo:
    """An application with schedules of each kind, running in a directory until it is left."""

    def __init__(self, directory: Path) -> None:
        self.watch = Watch()
        self.began = SystemClock().now()
        self._app = application(directory, self.began)
        self._end = asyncio.Event()

    async def __aenter__(self) -> Demo:
        started: asyncio.Future[ServiceManager] = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._run(started))
        waiting: set[asyncio.Future[Any]] = {self._running, started}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            await self._running
        self.services = started.result()
        self.scheduler = await self.services.get_service(SchedulerService)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end.set()
        await self._running

    async def _run(self, started: asyncio.Future[ServiceManager]) -> None:
        try:
            await self._app.run(stop=self._end, ready=started.set_result, listen=self.watch.on_event)
        finally:
            await self._app.close()

    async def records(self) -> list[Schedule]:
        """Its schedules as they are stored, in the order of their declaration."""
        found: list[Schedule] = []
        async for page in self.scheduler.schedules.pages():
            found += [record for record in page if isinstance(record, Schedule)]
        order = list(self._app.declared)
        return sorted(found, key=lambda record: order.index(record.schedule_id))

    async def view(self) -> View:
        """How it stands."""
        leader = self.scheduler.partition.elector.leader
        name = None if leader is None else leader.instance_id
        return View(SystemClock().now(), self.began, name, await self.records(), self.watch)

    async def close(self) -> list[str]:
        """Pause all schedules, let the last jobs end, and say what is not as it should be."""
        for record in await self.records():
            await self.scheduler.pause_scheduled_job(record.schedule_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                while not self.watch.settled:
                    self.watch.changed.clear()
                    await self.watch.changed.wait()
        jobs = await self.services.get_service(JobService)
        kept = await jobs.list_jobs(status="completed", limit=self.watch.total + 1000)
        found = problems(await self.records(), self.watch, [job.job_id for job in kept])
        return found + await self._verified()

    async def _verified(self) -> list[str]:
        """What ``naq verify`` has to complain of, which goes by what is stored alone."""
        verifier = await self.services.get_service(VerifyService)
        verdict = await verifier.verify(since=self.began)
        return [f"naq verify: {each.kind}: {each.schedule_id}: {each.why}" for each in verdict.findings]


def application(directory: Path, now: datetime) -> Naq:
    """What is shown."""
    app = Naq(
        name="demo",
        data_dir=directory,
        nats_url=(),
        namespace="demo",
        instance_id="demo",
        concurrency=10,
        drain_timeout=1,
    )
    # coalesce="all": a machine that stalls for a second is late then, and misses nothing
    schedules: list[tuple[str, Spec, Callable[..., Any]]] = [
        ("heartbeat", every("200ms", coalesce="all"), demo_jobs.heartbeat),
        ("check-stock", cron("* * * * * *", coalesce="all"), demo_jobs.check_stock),
        ("poll-prices", every("2s", jitter="500ms", coalesce="all"), demo_jobs.poll_prices),
        ("import-orders", every("1s", overlap="skip", coalesce="all"), demo_jobs.import_orders),
        ("warm-up", every("3s", max_runs=3, coalesce="all"), demo_jobs.warm_up),
        ("remind-me", once(now + timedelta(seconds=10)), demo_jobs.remind),
        ("each-minute", cron("* * * * *", coalesce="all"), demo_jobs.send_report),
        ("daily-report", cron("0 9 * * MON-FRI", tz="Europe/Berlin"), demo_jobs.send_report),
        ("month-end", cron("0 18 L * *", tz="America/New_York"), demo_jobs.close_books),
    ]
    for name, schedule, function in schedules:
        app.schedule(schedule, id=name)(function)
    return app
