"""The zone data: how old it is here, and whether the leader and the workers have the same release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from naq.jobs.records import WorkerInfo
from naq.observe.health.conditions import Finding, fine, found
from naq.scheduler.lease import Lease
from naq.timing.zone_data import zone_data

__all__ = ["check_zone_data", "check_zones"]


def check_zone_data(now: datetime) -> Finding:
    """The zone data of this process."""
    data = zone_data()
    text = f"tzdata {data}"
    return (
        found("zones-old", f"{text} is of {data.year}: rules change several times a year")
        if data.is_old(now)
        else (fine("time zones", text))
    )


def check_zones(lease: Lease | None, workers: Iterable[WorkerInfo]) -> Iterator[Finding]:
    """Who has another release than this process; an older naq does not say which it has."""
    here = zone_data().release
    told = [(f"the leader {lease.instance_id}", lease.zones)] if lease is not None and lease.held else []
    told += [(f"worker {each.worker_id}", each.zones) for each in workers]
    others = [f"{who} {release}" for who, release in told if release and release != here]
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        yield found("zones-differ", f"tzdata {here} here, but {', '.join(others[:5])}{more}")
