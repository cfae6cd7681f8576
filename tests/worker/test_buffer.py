"""The buffer of a worker: whose turn it is."""

from __future__ import annotations

from naq.worker.buffer import Buffer
from naq.worker.claimed import Held


def test_weights_mix_the_queues_smoothly() -> None:
    buffer = Buffer({"a": 3, "b": 1})
    for queue in ("a", "b"):
        for number in range(8):
            buffer.put(Held(queue, "", b"", number, 1, None, 0.0))  # type: ignore[arg-type]
    order = []
    while (held := buffer.next(lambda queue: True)) is not None:
        order.append(held.queue)
    assert "".join(order[:8]).count("a") == 6
    assert "bb" not in "".join(order[:8])
    assert order.count("b") == 8
