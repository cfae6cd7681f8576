"""The jobs of ``naq demo``: they do next to nothing."""

from __future__ import annotations

import asyncio

__all__ = ["check_stock", "heartbeat", "poll", "remind", "send_report", "slow_import", "warm_up"]


async def heartbeat() -> str:
    """Say that all is well."""
    return "alive"


async def check_stock() -> int:
    """Count something."""
    return 42


def send_report() -> str:
    """A synchronous function, run in a thread."""
    return "sent"


async def remind() -> str:
    """Once."""
    return "reminded"


async def poll() -> int:
    """Every other second, give or take."""
    return 0


async def warm_up() -> bool:
    """Three times, then never again."""
    return True


async def slow_import() -> str:
    """Takes longer than its interval: the fires in between are skipped."""
    await asyncio.sleep(2.5)
    return "imported"
