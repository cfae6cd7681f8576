"""A replica of a `MemoryStore` that is behind: what a follower of a clustered server answers to those who read from it.

JetStream lets any replica answer a read. So what was just written may not be there *yet*, and two reads that follow each
other may be answered by replicas that are not equally far. Writes are not concerned, and neither are watches.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from naq.clock import Clock
from naq.store.port import Entry
from naq.testing.store import MemoryStore, key_matcher

__all__ = ["Replica", "View"]


class Replica:
    """Remembers what was in a store, from its making on."""

    def __init__(self, store: MemoryStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._moments: list[float] = [clock.monotonic()]
        self._revisions: list[int] = [store.revision]
        self._past: dict[str, list[Entry]] = {entry.key: [entry] for entry in store.entries()}
        store.on_commit.append(self._record)

    def behind(self, seconds: float) -> View:
        """What a replica knows that has heard of nothing for so long."""
        position = bisect_right(self._moments, self._clock.monotonic() - seconds) - 1
        return View(self._store, self._past, self._revisions[max(0, position)])

    def _record(self, entries: Sequence[Entry]) -> None:
        self._moments.append(self._clock.monotonic())
        self._revisions.append(entries[-1].revision)
        for entry in entries:
            self._past.setdefault(entry.key, []).append(entry)


class View:
    """A store as it was at a revision; what was purged or expired since is gone in it too."""

    def __init__(self, store: MemoryStore, past: dict[str, list[Entry]], revision: int) -> None:
        self.revision = revision
        self._store = store
        self._past = past

    def peek(self, key: str) -> Entry | None:
        """What was at a key, a deletion's marker included."""
        newest = self._store.peek(key)
        if newest is None or newest.revision <= self.revision:
            return newest
        return next((entry for entry in reversed(self._past[key]) if entry.revision <= self.revision), None)

    def page(self, pattern: str, after: int) -> list[Entry]:
        """Entries under a pattern behind a revision, ordered by revision."""
        matches = key_matcher((pattern,))
        found = [entry for key in self._past if matches(key) and (entry := self.peek(key)) is not None]
        return sorted((entry for entry in found if entry.revision > after), key=lambda entry: entry.revision)

    def names(self, pattern: str) -> list[str]:
        """All keys under a pattern."""
        return [entry.key for entry in self.page(pattern, 0)]

    def newest(self, pattern: str) -> int:
        """The highest revision under a pattern."""
        return max((entry.revision for entry in self.page(pattern, 0)), default=0)
