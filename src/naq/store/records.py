"""Reading many records: one that cannot be read does not affect the others.

`read_all` gives both, what was read and what could not be; `readable` and `readable_one` log what could not be read and
leave it out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from naq.exceptions import RecordUnreadable
from naq.store.codec import decode
from naq.store.port import Entry

__all__ = ["Found", "read_all", "readable", "readable_one"]

T = TypeVar("T")


@dataclass(slots=True)
class Found(Generic[T]):
    """The records that were read, without deleted ones."""

    records: list[tuple[Entry, T]] = field(default_factory=list)
    unreadable: list[tuple[Entry, RecordUnreadable]] = field(default_factory=list)


def read_all(kind: type[T], entries: Iterable[Entry]) -> Found[T]:
    """Read each entry as a record of type ``kind``."""
    found: Found[T] = Found()
    for entry in entries:
        if entry.value is not None:
            try:
                found.records.append((entry, decode(kind, entry.key, entry.value)))
            except RecordUnreadable as error:
                found.unreadable.append((entry, error))
    return found


def readable(kind: type[T], entries: Iterable[Entry], log: logging.Logger) -> list[tuple[Entry, T]]:
    """The entries that exist and can be read, with their records; the others are logged as warnings."""
    found = read_all(kind, entries)
    for _, error in found.unreadable:
        log.warning("%s", error)
    return found.records


def readable_one(kind: type[T], entry: Entry | None, log: logging.Logger | None = None) -> T | None:
    """The record; ``None`` when it is missing, deleted or cannot be read (which is logged if ``log`` is given)."""
    if entry is None:
        return None
    found = read_all(kind, (entry,))
    for _, error in found.unreadable:
        if log is not None:
            log.warning("%s", error)
    return found.records[0][1] if found.records else None
