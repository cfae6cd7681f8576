"""Which nominal times the recorded non-fires explain: each record stands for so many in a stretch. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime

from naq.observe.verify.evidence import NonFires

__all__ = ["explained"]


def explained(nominals: Sequence[datetime], non_fires: Iterable[NonFires]) -> dict[datetime, str]:
    """As many of these nominal times, in order, as can be explained, each with the reason.

    Each takes the record whose stretch ends first: what ends later may be needed by those that follow.
    """
    waiting = sorted(non_fires, key=lambda record: record.first_at)
    open_ones: list[tuple[datetime, int, NonFires]] = []
    left: dict[int, int] = {}
    found: dict[datetime, str] = {}
    begun = 0
    for nominal in nominals:
        while begun < len(waiting) and waiting[begun].first_at <= nominal:
            record = waiting[begun]
            heapq.heappush(open_ones, (record.last_at, begun, record))
            left[begun] = record.count
            begun += 1
        while open_ones and (open_ones[0][0] < nominal or left[open_ones[0][1]] == 0):
            heapq.heappop(open_ones)
        if open_ones:
            _, place, record = open_ones[0]
            left[place] -= 1
            found[nominal] = record.reason
    return found
