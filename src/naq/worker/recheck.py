"""Jobs that may have ended before: looked up before they run, many with one question.

A server that was killed forgets acknowledgements, and even deliveries, that were not on its disk yet. It then hands out ended
jobs again, as if for the first time. So every job that was in the queue when the worker began to ask, and every job that is
handed out again, is looked up. A job with an end is acknowledged and not run, after its schedule has that end. A job that
another worker is busy with goes back for a moment. Jobs that were enqueued later run without a question.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.jobs.control import Control, Question
from naq.jobs.job import QueuedJob
from naq.jobs.records import is_over
from naq.queue.results import ResultService
from naq.queue.settle import Settling
from naq.store.keys import deferred_key, job_key
from naq.store.port import Store
from naq.worker.claimed import Claimed, Stage
from naq.worker.demand import Demand
from naq.worker.finish import Finisher
from naq.worker.flow import JobFlow

__all__ = ["Lookup", "Rechecker"]

GROUP = 400
RETRY_AFTER = 0.3
BUSY_ELSEWHERE = 0.5
"""Seconds after which a job that another worker is busy with is handed out again."""
ASK_FOR = 5.0
"""Seconds after a connection was made during which the other workers are asked about every job; later only about jobs that
were handed out before."""

log = logging.getLogger(__name__)


class Lookup:
    """What the store and the other workers know of jobs."""

    def __init__(
        self, worker_id: str, store: Store, results: ResultService, settling: Settling, control: Control
    ) -> None:
        self._worker_id = worker_id
        self._store = store
        self._results = results
        self._settling = settling
        self._control = control

    async def ended(self, group: Sequence[Claimed]) -> set[Claimed]:
        """The jobs whose attempt has ended. Their schedules and waiters have the end on return."""
        results = await self._results.ends([claimed.queued.job_id for claimed in group])
        ended = {claimed for claimed in group if is_over(claimed.queued, results.get(claimed.queued.job_id))}
        await self._settling.settle_again([(each.queued, results[each.queued.job_id]) for each in ended])
        for claimed in ended:
            await self._results.remind(claimed.queued.job_id)
        return ended | await self._follow([claimed for claimed in group if claimed not in ended])

    async def _follow(self, group: Sequence[Claimed]) -> set[Claimed]:
        """The jobs whose next attempt exists, or that were passed on since they were handed out."""
        nexts = {each: _next_attempts(each.queued) for each in group if each.queued.attempt <= each.queued.spec.retries}
        same = {each: deferred_key(each.queued.job_id, each.queued.attempt) for each in group}
        there = await self._store.get_many([*same.values(), *(key for pair in nexts.values() for key in pair)])
        retried = {claimed for claimed, pair in nexts.items() if any(key in there for key in pair)}
        waits = {each for each, key in same.items() if key in there and there[key].revision > each.delivery.stream_seq}
        return retried | waits

    async def elsewhere(self, group: Sequence[Claimed]) -> set[Claimed]:
        """The jobs that another worker is busy with."""
        if not group:
            return set()
        question = Question(who_has=tuple(claimed.queued.job_id for claimed in group))
        replies = await self._control.ask(question, but=self._worker_id)
        busy = {job_id for reply in replies for job_id in reply.held}
        return {claimed for claimed in group if claimed.queued.job_id in busy}


class Rechecker:
    """Looks up doubtful jobs, and hands each on to the flow or to the finisher."""

    def __init__(self, lookup: Lookup, flow: JobFlow, finisher: Finisher, demand: Demand, clock: Clock) -> None:
        self._lookup = lookup
        self._flow = flow
        self._finisher = finisher
        self._demand = demand
        self._clock = clock
        self._waiting: list[Claimed] = []
        self._signal = asyncio.Event()
        self._ask_until = 0.0

    def connected(self) -> None:
        """The connection is new: the server may have been killed."""
        self._ask_until = self._clock.monotonic() + ASK_FOR

    def add(self, claimed: Claimed) -> None:
        """Look up this job."""
        claimed.stage = Stage.DOUBTFUL
        self._waiting.append(claimed)
        self._demand.doubtful = len(self._waiting)
        self._signal.set()

    def give_back_all(self) -> None:
        """Give back the jobs that are not looked up yet."""
        waiting, self._waiting = self._waiting, []
        self._demand.doubtful = 0
        for claimed in waiting:
            self._finisher.give_back(claimed)

    async def run(self) -> None:
        """Look up for ever."""
        while True:
            await self._signal.wait()
            self._signal.clear()
            while self._waiting:
                group = self._waiting[:GROUP]
                try:
                    await self._look_up(group)
                except StoreError as error:
                    log.info("%d jobs wait to be looked up: %s", len(self._waiting), error)
                    await self._clock.sleep(RETRY_AFTER)

    async def _look_up(self, group: Sequence[Claimed]) -> None:
        asks_all = self._clock.monotonic() < self._ask_until
        ended = await self._lookup.ended(group)
        unknown = [each for each in group if each not in ended and (each.delivery.delivered > 1 or asks_all)]
        elsewhere = await self._lookup.elsewhere(unknown)
        still = set(self._waiting)  # without those that were given back meanwhile
        self._waiting = self._waiting[len(group) :]
        self._demand.doubtful = len(self._waiting)
        for claimed in group:
            if claimed not in still:
                continue
            if claimed in ended:
                self._finisher.acknowledge(claimed)
            elif claimed in elsewhere:
                self._finisher.give_back(claimed, BUSY_ELSEWHERE)
            else:
                self._flow.take(claimed)


def _next_attempts(queued: QueuedJob) -> tuple[str, str]:
    following = queued.attempt + 1
    return deferred_key(queued.job_id, following), job_key(queued.spec.queue, queued.job_id, following)
