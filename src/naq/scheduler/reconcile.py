"""Reconciling: what happened to a transaction whose outcome was not "committed", read from the store. Pure.

The store does not say which condition failed, and an answer may be lost. So the keys of the transaction are read
again, and each intent is sorted by what is there now. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from naq.scheduler.intents import Intent
from naq.schedules.stored import fired_at
from naq.store.port import Check, Entry

__all__ = ["Reconciled", "keys_of", "reconcile"]


@dataclass(slots=True)
class Reconciled:
    """The intents of one transaction, by what the store shows."""

    holds: bool
    """Whether the leader's epoch is still the store's; ``False``: another instance leads now."""
    done: list[Intent] = field(default_factory=list)
    """Committed after all: the record and the jobs are there as planned."""
    absent: list[Intent] = field(default_factory=list)
    """The record is not there: deleted, or not yet in the replica that answered."""
    behind: list[Intent] = field(default_factory=list)
    """The store shows an older revision than was planned from: a replica that lags, or another store."""
    moved: list[Entry] = field(default_factory=list)
    """Records that somebody else changed; they are planned again from what is there."""
    enqueued_before: dict[str, datetime] = field(default_factory=dict)
    """Keys of jobs that exist although their schedule has not advanced (it advances without them), and when those fired."""
    unmoved: list[Intent] = field(default_factory=list)
    """Nothing about them changed: the transaction failed for another reason."""


def keys_of(fence: Check, intents: Sequence[Intent]) -> list[str]:
    """All keys that a transaction was about."""
    keys = [fence.key, *(intent.key for intent in intents)]
    return keys + [key for intent in intents for key, _ in intent.jobs]


def reconcile(fence: Check, intents: Sequence[Intent], entries: Mapping[str, Entry]) -> Reconciled:
    """Sort the intents by what the store holds now; ``entries`` are those of `keys_of`."""
    epoch = entries.get(fence.key)
    found = Reconciled(holds=epoch is not None and epoch.revision == fence.revision)
    for intent in intents:
        entry = entries.get(intent.key)
        if _is_done(intent, entry, entries):
            found.done.append(intent)
        if entry is None:
            found.absent.append(intent)
        elif entry.revision < intent.revision:
            found.behind.append(intent)
        elif entry.revision != intent.revision:
            found.moved.append(entry)
        elif not intent.returns and (taken := fired_at(entries[key] for key, _ in intent.jobs if key in entries)):
            found.enqueued_before |= taken
        else:
            found.unmoved.append(intent)
    return found


def _is_done(intent: Intent, entry: Entry | None, entries: Mapping[str, Entry]) -> bool:
    """Whether the store holds what the intent was to write."""
    if intent.returns:
        return entry is None
    if intent.value is None:
        return entry is None and all(key in entries for key, _ in intent.jobs)
    return entry is not None and entry.revision != intent.revision and entry.value == intent.value
