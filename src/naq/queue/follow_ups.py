"""Writing what follows an attempt besides its result: dead letters and next attempts.

A record that is too large for the server is shortened, because it may hold an error text and a traceback that its first
form did not have. New jobs must leave room for these (`naq.jobs.size`), so this concerns only jobs that another program
stored.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from naq.exceptions import StoreUnavailable, TransactionTooLarge
from naq.jobs.ending import Ending
from naq.jobs.job import QueuedJob
from naq.jobs.records import DeadJob
from naq.store.codec import decode, encode
from naq.store.keys import dead_key, deferred_key, is_dead, job_key
from naq.store.port import Committed, Put, Store, Unknown

__all__ = ["queue_put", "write_follow_ups"]

AT_ONCE = 400
"""Writes in one transaction."""
SHORT_ERROR = 500
"""Characters of an error that are kept when the whole does not fit."""
SHORT_RAW = 2000
"""Characters of a job's record that are kept in its dead letter when the whole does not fit."""

log = logging.getLogger(__name__)


def queue_put(queued: QueuedJob) -> Put:
    """The write that stores an attempt that must not exist yet: as deferred when it has a time, else in its queue."""
    if queued.due_at is not None:
        return Put(deferred_key(queued.job_id, queued.attempt), encode(queued), 0)
    return Put(job_key(queued.spec.queue, queued.job_id, queued.attempt), encode(queued), 0)


async def write_follow_ups(kv: Store, endings: Sequence[Ending]) -> None:
    """Write the dead letters and next attempts of these endings. Raises `StoreError`; it may be called again."""
    puts: dict[str, Put] = {}
    for ending in endings:
        if ending.next_attempt is not None:
            put = queue_put(ending.next_attempt)
            puts[put.key] = put
        if ending.dead is not None:
            put = Put(dead_key(ending.dead.job_id), encode(ending.dead))
            puts[put.key] = put
    writes = list(puts.values())
    for start in range(0, len(writes), AT_ONCE):
        await _write_group(kv, writes[start : start + AT_ONCE])


async def _write_group(kv: Store, puts: list[Put]) -> None:
    """Write them together if possible, else one by one: a next attempt may exist from an earlier try."""
    try:
        if isinstance(await kv.transact(list(puts)), Committed):
            return
    except TransactionTooLarge:
        log.debug("a group of %d ends is too large for one transaction", len(puts))
    for put in puts:
        await _write_one(kv, put)


async def _write_one(kv: Store, put: Put) -> None:
    """Write one record in the longest form that fits. Raises `TransactionTooLarge` when none does."""
    try:
        outcome = await kv.transact([put])
    except TransactionTooLarge as error:
        shorter = _shorter(put)
        if shorter is None:
            raise
        log.warning("the record %s is shortened: %s", put.key, error)
        await _write_one(kv, shorter)
        return
    if isinstance(outcome, Unknown):
        raise StoreUnavailable(outcome.reason)


def _shorter(put: Put) -> Put | None:
    """The next shorter form of a dead letter or next attempt; ``None`` when this is the shortest."""
    if not is_dead(put.key):
        queued = decode(QueuedJob, put.key, put.value)
        return None if queued.error is None else Put(put.key, encode(queued.evolve(error=None)), put.expect)
    dead = decode(DeadJob, put.key, put.value)
    if dead.traceback is not None or len(dead.error or "") > SHORT_ERROR:
        return Put(put.key, encode(msgspec.structs.replace(dead, traceback=None, error=_cut(dead.error))), put.expect)
    if dead.job is None:
        return None
    raw = encode(dead.job).decode()[:SHORT_RAW]
    key = job_key(dead.job.spec.queue, dead.job_id, dead.job.attempt)
    return Put(put.key, encode(msgspec.structs.replace(dead, job=None, raw=raw, shortened=True, key=key)), put.expect)


def _cut(error: str | None) -> str | None:
    return None if error is None else error[:SHORT_ERROR]
