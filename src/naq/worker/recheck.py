"""Jobs that may have been handed out before, looked up before they are run: many with one question.

The server forgets acknowledgements, and even hand-outs, that it had not yet written to disk when it was killed. Then it hands
out again what has ended, as if for the first time. So every job that was in the queue already when a worker began to
ask, and every one that comes again, is looked up: one that has an end is acknowledged and not run, once its schedule knows
of the end; one that another worker says it is busy with goes back for a moment. Jobs that were enqueued since are run
without a question.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from naq.clock import Clock
from naq.exceptions import RecordUnreadable, StoreError
from naq.jobs.control import Control, Question
from naq.jobs.job import QueuedJob
from naq.jobs.records import StoredResult, is_over
from naq.queue.results import ResultService
from naq.store.codec import decode
from naq.store.keys import deferred_key, job_key
from naq.store.nats.bucket import KVStoreService
from naq.worker.claimed import Held, Stage

__all__ = ["Rechecker"]

GROUP = 400
RETRY_AFTER = 0.3
ASK_FOR = 5.0
"""Seconds after a connection was made for which the other workers are asked about every job; later only about those that
come again."""

log = logging.getLogger("naq.rechecking")


class Rechecker:
    """Looks up doubtful jobs, and hands each on to one of three."""

    def __init__(
        self,
        worker_id: str,
        kv: KVStoreService,
        results: ResultService,
        control: Control,
        clock: Clock,
        tell_again: Callable[[Sequence[tuple[QueuedJob, StoredResult]]], Awaitable[None]],
        on_clear: Callable[[Held], None],
        on_ended: Callable[[Held], None],
        on_elsewhere: Callable[[Held], None],
    ) -> None:
        self._worker_id = worker_id
        self._kv = kv
        self._results = results
        self._control = control
        self._clock = clock
        self._tell_again = tell_again
        self._on_clear = on_clear
        self._on_ended = on_ended
        self._on_elsewhere = on_elsewhere
        self._waiting: list[Held] = []
        self._signal = asyncio.Event()
        self._ask_until = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def connected(self) -> None:
        """The connection is new: the server may have been killed."""
        self._ask_until = self._clock.monotonic() + ASK_FOR

    def add(self, held: Held) -> None:
        """Look this one up."""
        held.stage = Stage.DOUBTFUL
        self._waiting.append(held)
        self._signal.set()

    def clear(self) -> list[Held]:
        """Take all out that are not looked up yet."""
        waiting, self._waiting = self._waiting, []
        return waiting

    async def run(self) -> None:
        """Look up for ever."""
        while True:
            await self._signal.wait()
            self._signal.clear()
            while self._waiting:
                group = self._waiting[:GROUP]
                try:
                    ended, elsewhere = await self._look_up(group)
                except StoreError as error:
                    log.info("%d jobs wait to be looked up: %s", len(self._waiting), error)
                    await self._clock.sleep(RETRY_AFTER)
                    continue
                taken = set(self._waiting)
                self._waiting = self._waiting[len(group) :]
                for held in group:
                    if held not in taken:
                        continue  # `clear` was faster
                    if held in ended:
                        self._on_ended(held)
                    elif held in elsewhere:
                        self._on_elsewhere(held)
                    else:
                        self._on_clear(held)

    async def _look_up(self, group: Sequence[Held]) -> tuple[set[Held], set[Held]]:
        """Those that ended before, and those that another worker is busy with."""
        ended = await self._ended(group)
        asked = [
            held
            for held in group
            if held not in ended and (held.delivered > 1 or self._clock.monotonic() < self._ask_until)
        ]
        return ended, await self._elsewhere(asked) if asked else set()

    async def _ended(self, group: Sequence[Held]) -> set[Held]:
        found = await self._results.store.get_many([held.queued.job_id for held in group])
        results: dict[str, StoredResult] = {}
        for key, entry in found.items():
            try:
                results[key] = decode(StoredResult, key, entry.value or b"")
            except RecordUnreadable as error:
                log.warning("%s", error)
        ended = {held for held in group if is_over(held.queued, results.get(held.queued.job_id))}
        await self._tell_again([(held.queued, results[held.queued.job_id]) for held in ended])
        for held in ended:
            await self._results.remind(held.queued.job_id)
        retried = [held for held in group if held not in ended and held.queued.attempt <= held.queued.spec.retries]
        if retried:
            keys = {held: _next_attempts(held.queued) for held in retried}
            there = await self._kv.get_many([key for pair in keys.values() for key in pair])
            ended |= {held for held, pair in keys.items() if any(key in there for key in pair)}
        return ended

    async def _elsewhere(self, group: Sequence[Held]) -> set[Held]:
        question = Question(who_has=tuple(held.queued.job_id for held in group))
        replies = await self._control.ask(question, but=self._worker_id)
        busy = {job_id for reply in replies for job_id in reply.held}
        return {held for held in group if held.queued.job_id in busy}


def _next_attempts(queued: QueuedJob) -> tuple[str, str]:
    following = queued.attempt + 1
    return deferred_key(queued.job_id, following), job_key(queued.spec.queue, queued.job_id, following)
