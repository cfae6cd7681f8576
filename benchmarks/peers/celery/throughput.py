"""Enqueue so many tasks, wait for all results, and print how many a second: until the last result was stored."""

from __future__ import annotations

import sys
import time
from datetime import UTC

from benchmarks.peers.celery.app import nothing


def main(count: int) -> None:
    began = time.time()
    results = [nothing.delay() for _ in range(count)]
    for result in results:
        result.get(timeout=300)
    stored = max(result.date_done.replace(tzinfo=result.date_done.tzinfo or UTC).timestamp() for result in results)
    print(count / (stored - began))


if __name__ == "__main__":
    main(int(sys.argv[1]))
