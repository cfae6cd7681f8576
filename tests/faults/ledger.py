"""The ledger: every single write to the bucket, in order, also those that were overwritten a moment later.

A bucket keeps the last value of each key, and a watch may miss what lay between. So the server is asked to republish each
message when it has stored it, and a ledger that has a gap says so. From it the eras of all schedules are read, as people
made them, and `naq.observe.verify` holds the fires against them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from naq.schedules.record import Schedule
from naq.store.codec import decode
from naq.store.keys import Namespace
from naq.store.nats.connection import ConnectionService
from naq.store.nats.direct_get import Stored, entry_value
from naq.store.nats.protocol import header_field
from naq.store.port import Entry
from tests.faults.world import Verdict
from tests.oracle.eras import RecordWritten, read_records
from tests.oracle.written import EpochWritten, Fault, StoredJob, verify

__all__ = ["Ledger", "ledger"]

PREFIX = "ledger."
SCHEDULES = 0
"""The partition of schedules: alerts have leaders of their own."""


@dataclass
class Ledger:
    """What was written since it was opened."""

    names: Namespace
    written: list[Stored] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def on_frame(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        sequence, stamp = header_field(headers, b"Nats-Sequence"), header_field(headers, b"Nats-Time-Stamp")
        assert sequence is not None and stamp is not None
        key = self.names.key(subject.decode().removeprefix(PREFIX))
        entry = Entry(key, entry_value(headers, data), int(sequence))
        self.written.append(Stored(entry, datetime.fromisoformat(stamp.decode())))
        self.changed.set()

    @property
    def gaps(self) -> list[int]:
        """Revisions behind which something is missing."""
        revisions = [stored.entry.revision for stored in self.written]
        return [one for one, other in pairwise(revisions) if other != one + 1]

    async def until(self, revision: int) -> None:
        """Wait until the write of that revision, or a later one, is in it."""
        async with asyncio.timeout(60):
            while not self.written or self.written[-1].entry.revision < revision:
                self.changed.clear()
                await self.changed.wait()

    def records(self) -> list[RecordWritten]:
        """The records of schedules, in order."""
        return [
            RecordWritten(
                entry.key.partition(".")[2],
                entry.revision,
                at,
                None if entry.value is None else decode(Schedule, entry.key, entry.value),
            )
            for entry, at in self._under("schedule.")
        ]

    def jobs(self) -> list[StoredJob]:
        """The jobs that were enqueued, in order."""
        return [
            StoredJob.read(entry.key, entry.value, entry.revision, at)
            for entry, at in self._under("job.")
            if entry.value is not None
        ]

    def judged(self, as_of: datetime, patience: timedelta) -> Verdict:
        """What was fired against what should have been by then, but for what is late by no more than ``patience``."""
        eras, excuses = read_records(self.records())
        epochs = [
            EpochWritten(int(entry.key.rpartition(".")[2]), entry.revision)
            for entry, _ in self._under(f"epoch.{SCHEDULES}.")
        ]
        report = verify(eras, self.jobs(), as_of=as_of, patience=patience, excuses=excuses, epochs=epochs)
        return Verdict(*(tuple(str(each) for each in report.findings if each.fault is fault) for fault in Fault))

    def _under(self, prefix: str) -> Iterator[tuple[Entry, datetime]]:
        return ((each.entry, each.stored_at) for each in self.written if each.entry.key.startswith(prefix))


@asynccontextmanager
async def ledger(connection: ConnectionService, names: Namespace) -> AsyncIterator[Ledger]:
    """A ledger of the bucket from now on. Schedulers are started when it is open, or their epochs are not in it."""
    made = Ledger(names)
    subscription = await connection.client.subscribe_raw(f"{PREFIX}>", made.on_frame)
    info = await connection.api(f"STREAM.INFO.{names.stream}")
    republish = {"src": ">", "dest": f"{PREFIX}>"}
    await connection.api(f"STREAM.UPDATE.{names.stream}", {**info["config"], "republish": republish})
    try:
        yield made
    finally:
        await subscription.unsubscribe()
