"""Schedulers in processes of their own, each behind a network of its own, and a recorder that sees all from the side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from naq.jobs.job import Job
from naq.schedules.forms.specification import once
from naq.schedules.service import ScheduleService
from naq.testing.server import NatsServer
from tests.faults.proxy import Proxy
from tests.faults.world import Process, ProcessEnded, Recorder, Verdict, every_second, judge, recording

__all__ = ["Fleet", "Processes", "fleet", "revive"]

TICK = "tests.faults.jobs:tick"
APP = "tests.faults.jobs:app"
GRACE = timedelta(milliseconds=50)
"""What was under way when a blow fell may still arrive; a takeover is counted from later fires."""

PATIENCE = timedelta(seconds=30)
"""How late a fire may be in a calm world before it is lost: others may be fired before it while a leader catches up."""
ONCE = timedelta(days=36500)
"""The interval of what fires once, for `judge`."""


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Processes:
    """Naq's processes that share a store, and a recorder beside them."""

    url: str
    """Where the store is, for those that have no proxy."""
    recorder: Recorder
    schedules: ScheduleService
    environment: dict[str, str]
    proxies: dict[str, Proxy] = field(default_factory=dict)
    schedulers: dict[str, Process] = field(default_factory=dict)
    workers: dict[str, Process] = field(default_factory=dict)
    targets: dict[str, tuple[datetime, timedelta]] = field(default_factory=dict)
    """What `judge` needs to know of the schedules."""

    async def start_scheduler(self, name: str, module: str = "naq") -> Process:
        """Start the scheduler of that name, behind its proxy; returns when it is ready. ``module`` as for `Process`."""
        process = Process(["scheduler"], self._own(name), module=module)
        self.schedulers[name] = process
        await process.start()
        return process

    async def start_worker(self, name: str, **environment: str) -> Process:
        """Start a worker of that name, with no proxy; returns when it is ready."""
        process = Process(["worker", APP], self._own(name) | {"NAQ_NATS_URL": self.url} | environment)
        self.workers[name] = process
        await process.start()
        return process

    async def load(self, count: int, func: str | Job = TICK, seconds: int = 1) -> None:
        """Store ``count`` schedules that fire once in so many ``seconds`` each, and return when they do."""
        self.targets |= await every_second(self.schedules, count, func, seconds=seconds)
        await self.recorder.until_nominal(now() + timedelta(seconds=2))

    async def goes_on(self, struck_at: datetime, grace: timedelta = GRACE) -> timedelta:
        """Wait until fires go on after a blow; how long that took."""
        return grace + await self.recorder.until_fire_after(struck_at + grace)

    async def sees_changes(self, name: str) -> None:
        """Store a schedule that is due in a moment, and wait until it fires: the leader hears of changes."""
        due_at = now() + timedelta(seconds=0.5)
        await self.schedules.schedule_job(Job(func=TICK), once(due_at), schedule_id=name)
        self.targets[name] = (due_at, ONCE)
        await self.recorder.until_fired(name)

    async def settled(self, but: Collection[str] = ()) -> Verdict:
        """Wait until all that is due by now is in the stream, and judge it, ``but`` for some schedules."""
        until = now() + timedelta(seconds=1)
        await self.recorder.until_nominal(until + timedelta(seconds=1))
        return await self.complete(lambda: self.judged(until, but))

    async def complete(self, judged: Callable[[], Verdict]) -> Verdict:
        """The verdict; what is still missing in it is waited for, and is lost after `PATIENCE`."""
        lost_at = now() + PATIENCE
        while (verdict := judged()).lost and now() < lost_at:  # noqa: ASYNC110 - a verdict at each change would be too dear
            await asyncio.sleep(0.2)
        return verdict

    def judged(self, until: datetime, but: Collection[str] = ()) -> Verdict:
        """What is in the stream against what was due by then."""
        fires = [(revision, job) for revision, job in self.recorder.fires if job.schedule_id not in but]
        return judge(self.targets, until, Recorder(fires, newest_epoch=self.recorder.newest_epoch))

    def forget(self, until: datetime) -> None:
        """What was due by then was judged, and is judged no more."""
        self.recorder.forget(until)
        self.targets = {
            name: (anchor + max(0, (until - anchor) // every + 1) * every, every)
            for name, (anchor, every) in self.targets.items()
        }

    @asynccontextmanager
    async def running(self, names: Sequence[str]) -> AsyncIterator[None]:
        """Start these schedulers, one after the other; at the end all processes are killed, those started since too."""
        try:
            for name in names:
                await self.start_scheduler(name)
            yield
        finally:
            for proxy in self.proxies.values():
                proxy.heal()
            await self.kill()

    async def kill(self) -> None:
        """End all processes but the server."""
        await asyncio.gather(*(process.kill() for process in (*self.schedulers.values(), *self.workers.values())))

    def _own(self, name: str) -> dict[str, str]:
        url = self.proxies[name].url if name in self.proxies else self.url
        return {**self.environment, "NAQ_NATS_URL": url, "NAQ_INSTANCE_ID": name}


@dataclass(kw_only=True)
class Fleet(Processes):
    """A server, and the processes that use it."""

    server: NatsServer


async def revive(start: Callable[[], Awaitable[object]]) -> None:
    """Start a process again and again until it is there, as a supervisor does: the server may be away."""
    while True:
        try:
            await start()
            return
        except ProcessEnded:
            await asyncio.sleep(0.5)


@asynccontextmanager
async def fleet(
    directory: Path,
    names: Sequence[str] = ("one", "two"),
    *,
    server_config: str = "",
    login: Mapping[str, str] | None = None,
    **settings: float | str,
) -> AsyncIterator[Fleet]:
    """A fleet with a server of its own; the first of its schedulers leads when it is there.

    ``settings`` are those of the processes, ``login`` that of the recorder, who looks on from the side.
    """
    environment = {f"NAQ_{name.upper()}": str(value) for name, value in settings.items()}
    async with NatsServer(directory / "nats", config=server_config) as server, AsyncExitStack() as stack:
        proxies = {name: await stack.enter_async_context(Proxy(server.port)) for name in names}
        config = {"nats_url": server.url, "connect_timeout": 10, "request_timeout": 10, **(login or {})}
        async with recording(config) as (recorder, schedules):
            made = Fleet(
                url=server.url,
                recorder=recorder,
                schedules=schedules,
                environment=environment,
                proxies=proxies,
                server=server,
            )
            async with made.running(names):
                yield made
