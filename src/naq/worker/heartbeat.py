"""The sign of life of a worker and its jobs, from a thread that no job can starve.

The thread has an event loop and a connection of its own. A job that blocks the worker's event loop stops everything else in the
worker, but not this thread: the jobs are not handed out again, and the worker stays listed, with the job that blocks it named
in the log, in an event and in its record. (A native extension that keeps the interpreter lock stops this thread, too.)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping

from naq.clock import Clock
from naq.config import Settings
from naq.events import Event
from naq.exceptions import NaqError, StoreError
from naq.jobs.records import PRESENCE_TTL
from naq.store.codec import encode
from naq.store.keys import Namespace, worker_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import group_of
from naq.store.nats.outbox import Outbox
from naq.worker.claimed import PROGRESS, Claimed, Claims, Stage, encode_acks
from naq.worker.report import Report
from naq.worker.watchdog import LoopWatch, MemoryWatch

__all__ = ["Heartbeat"]

PRESENCE_EVERY = 10.0
"""Seconds between two writes of the worker's record."""
TICK = 0.5

EVENTS_LIMIT = 100
"""Events that may wait for the server."""

log = logging.getLogger(__name__)


class Heartbeat:
    """Tells the server that the worker and the jobs it holds are alive."""

    def __init__(
        self, settings: Settings, clock: Clock, claims: Claims, slots: Mapping[str, int], report: Report
    ) -> None:
        """``slots``: the function slots that this worker holds; their records are kept alive, too."""
        self.is_valid: Callable[[Claimed], bool] = lambda claimed: True
        """Whether the server still knows the delivery of a job: the bucket may have been replaced."""
        self._settings = settings
        self._clock = clock
        self._claims = claims
        self._slots = slots
        self._report = report
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._stopping = False
        self._said: object = None
        self._thread: threading.Thread | None = None
        self._loop = asyncio.get_running_loop()
        self.loop_watch = LoopWatch(settings, clock, claims, report)
        self._memory_watch = MemoryWatch(settings.memory_limit, report)

    async def start(self) -> None:
        """Return when the first sign of life was given. Raises what connecting raises."""
        started: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="naq heartbeat", daemon=True)
        self._thread.start()
        await started

    async def stop(self) -> None:
        """Remove the worker's record, and end. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping = True
        self.wake_up()
        await asyncio.to_thread(thread.join, 10.0)

    def wake_up(self) -> None:
        """Look now if the worker's record must be written. May be called from any thread."""
        if self._own_loop is not None and self._wake is not None:
            with contextlib.suppress(RuntimeError):
                self._own_loop.call_soon_threadsafe(self._wake.set)

    # --- in the thread

    def _run(self, started: asyncio.Future[None]) -> None:
        try:
            asyncio.run(self._main(started))
        except NaqError as error:
            self._set(started, error)

    def _set(self, started: asyncio.Future[None], error: NaqError | None) -> None:
        def set_it() -> None:
            if started.done():
                return
            if error is None:
                started.set_result(None)
            else:
                started.set_exception(error)

        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(set_it)

    async def _main(self, started: asyncio.Future[None]) -> None:
        self._own_loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        async with ConnectionService(self._settings) as connection:
            kv = KVStoreService(self._settings, connection, clock=self._clock)
            await self._say_alive(kv)
            self._set(started, None)
            await self._beat(connection, kv, self._wake)
            with contextlib.suppress(StoreError):
                await kv.delete(worker_key(self._settings.instance_id))

    async def _beat(self, connection: ConnectionService, kv: KVStoreService, wake: asyncio.Event) -> None:
        outbox = self._outbox(connection)
        progress_every = self._settings.ack_wait / 3
        progress_at = presence_at = self._clock.monotonic()
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(TICK, progress_every / 2)):
                    await wake.wait()
            wake.clear()
            outbox.put(self.loop_watch.look())
            self._memory_watch.look()
            now = self._clock.monotonic()
            try:
                if now - progress_at >= progress_every:
                    await self._say_progress(connection)
                    progress_at = now
                if self._said != self._news() or now - presence_at >= PRESENCE_EVERY:
                    await self._say_alive(kv)
                    await self._keep_slots(kv)
                    presence_at = now
                await outbox.flush()
            except StoreError as error:
                self._said = None
                log.debug("no heartbeat could be sent: %s", error)

    def _outbox(self, connection: ConnectionService) -> Outbox[Event]:
        subject = Namespace(self._settings.namespace).events_subject
        return Outbox(
            "events of the heartbeat", connection, self._clock, lambda group: [group_of(subject, group)], EVENTS_LIMIT
        )

    async def _say_progress(self, connection: ConnectionService) -> None:
        held = [claimed for claimed in self._claims.all() if claimed.stage is not Stage.DONE]
        replies = [claimed.reply for claimed in held if self.is_valid(claimed)]
        if replies:
            await connection.client.send(encode_acks(replies, PROGRESS))

    def _news(self) -> tuple[bool, bool, int]:
        """What the record says that must be written at once."""
        return self._claims.draining, self._report.blocked_for > 0, len(self._claims.stuck)

    async def _say_alive(self, kv: KVStoreService) -> None:
        said, info = self._news(), self._report.info()
        await kv.put(worker_key(info.worker_id), encode(info), ttl=PRESENCE_TTL)
        self._said = said

    async def _keep_slots(self, kv: KVStoreService) -> None:
        for key in list(self._slots):
            await kv.put(key, self._settings.instance_id, ttl=PRESENCE_TTL)
