"""Following the limits of queues, the slots of functions and the presence of other workers as they change."""

from __future__ import annotations

from naq.queue.limits import Rates
from naq.store.keys import ALL_QUEUES, ALL_SLOTS, ALL_WORKERS
from naq.store.port import Store
from naq.worker.flow import JobFlow
from naq.worker.function_slots import FunctionSlots
from naq.worker.intake import Intake

__all__ = ["LimitsFollower"]

PATTERNS = (ALL_QUEUES, ALL_WORKERS, ALL_SLOTS)


class LimitsFollower:
    """Keeps this worker's `Rates` up to date, renews the consumers of queues whose limits changed, and notices slots that other
    workers freed."""

    def __init__(
        self, store: Store, rates: Rates, function_slots: FunctionSlots, intake: Intake, flow: JobFlow
    ) -> None:
        self._store = store
        self._rates = rates
        self._function_slots = function_slots
        self._intake = intake
        self._flow = flow
        self._seen = 0

    async def read(self) -> None:
        """Read what holds now. Raises `StoreError`."""
        for pattern in PATTERNS:
            async for entries in self._store.scan(pattern):
                for entry in entries:
                    self._rates.apply(entry)
                self._seen = max(self._seen, entries[-1].revision)

    async def run(self) -> None:
        """Follow the changes for ever."""
        async for entries in self._store.watch(PATTERNS, self._seen):
            for entry in entries:
                self._rates.apply(entry)
                if entry.key.startswith("queue."):
                    self._intake.renew(entry.key.partition(".")[2])
                elif entry.key.startswith("slot.") and entry.value is None:
                    self._function_slots.wake_by(entry.key)
            self._seen = entries[-1].revision
            self._flow.pump()
