"""What users need to test with naq: a clock stepped by hand, a store in memory, a real server on a free port.

Each is loaded when it is asked for: a test that steps a clock does not load what starts a server.

Order: `clock`, `server`, `cluster`, `store`, `inline`, `replica`, `link`, `presence`, `scheduler`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from naq.lazy_names import lazy_names

if TYPE_CHECKING:
    from naq.scheduler.elector import ElectorSettings
    from naq.scheduler.partition import Partition
    from naq.schedules.forms.entry import to_dict
    from naq.schedules.planning.plan import plan
    from naq.schedules.repository import Schedules
    from naq.schedules.run_end import run_ended
    from naq.schedules.transitions import new_schedule, paused, resumed
    from naq.store.keys import job_id
    from naq.testing.clock import ManualClock, manual_time
    from naq.testing.cluster import NatsCluster
    from naq.testing.link import Link, MemoryClient
    from naq.testing.presence import MemoryPresence, Switchboard
    from naq.testing.scheduler import ManualScheduler, Ran
    from naq.testing.server import NatsServer
    from naq.testing.store import MemoryStore

__all__ = [
    "ElectorSettings",
    "Link",
    "ManualClock",
    "ManualScheduler",
    "MemoryClient",
    "MemoryPresence",
    "MemoryStore",
    "NatsCluster",
    "NatsServer",
    "Partition",
    "Ran",
    "Schedules",
    "Switchboard",
    "job_id",
    "manual_time",
    "new_schedule",
    "paused",
    "plan",
    "resumed",
    "run_ended",
    "to_dict",
]

_NAMES_OF = {
    "naq.scheduler.elector": ("ElectorSettings",),
    "naq.scheduler.partition": ("Partition",),
    "naq.schedules.planning.plan": ("plan",),
    "naq.schedules.transitions": ("new_schedule", "paused", "resumed"),
    "naq.schedules.forms.entry": ("to_dict",),
    "naq.schedules.repository": ("Schedules",),
    "naq.schedules.run_end": ("run_ended",),
    "naq.store.keys": ("job_id",),
    "naq.testing.clock": ("ManualClock", "manual_time"),
    "naq.testing.link": ("Link", "MemoryClient"),
    "naq.testing.presence": ("MemoryPresence", "Switchboard"),
    "naq.testing.scheduler": ("ManualScheduler", "Ran"),
    "naq.testing.cluster": ("NatsCluster",),
    "naq.testing.server": ("NatsServer",),
    "naq.testing.store": ("MemoryStore",),
}
if not TYPE_CHECKING:  # so that checkers know every name, and no other
    __getattr__, __dir__ = lazy_names(__name__, _NAMES_OF)
