"""What the fault tests are made of: `naq` processes to hurt, and a recorder that sees every fire in the stream."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from naq.exceptions import RecordUnreadable
from naq.jobs.job import Job, QueuedJob
from naq.lifecycle import ServiceManager
from naq.scheduler.lease import Lease
from naq.schedules.service import ScheduleService
from naq.store.codec import decode
from naq.store.keys import job_id
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Entry
from tests.oracle.written import Lateness

READY = 60.0
"""Seconds a process may take until it says that it is ready."""


def _as_in_a_terminal() -> None:
    """Signals as a terminal's processes have them: one that runs in the background inherits that they are ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class ProcessEnded(AssertionError):
    """A process ended before it said what was waited for."""


class Process:
    """One ``naq`` process; what it prints, and logs if that is wanted, is read line by line."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, logs: bool = True, module: str = "naq"
    ) -> None:
        """``arguments`` of ``naq``; ``environment`` on top of this process's own; ``logs``: read them too.

        ``module`` is run, if it is not ``naq`` itself.
        """
        self._logs = logs
        self._module = module
        self.arguments = arguments
        self.environment = environment
        self.lines: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._said_all = False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, until: str = "ready") -> None:
        """Start, and return when a line with ``until`` in it was printed."""
        await self.launch()
        await self.line(until)

    async def launch(self) -> None:
        """Start, and wait for nothing."""
        self._said_all = False
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            *self.arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT if self._logs else None,
            env={**os.environ, **self.environment},
            preexec_fn=_as_in_a_terminal,
        )
        self._reader = asyncio.create_task(self._read(self._process))

    async def line(self, part: str, after: int = 0) -> str:
        """The first line behind the first ``after`` ones that contains ``part``; waits for it."""
        try:
            async with asyncio.timeout(READY):
                while True:
                    for line in self.lines[after:]:
                        if part in line:
                            return line
                    if self._said_all:
                        raise ProcessEnded(self._told("ended"))
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(self._told(f"does not say {part!r}")) from None

    def _told(self, what: str) -> str:
        return "\n".join([f"naq {' '.join(self.arguments)} {what}:", *self.lines])

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        async with asyncio.timeout(READY):
            code = await self._process.wait()
            assert self._reader is not None
            await self._reader
        return code

    async def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            await self.ended()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.lines.append(line.decode().rstrip())
            self._changed.set()
        await process.wait()
        self._said_all = True
        self._changed.set()


def _lease(key: str, value: bytes) -> Lease | None:
    """The lease; ``None`` when somebody wrote rubbish there."""
    try:
        return decode(Lease, key, value)
    except RecordUnreadable:
        return None


@dataclass
class Recorder:
    """Every job that was ever enqueued, as the stream says it, though workers finish and trim them meanwhile."""

    fires: list[tuple[int, QueuedJob]] = field(default_factory=list)
    """Revision (stream sequence) and job, in the order of the stream."""
    terms: list[Lease] = field(default_factory=list)
    """Everybody who took office, as they did."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    newest_epoch: int = 0
    """Of the fires that were forgotten and lie in front of all others."""
    _newest: datetime = datetime.min.replace(tzinfo=UTC)
    """The latest nominal time so far."""
    _last: datetime = datetime.min.replace(tzinfo=UTC)
    """When the last fire was made."""

    def take(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.value is None:
                continue
            if entry.key.startswith("lease."):
                lease = _lease(entry.key, entry.value)
                if lease is not None and lease.held and lease.term not in {each.term for each in self.terms}:
                    self.terms.append(lease)
            else:
                job = decode(QueuedJob, entry.key, entry.value)
                self.fires.append((entry.revision, job))
                self._newest = max(self._newest, job.nominal_at or self._newest)
                self._last = max(self._last, job.enqueued_at)
        self.changed.set()

    @property
    def leader(self) -> str:
        """Who took office last."""
        return self.terms[-1].instance_id

    async def until(self, question: Callable[[], bool], patience: float = 120) -> None:
        """Wait until the answer is yes; it is asked after each change."""
        async with asyncio.timeout(patience):
            while not question():
                self.changed.clear()
                await self.changed.wait()

    async def until_nominal(self, instant: datetime) -> None:
        """Wait until a fire with a nominal time at or behind ``instant`` is in the stream."""
        await self.until(lambda: self._newest >= instant)

    async def until_count(self, count: int) -> None:
        """Wait until so many fires are in the stream."""
        await self.until(lambda: len(self.fires) >= count)

    async def until_fired(self, schedule_id: str) -> None:
        """Wait until a schedule has fired."""
        await self.until(lambda: any(job.schedule_id == schedule_id for _, job in self.fires))

    async def until_fire_after(self, instant: datetime) -> timedelta:
        """Wait until something was fired later than ``instant``; how much later the first one was."""
        await self.until(lambda: self._last > instant)
        return min(job.enqueued_at - instant for _, job in self.fires if job.enqueued_at > instant)

    def forget(self, until: datetime) -> None:
        """Drop the fires with nominal times up to ``until``, after they were judged."""
        known = list(self.fires)
        self.fires = [fire for fire in known if fire[1].nominal_at is None or fire[1].nominal_at > until]
        # Those in front of the first that is kept: what stands behind it in the stream says nothing about it.
        dropped = known[: known.index(self.fires[0])] if self.fires else known
        self.newest_epoch = max((job.epoch for _, job in dropped), default=self.newest_epoch)

    def lateness(self) -> Lateness | None:
        """Fired time against nominal time of all fires; ``None`` without one."""
        return Lateness.of(
            (job.enqueued_at - job.nominal_at).total_seconds() for _, job in self.fires if job.nominal_at is not None
        )

    def steady_after(self, healed_at: datetime, late: timedelta = timedelta(seconds=1)) -> timedelta:
        """How long after ``healed_at`` the last fire was made that was more than ``late`` behind its nominal time."""
        made = [
            job.enqueued_at - healed_at
            for _, job in self.fires
            if job.nominal_at is not None and job.enqueued_at > healed_at and job.enqueued_at - job.nominal_at > late
        ]
        return max(made, default=timedelta())


@dataclass(frozen=True)
class Verdict:
    """Lost, duplicate and untargeted fires, and stale leaders' writes: all zero, or a promise is broken."""

    lost: tuple[str, ...]
    duplicate: tuple[str, ...]
    untargeted: tuple[str, ...]
    stale: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicate or self.untargeted or self.stale)

    def unless_ran(self, ran: Collection[str]) -> Verdict:
        """Without the lost fires whose jobs ran: a worker may finish and trim a job while the recorder is not connected."""
        return replace(self, lost=tuple(text for text in self.lost if _job_of(text) not in ran))


def _job_of(target: str) -> str:
    """The id of the job that a target should have become."""
    name, _, nominal = target.partition(" ")
    return job_id(name, datetime.fromisoformat(nominal))


def judge(schedules: Mapping[str, tuple[datetime, timedelta]], until: datetime, recorder: Recorder) -> Verdict:
    """Match every target of every interval schedule (anchor, interval) up to ``until`` with the fires in the stream."""
    targets = {
        f"{name} {anchor + step * every}"
        for name, (anchor, every) in schedules.items()
        for step in range((until - anchor) // every + 1)
    }
    fired = Counter(
        f"{job.schedule_id} {job.nominal_at}"
        for _, job in recorder.fires
        if job.nominal_at is not None and job.nominal_at <= until
    )
    newest = recorder.newest_epoch
    stale: list[str] = []
    for _, job in recorder.fires:
        if job.epoch and job.epoch + EPOCH_SPREAD < newest:
            stale.append(job.job_id)
        newest = max(newest, job.epoch)
    return Verdict(
        lost=tuple(sorted(targets - fired.keys())),
        duplicate=tuple(sorted(name for name, times in fired.items() if times > 1)),
        untargeted=tuple(sorted(fired.keys() - targets)),
        stale=tuple(stale),
    )


EPOCH_SPREAD = 16
"""The lanes of one term have neighbouring epoch revisions: written in one transaction, so less than this apart."""


@asynccontextmanager
async def recording(config: Mapping[str, Any]) -> AsyncIterator[tuple[Recorder, ScheduleService]]:
    """A recorder on the store, and the schedules of the store."""
    async with ServiceManager(config) as services:
        store = await services.get_service(KVStoreService)
        schedules = await services.get_service(ScheduleService)
        recorder = Recorder()

        async def watch() -> None:
            async for entries in store.watch(("job.>", "lease.>")):
                recorder.take(entries)

        task = asyncio.create_task(watch())
        try:
            yield recorder, schedules
        finally:
            task.cancel()
            await asyncio.wait((task,))


async def every_second(
    schedules: ScheduleService, count: int, func: str | Job, *, seconds: int = 1, **policy: Any
) -> dict[str, tuple[datetime, timedelta]]:
    """``count`` schedules that fire once a second each, or once in so many ``seconds``, spread over that time; what `judge`
    needs to know of them."""
    every = timedelta(seconds=seconds)
    first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    made = {f"s{number}": (first + number * every / count, every) for number in range(count)}
    form = {"type": "interval", "interval": seconds, "coalesce": "all", "catch_up": None, **policy}
    job = func if isinstance(func, Job) else Job(func=func)
    await schedules.schedule_many(
        [(job, {**form, "anchor": anchor.timestamp()}, name) for name, (anchor, _) in made.items()]
    )
    return made
