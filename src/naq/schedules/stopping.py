"""Asking workers to stop jobs that an overlap policy ends: sent to all workers, without waiting for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from naq.exceptions import StoreError
from naq.jobs.control import Control, Question
from naq.store.keys import Namespace
from naq.store.nats.connection import ConnectionService
from naq.store.port import Store

__all__ = ["WorkerStopper"]


class WorkerStopper:
    """The `JobStopper` over NATS."""

    def __init__(self, connection: ConnectionService, names: Namespace, kv: Store) -> None:
        self._control = Control(connection, names)
        self._listed = Control(connection, names, kv)
        self._asking: set[asyncio.Task[None]] = set()

    def stop(self, job_ids: Sequence[str], reason: str) -> None:
        """Ask whichever worker has them to stop these jobs. One that no worker has is not run when a worker gets it: the
        schedule's record says that it is to end."""
        for job_id in job_ids:
            task = asyncio.create_task(self._ask(job_id, reason), name=f"naq stop {job_id}")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def held(self) -> set[str]:
        """The jobs that the listed workers have; one that is too busy to answer in time is left out."""
        return {job_id for reply in await self._listed.ask(Question(held=True)) for job_id in reply.held}

    async def close(self) -> None:
        """Wait for the questions that are under way."""
        while self._asking:
            await asyncio.wait(self._asking)

    async def _ask(self, job_id: str, reason: str) -> None:
        try:
            await self._control.ask(Question(cancel=job_id, reason=reason), workers=1, until=lambda reply: reply.has)
        except StoreError:
            return  # the worker sees it in the schedule's record: `naq.worker.superseded`
