"""The order in which the writes of a transaction become durable.

A transaction is committed as a whole, and its result does not depend on the order of its writes. A power failure does not know
that: a server may keep only the first writes of a batch. So every store writes in this order, and any prefix of a transaction
that is kept alone loses and repeats nothing:

1. checks, which write nothing;
2. puts without a condition: the notes of dependencies, before the job that waits for them;
3. puts of keys that must not exist, in the caller's order: a unique key and its job, before the record that says it was enqueued;
4. puts that replace a value: the record of a schedule, a lease;
5. deletions: what was replaced goes last, so a deferred job is in the queue before its deferred record is gone.

What a prefix leaves behind is understood already: the job is there and the record did not advance, so the next plan finds
the job and only advances the record; the queued job is there and the deferred record too, so it is released once more, to
the same id.
"""

from __future__ import annotations

from collections.abc import Sequence

from naq.store.port import Check, Committed, Delete, Outcome, Write

__all__ = ["in_callers_order", "safe_order"]


def safe_order(writes: Sequence[Write]) -> list[int]:
    """The places of ``writes`` in the order in which they are to be written; of one rank in the caller's order."""
    return sorted(range(len(writes)), key=lambda place: _rank(writes[place]))


def in_callers_order(outcome: Outcome, order: Sequence[int]) -> Outcome:
    """The outcome of writes that were sent in ``order``, with their revisions where the caller expects them."""
    if not isinstance(outcome, Committed):
        return outcome
    revisions = [0] * len(order)
    for place, revision in zip(order, outcome.revisions, strict=True):
        revisions[place] = revision
    return Committed(tuple(revisions))


def _rank(write: Write) -> int:
    if isinstance(write, Check):
        return 0
    if isinstance(write, Delete):
        return 4
    if write.expect is None:
        return 1
    return 2 if write.expect == 0 else 3
