"""The buffer of a worker: whose turn it is."""

from __future__ import annotations

from datetime import UTC, datetime

from naq.clock import SystemClock
from naq.jobs.job import JobSpec, QueuedJob
from naq.queue.limits import Rates
from naq.worker.buffer import Buffer
from naq.worker.claimed import Claimed, Delivery

QUEUED = QueuedJob(job_id="j", spec=JobSpec(func="a:b"), enqueued_at=datetime.now(UTC))


def test_weights_mix_the_queues_smoothly() -> None:
    buffer = Buffer({"a": 3, "b": 1}, Rates(SystemClock(), "me", ["a", "b"]))
    for queue in ("a", "b"):
        for number in range(8):
            buffer.put(Claimed(Delivery(queue, "", number, 1, QUEUED, 0.0), b""))
    order = []
    while (claimed := buffer.next()) is not None:
        order.append(claimed.delivery.queue)
    assert "".join(order[:8]).count("a") == 6
    assert "bb" not in "".join(order[:8])
    assert order.count("b") == 8
