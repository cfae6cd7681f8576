"""Schedules whose runs fail as their nominal times say: as if by a coin, and the same whoever runs them."""

from __future__ import annotations

import hashlib
import os

from naq import FailedTimes, Missed, Naq, Webhook, every
from naq.jobs.context import current_job

app = Naq(name="flaky", drain_timeout=5)


async def coin() -> None:
    digest = hashlib.sha256(current_job().job_id.encode()).digest()
    if digest[0] < 110:
        raise RuntimeError("tails")


for number in range(20):
    app.schedule(every("300ms"), id=f"coin-{number}")(coin)
hook = Webhook(os.environ["HOOK"])
app.alert(FailedTimes(2), to=hook, name="tails")
app.alert(Missed(), to=hook, name="missed")
