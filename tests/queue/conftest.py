"""The tests of the queue share the workers of the worker's tests."""

from __future__ import annotations

from tests.worker.conftest import (
    clock,
    fresh_functions,
    jobs,
    kv,
    scheduler,
    start_process,
    start_worker,
)

__all__ = ["clock", "fresh_functions", "jobs", "kv", "scheduler", "start_process", "start_worker"]
