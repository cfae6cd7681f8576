"""Who leads, for everything outside of the election: not the name in the lease, but whether its holder is there.

A leader that was killed leaves its name in the lease. While no other scheduler runs it stays there, and its last
heartbeat only gets older. So its holder is asked: NATS answers at once when it is gone.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from naq.scheduler.lease import Lease
from naq.scheduler.presence import NatsPresence
from naq.store.codec import decode
from naq.store.keys import lease_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.port import Answer, Store

__all__ = ["find_leader", "read_lease"]


async def read_lease(store: Store, partition: int | str = 0) -> Lease | None:
    """The lease of a partition as it is stored; ``None`` when there is none. Raises `RecordUnreadable`."""
    key = lease_key(partition)
    entry = await store.get(key)
    return None if entry is None or entry.value is None else decode(Lease, key, entry.value)


async def find_leader(store: KVStoreService, connection: ConnectionService, now: datetime) -> Lease | None:
    """The lease of the leader; ``None`` when it is free, its holder is gone, or has been silent beyond its ttl.

    Raises `RecordUnreadable` for a lease that is rubbish, `StoreError` when the store cannot be asked.
    """
    lease = await read_lease(store)
    if lease is None or not lease.held:
        return None
    # A viewer may not ask: who may could ask for a handover, too. It goes by the age of the last heartbeat.
    answer = await NatsPresence(connection, store.names).ask(lease.term, optional=True)
    if answer is Answer.GONE or (answer is Answer.SILENT and _ran_out(lease, now)):
        return None
    return lease


def _ran_out(lease: Lease, now: datetime) -> bool:
    """Whether the last heartbeat is older than the lease is to be respected, clocks that differ a little included."""
    return lease.last_heartbeat is not None and now - lease.last_heartbeat > 2 * timedelta(seconds=lease.ttl)
