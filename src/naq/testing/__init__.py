"""What users need to test with naq: a clock stepped by hand, a store in memory, a real server on a free port.

Each is loaded when it is asked for: a test that steps a clock does not load what starts a server.

Order: `clock`, `server`, `store`, `inline`, `replica`, `link`, `presence`, `scheduler`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from naq.testing.clock import ManualClock, manual_time
    from naq.testing.link import Link
    from naq.testing.presence import MemoryPresence, Switchboard
    from naq.testing.scheduler import ManualScheduler, Ran
    from naq.testing.server import NatsCluster, NatsServer
    from naq.testing.store import MemoryStore

__all__ = [
    "Link",
    "ManualClock",
    "ManualScheduler",
    "MemoryPresence",
    "MemoryStore",
    "NatsCluster",
    "NatsServer",
    "Ran",
    "Switchboard",
    "manual_time",
]

_ROOMS = {
    "Link": "link",
    "ManualClock": "clock",
    "ManualScheduler": "scheduler",
    "MemoryPresence": "presence",
    "MemoryStore": "store",
    "NatsCluster": "server",
    "NatsServer": "server",
    "Ran": "scheduler",
    "Switchboard": "presence",
    "manual_time": "clock",
}


def __getattr__(name: str) -> Any:
    """The public name, from its room."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
