"""The sign of life of a worker and of its jobs, from a place that no job can starve.

A thread with an event loop and a connection of its own. A job that blocks the worker's event loop stops the worker from
doing anything else, but not this thread: its jobs are not handed out again, and the worker stays listed, with the job that
blocks it named in the log, in an event and in its record. (What stops all threads of a process, such as a native extension
that never lets go of the interpreter lock, stops this one too.)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Mapping

from naq.clock import Clock
from naq.config import Settings
from naq.events import Event, EventType
from naq.exceptions import NaqError, StoreError
from naq.jobs.records import PRESENCE_TTL, WorkerInfo
from naq.store.codec import encode
from naq.store.keys import Namespace, worker_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import group_of
from naq.store.nats.outbox import Outbox
from naq.worker.claimed import PROGRESS, Held, Stage, encode_acks
from naq.worker.execution.memory import resident_bytes

__all__ = ["Heartbeat"]

PRESENCE_EVERY = 10.0
"""Seconds between two records of a worker that is alive."""
TICK = 0.5
BLOCKED_AFTER = 2.0
"""Seconds for which the event loop must answer nothing to count as blocked."""

EVENTS_LIMIT = 100
"""Events that wait for the server at most."""
MEMORY_STEP = 256 * 1024 * 1024
"""Bytes by which the process must have grown since the last report to be reported."""

log = logging.getLogger("naq.heartbeat")


class Heartbeat:
    """Tells the server that the worker and the jobs in its hand are alive."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        held: Mapping[int, Held],
        slots: Mapping[str, int],
        info: Callable[[], WorkerInfo],
        on_blocked: Callable[[float, str | None], None],
        on_memory: Callable[[int, int], None],
    ) -> None:
        """``info`` is called in the thread: it must only read. ``on_blocked(seconds, job_id)`` is called on the worker's
        loop after it was blocked, ``on_memory(bytes, grown_by)`` when the process has grown by `MEMORY_STEP`
        since the last time, or to more than ``memory_limit``."""
        self.blocked_for = 0.0
        """Seconds for which the worker's loop has been blocked by now; 0: it is not."""
        self._settings = settings
        self._clock = clock
        self._held = held
        self._slots = slots
        self._info = info
        self._on_blocked = on_blocked
        self._on_memory = on_memory
        self._memory_limit = settings.memory_limit
        self._memory = 0
        self._over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._stopping = False
        self._changed = False
        self._thread: threading.Thread | None = None
        self._loop_thread = 0
        self._answered_at = 0.0
        self._asked = False
        self._blocker: str | None = None
        self._blocked_after = min(BLOCKED_AFTER, settings.ack_wait / 2)

    async def start(self) -> None:
        """Return when the first sign of life was given. Raises what connecting raises."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._answered_at = self._clock.monotonic()
        self._memory = resident_bytes()
        started: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="naq heartbeat", daemon=True)
        self._thread.start()
        await started

    async def stop(self) -> None:
        """Withdraw the worker's record, and end. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping = True
        self._wake_up()
        await asyncio.to_thread(thread.join, 10.0)

    def changed(self) -> None:
        """What the worker says of itself is another thing now: have it written at once. May be called from any thread."""
        self._changed = True
        self._wake_up()

    def _wake_up(self) -> None:
        if self._own_loop is not None and self._wake is not None:
            with contextlib.suppress(RuntimeError):
                self._own_loop.call_soon_threadsafe(self._wake.set)

    def _run(self, started: asyncio.Future[None]) -> None:
        try:
            asyncio.run(self._main(started))
        except NaqError as error:
            self._tell(started, error)

    def _tell(self, started: asyncio.Future[None], error: NaqError | None) -> None:
        def tell() -> None:
            if started.done():
                return
            if error is None:
                started.set_result(None)
            else:
                started.set_exception(error)

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(tell)

    async def _main(self, started: asyncio.Future[None]) -> None:
        self._own_loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        async with ConnectionService(self._settings) as connection:
            kv = KVStoreService(self._settings, connection, clock=self._clock)
            await self._say_alive(kv)
            self._tell(started, None)
            await self._beat(connection, kv, self._wake)
            with contextlib.suppress(StoreError):
                await kv.delete(worker_key(self._settings.instance_id))

    async def _beat(self, connection: ConnectionService, kv: KVStoreService, wake: asyncio.Event) -> None:
        subject = Namespace(self._settings.namespace).events_subject
        outbox: Outbox[Event] = Outbox(
            "events of the heartbeat", connection, self._clock, lambda group: [group_of(subject, group)], EVENTS_LIMIT
        )
        progress_every = self._settings.ack_wait / 3
        progress_at = presence_at = self._clock.monotonic()
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(TICK, progress_every / 2)):
                    await wake.wait()
            wake.clear()
            outbox.put(self._look_at_loop())
            self._look_at_memory()
            now = self._clock.monotonic()
            try:
                if now - progress_at >= progress_every:
                    await self._say_progress(connection)
                    progress_at = now
                if self._changed or now - presence_at >= PRESENCE_EVERY:
                    self._changed = False
                    await self._say_alive(kv)
                    await self._keep_slots(kv)
                    presence_at = now
                await outbox.flush()
            except StoreError as error:
                self._changed = True
                log.debug("no heartbeat could be sent: %s", error)

    async def _say_progress(self, connection: ConnectionService) -> None:
        replies = [held.reply for held in list(self._held.values()) if held.stage is not Stage.DONE]
        if replies:
            await connection.client.send(encode_acks(replies, PROGRESS))

    async def _say_alive(self, kv: KVStoreService) -> None:
        info = self._info()
        await kv.put(worker_key(info.worker_id), encode(info), ttl=PRESENCE_TTL)

    async def _keep_slots(self, kv: KVStoreService) -> None:
        for key in list(self._slots):
            await kv.put(key, self._settings.instance_id, ttl=PRESENCE_TTL)

    # --- the worker's loop

    def _look_at_loop(self) -> list[Event]:
        """What there is to tell: that it has just been found to be blocked."""
        assert self._loop is not None
        found: list[Event] = []
        silent_for = self._clock.monotonic() - self._answered_at
        if self._asked and silent_for > self._blocked_after:
            if self.blocked_for == 0.0:
                found.append(self._report(silent_for))
                self._changed = True
            self.blocked_for = silent_for
        if not self._asked:
            self._asked = True
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._answer)
        return found

    def _look_at_memory(self) -> None:
        now = resident_bytes()
        grown_by = now - self._memory
        over = self._memory_limit is not None and now > self._memory_limit
        if grown_by > MEMORY_STEP or (over and not self._over):
            self._memory, self._over = now, over
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._on_memory, now, grown_by)

    def _answer(self) -> None:
        """On the worker's loop."""
        blocked_for, self.blocked_for = self.blocked_for, 0.0
        blocker, self._blocker = self._blocker, None
        self._asked = False
        now = self._clock.monotonic()
        if blocked_for:
            self._on_blocked(now - self._answered_at, blocker)
            self.changed()
        self._answered_at = now

    def _report(self, seconds: float) -> Event:
        task = asyncio.current_task(self._loop)
        name = task.get_name() if task is not None else ""
        self._blocker = name.removeprefix("job ") if name.startswith("job ") else None
        frame = sys._current_frames().get(self._loop_thread)
        where = "".join(traceback.format_stack(frame)[-3:]) if frame is not None else ""
        func = self._func_of(self._blocker)
        log.error(
            "%s blocks the event loop: no other job of this worker can go on. Make it a plain function (it then runs in a "
            "thread), or use executor='process'. It is here:\n%s",
            f"job {self._blocker} ({func})" if self._blocker else "something",
            where,
        )
        return Event(
            type=EventType.WORKER_BLOCKED,
            timestamp=self._clock.now(),
            instance_id=self._settings.instance_id,
            job_id=self._blocker,
            func=func,
            reason="a job blocks the event loop: no other job of this worker can go on",
            details={"seconds": round(seconds, 1), "where": where},
        )

    def _func_of(self, job_id: str | None) -> str | None:
        return next((each.queued.spec.func for each in list(self._held.values()) if each.queued.job_id == job_id), None)
