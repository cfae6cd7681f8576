"""Removing many records at once, also from a full store."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from naq.exceptions import StoreFull
from naq.store.port import Committed, Delete, Entry, Store

__all__ = ["delete_all"]


async def delete_all(store: Store, entries: Sequence[Entry]) -> bool:
    """Delete records as they were read, all or none. ``False`` when one was changed, or a full store has no space for so
    many deletions at once: then each is deleted by itself."""
    with contextlib.suppress(StoreFull):
        return isinstance(await store.transact([Delete(entry.key, entry.revision) for entry in entries]), Committed)
    return False
