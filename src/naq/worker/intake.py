"""Asking the server for jobs, of each queue its share."""

from __future__ import annotations

import logging
from collections.abc import Callable

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import StoreError
from naq.jobs.records import QueueLimits
from naq.lifecycle import Tasks
from naq.queue.consumers import changed_settings, consumer_config, ensure_consumer, find_consumer
from naq.store.keys import Namespace, jobs_of, queue_key
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.outage import Reminder
from naq.store.port import Store
from naq.store.records import readable_one
from naq.worker.demand import Demand
from naq.worker.pulling import Pull
from naq.worker.reception import Reception

__all__ = ["Intake"]

RETRY_AFTER = 0.5
CONSUMERS_EVERY = 10.0
"""Seconds between two looks at the settings of the consumers."""

log = logging.getLogger(__name__)


class Intake:
    """Asks for jobs while the worker can take some."""

    def __init__(
        self,
        settings: Settings,
        connection: ConnectionService,
        store: Store,
        clock: Clock,
        demand: Demand,
        reception: Reception,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._store = store
        self._clock = clock
        self._demand = demand
        self._reception = reception
        self._names = Namespace(settings.namespace)
        self._retry_at: dict[str, float] = {}
        self._paused: set[str] = set()
        """Queues whose consumer is paused by somebody else, as was told."""
        self._failures = {queue: Reminder(clock) for queue in settings.queues}
        self._stop_listening: Callable[[], None] | None = None
        self._pulls = [self._pull(queue) for queue in settings.queues]

    def _pull(self, queue: str) -> Pull:
        target = f"{self._names.stream}.{self._names.consumer(queue)}"
        return Pull(self._connection, self._clock, queue, target, self._reception.take, self._demand.changed.set)

    async def start(self, tasks: Tasks) -> None:
        """Ask from now on. Raises `StoreError` when the consumers cannot be made."""
        self._reception.connected()
        for pull in self._pulls:
            await self._mend(pull)
        self._stop_listening = self._connection.on_state(self._on_state)
        self._demand.changed.set()
        tasks.start("naq pull", self._ask_for_ever)
        tasks.start("naq pull watch", self._watch)
        tasks.start("naq pull life", self._follow_life)
        tasks.start("naq consumers", self._keep_consumers)

    async def stop(self) -> None:
        """Ask for nothing more. Jobs that were on their way still come before this returns."""
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        for pull in self._pulls:
            await pull.stop()
        await self._reception.stop()

    def renew(self, queue: str) -> None:
        """The limits of a queue changed: update its consumer, and ask again."""
        for pull in self._pulls:
            if pull.queue == queue:
                pull.lose("its limits changed")

    def _on_state(self, state: ConnectionState) -> None:
        if state is ConnectionState.RESTORED:
            self._reception.connected()
            for pull in self._pulls:
                pull.lose("the connection was restored")

    async def _ask_for_ever(self) -> None:
        while True:
            await self._demand.changed.wait()
            self._demand.changed.clear()
            for pull in self._pulls:
                try:
                    await self._ask(pull)
                except StoreError as error:
                    if self._failures[pull.queue].is_due():
                        log.info("queue %s cannot be asked for jobs: %s", pull.queue, error)
                    pull.lose("asking failed", quietly=True)
                    self._retry_at[pull.queue] = self._clock.monotonic() + RETRY_AFTER

    async def _ask(self, pull: Pull) -> None:
        if pull.broken == "stopped" or self._clock.monotonic() < self._retry_at.get(pull.queue, 0.0):
            return
        if pull.broken is not None:
            await self._mend(pull)
        wanted = self._demand.share(pull.queue)
        if wanted > pull.outstanding and pull.outstanding <= wanted // 2:
            await pull.ask(wanted - pull.outstanding)
            self._failures[pull.queue].over()

    async def _mend(self, pull: Pull) -> None:
        entry = await self._store.get(queue_key(pull.queue))
        # Limits that cannot be read, perhaps those of a newer naq, are not taken for none.
        limits = QueueLimits() if entry is None else readable_one(QueueLimits, entry, log)
        await ensure_consumer(self._connection, self._names, self._settings, pull.queue, limits)
        self._reception.asks_anew(pull.queue, await self._store.last_revision(jobs_of(pull.queue)))
        await pull.restart()

    async def _keep_consumers(self) -> None:
        """Notice consumers that an administrator changed: their settings are put right, a pause is only told."""
        while True:
            await self._clock.sleep(CONSUMERS_EVERY)
            for pull in self._pulls:
                try:
                    await self._look_at_consumer(pull)
                except StoreError as error:
                    log.debug("the consumer of queue %s is looked at later: %s", pull.queue, error)

    async def _look_at_consumer(self, pull: Pull) -> None:
        entry = await self._store.get(queue_key(pull.queue))
        limits = QueueLimits() if entry is None else readable_one(QueueLimits, entry)
        found = await find_consumer(self._connection, self._names, pull.queue)
        if found is None or limits is None:
            return  # one that is gone is made again when the server says so
        if wrong := changed_settings(found, consumer_config(self._names, self._settings, pull.queue, limits)):
            log.warning("the consumer of queue %s was changed (%s): it is put right", pull.queue, ", ".join(wrong))
            pull.lose("its consumer was changed")
        if bool(found.get("paused")) is limits.paused:
            self._paused.discard(pull.queue)
        elif not limits.paused and pull.queue not in self._paused:
            self._paused.add(pull.queue)
            log.error(
                "the consumer of queue %s is paused, and not by naq: its jobs wait until 'nats consumer resume %s %s'",
                pull.queue,
                self._names.stream,
                self._names.consumer(pull.queue),
            )

    async def _follow_life(self) -> None:
        """Ask anew when the bucket was replaced: what it holds may have run in its last life, and has to be looked up."""
        while True:
            await self._store.next_life(self._store.life)
            self._reception.connected()
            for pull in self._pulls:
                pull.lose("the bucket was replaced")

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(RETRY_AFTER)
            stranded = self._demand.watch()
            if stranded:
                log.info("%d jobs go back to other workers: the jobs that run here take long", len(stranded))
                self._reception.give_back(stranded)
            for pull in self._pulls:
                pull.check()
                if any(claimed.delivery.queue == pull.queue for claimed in stranded):
                    pull.lose("jobs wait long in this worker")
            self._demand.changed.set()
