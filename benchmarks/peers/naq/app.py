"""naq: schedules that the application declares, in one scheduler process or several, and a worker."""

from __future__ import annotations

from benchmarks.application import record
from benchmarks.peers.settings import schedule_names
from naq import Naq, every

app = Naq(name="peers")
for name in schedule_names():
    app.schedule(every(1, coalesce="all"), id=name)(record)
