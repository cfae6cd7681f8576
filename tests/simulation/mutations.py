"""The engine with one of its safeguards taken out. A simulation that does not notice is worth nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

from naq.scheduler.elector import Elector
from naq.scheduler.firing import Firing
from naq.scheduler.lease import Term
from naq.scheduler.mirror import Mirror
from naq.scheduler.open_runs import OpenRuns
from naq.store.ordering import safe_order
from naq.store.port import Check, Committed, Outcome, Put, Refused, Unknown, Write
from naq.testing.link import MemoryClient

__all__ = ["MUTATIONS"]

transact = MemoryClient.transact


def is_fire(writes: Sequence[Write]) -> bool:
    return isinstance(writes[0], Check)


def sending(alter: Callable[[Sequence[Write]], Sequence[Write]]) -> AbstractContextManager[Any]:
    """Fire transactions are altered before they are sent."""

    async def altered(client: MemoryClient, writes: Sequence[Write]) -> Outcome:
        outcome = await transact(client, alter(writes) if is_fire(writes) else writes)
        if isinstance(outcome, Committed) and len(outcome.revisions) < len(writes):
            return Committed((0, *outcome.revisions))
        return outcome

    return patch.object(MemoryClient, "transact", altered)


def answering(alter: Callable[[Sequence[Write], Outcome], Outcome]) -> AbstractContextManager[Any]:
    """The outcomes of fire transactions are altered before they are looked at."""

    async def altered(client: MemoryClient, writes: Sequence[Write]) -> Outcome:
        outcome = await transact(client, writes)
        return alter(writes, outcome) if is_fire(writes) else outcome

    return patch.object(MemoryClient, "transact", altered)


def no_compare_and_set() -> AbstractContextManager[Any]:
    """A fire overwrites whatever the schedule's record has become."""
    return sending(lambda writes: [replace(w, expect=None) if isinstance(w, Put) else w for w in writes])


def no_fence() -> AbstractContextManager[Any]:
    """A fire does not ask whether its leader still leads."""
    return sending(lambda writes: writes[1:])


def no_trust_window() -> AbstractContextManager[Any]:
    """A leader trusts its lease for ever."""
    return patch.object(Term, "trusted", lambda self, monotonic: True)


def no_resync() -> AbstractContextManager[Any]:
    """Nobody looks whether the watch missed something."""

    async def resync(self: Mirror, interval: float) -> None:
        await asyncio.Event().wait()

    return patch.object(Mirror, "resync", resync)


def unknown_is_done() -> AbstractContextManager[Any]:
    """A commit without an answer is taken for done."""

    def alter(writes: Sequence[Write], outcome: Outcome) -> Outcome:
        return Committed((0, *[10**9] * (len(writes) - 1))) if isinstance(outcome, Unknown) else outcome

    return answering(alter)


def refused_is_done() -> AbstractContextManager[Any]:
    """A commit that was refused is taken for done."""

    def alter(writes: Sequence[Write], outcome: Outcome) -> Outcome:
        return Committed((0, *[10**9] * (len(writes) - 1))) if isinstance(outcome, Refused) else outcome

    return answering(alter)


@contextmanager
def no_requeue() -> Iterator[None]:
    """A key that could not be committed is not tried again."""
    commit, requeue = Firing.commit, Mirror.requeue
    committing = ContextVar("committing", default=False)  # several commits may be under way at once

    async def once(self: Firing, *args: Any) -> Any:
        token = committing.set(True)
        try:
            return await commit(self, *args)
        finally:
            committing.reset(token)

    def never(self: Mirror, key: str) -> None:
        if not committing.get():
            requeue(self, key)

    with patch.object(Firing, "commit", once), patch.object(Mirror, "requeue", never):
        yield


def record_before_job() -> AbstractContextManager[Any]:
    """Transactions become durable from their other end: the record that says "enqueued" before the job."""
    return patch("naq.testing.store.safe_order", lambda writes: safe_order(writes)[::-1])


def no_taking_over() -> AbstractContextManager[Any]:
    """A follower never takes a lease that somebody holds."""
    acquire = Elector._acquire

    async def polite(self: Elector) -> None:
        if self.seen.lease is None or not self.seen.lease.held:
            await acquire(self)

    return patch.object(Elector, "_acquire", polite)


def no_healing() -> AbstractContextManager[Any]:
    """Nobody compares the open runs of schedules with the jobs that are there."""

    async def look(self: OpenRuns) -> None:
        pass

    return patch.object(OpenRuns, "look", look)


MUTATIONS: Mapping[str, Callable[[], AbstractContextManager[Any]]] = {
    mutation.__name__: mutation
    for mutation in (
        no_compare_and_set,
        no_fence,
        no_trust_window,
        no_resync,
        unknown_is_done,
        refused_is_done,
        no_requeue,
        record_before_job,
        no_taking_over,
        no_healing,
    )
}
