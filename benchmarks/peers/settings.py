"""What the comparison tells the programs of a peer, by environment variables. The standard library only."""

from __future__ import annotations

import os

URL = "PEERS_URL"
"""Where the peer's server is."""
SCHEDULES = "PEERS_SCHEDULES"
"""How many schedules, or in how many instants of each second something is due."""


def url() -> str:
    """Where the server is."""
    return os.environ[URL]


def schedule_names() -> list[str]:
    """The names of the schedules."""
    return [f"s{number}" for number in range(int(os.environ.get(SCHEDULES, "0")))]
