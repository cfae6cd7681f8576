"""Send tasks ahead that are to run at instants, so many a second, for so many seconds."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

from benchmarks.peers.celery.app import record

SENT_A_SECOND = 150
"""Tasks that are sent ahead in a second, at least."""
SETTLE = 5.0
"""Seconds after the last instant in which tasks may still start."""


def main(rate: int, seconds: int) -> None:
    begin = time.time() + 2 + rate * seconds / SENT_A_SECOND
    for number in range(rate * seconds):
        instant = begin + number / rate
        name = f"s{number % rate}"
        record.apply_async((name, instant), eta=datetime.fromtimestamp(instant, UTC))
    if time.time() > begin:
        sys.exit(f"sending {rate * seconds} tasks took longer than it may: the machine is too busy")
    time.sleep(begin + seconds + SETTLE - time.time())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
