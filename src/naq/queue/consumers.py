"""The durable consumer of a queue, through which its workers get jobs; each job goes to one worker at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naq.config import Settings
from naq.exceptions import StoreRejected
from naq.jobs.records import QueueLimits
from naq.store.keys import Namespace, jobs_of
from naq.store.nats.connection import ConnectionService

__all__ = ["changed_settings", "consumer_config", "ensure_consumer", "find_consumer"]

CONSUMER_NOT_FOUND = 10014
UNLIMITED = 100_000
"""How many jobs all workers of a queue may have in hand together when no limit is set."""
REQUESTS_WAITING = 10_000
"""How many requests for jobs may wait at the server; each worker has a few."""
PAUSED_UNTIL = "2200-01-01T00:00:00Z"


def consumer_config(names: Namespace, settings: Settings, queue: str, limits: QueueLimits) -> dict[str, Any]:
    """The consumer as JetStream describes it.

    It delivers a job again without limit, because naq itself decides when a job has killed too many workers.
    """
    return {
        "durable_name": names.consumer(queue),
        "name": names.consumer(queue),
        "description": f"naq: workers of queue {queue}",
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(settings.ack_wait * 1e9),
        "max_deliver": -1,
        "filter_subject": names.subject(jobs_of(queue)),
        "replay_policy": "instant",
        "max_ack_pending": limits.max_concurrent or UNLIMITED,
        "max_waiting": REQUESTS_WAITING,
    }


def changed_settings(found: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """The settings of a consumer, by name, in which the server's info about it differs from what naq needs."""
    return sorted(name for name, value in config.items() if found["config"].get(name) != value)


async def find_consumer(connection: ConnectionService, names: Namespace, queue: str) -> dict[str, Any] | None:
    """The server's info about the consumer of a queue; ``None`` when there is none."""
    try:
        return await connection.api(f"CONSUMER.INFO.{names.stream}.{names.consumer(queue)}")
    except StoreRejected as error:
        if error.code == CONSUMER_NOT_FOUND:
            return None
        raise


async def ensure_consumer(
    connection: ConnectionService, names: Namespace, settings: Settings, queue: str, limits: QueueLimits | None
) -> None:
    """Create the consumer, or update it to these settings. Several workers may do it at once.

    ``limits=None``: they are not known, and a consumer that is there is left as it is.
    """
    config = consumer_config(names, settings, queue, limits or QueueLimits())
    consumer = f"{names.stream}.{config['name']}"
    found = await find_consumer(connection, names, queue)
    if limits is None and found is not None:
        return
    limits = limits or QueueLimits()
    if found is None or changed_settings(found, config):
        request = {"stream_name": names.stream, "config": config, "action": ""}
        found = await connection.api(f"CONSUMER.CREATE.{consumer}.{config['filter_subject']}", request)
    if bool(found.get("paused")) != limits.paused:
        # Creating or updating does not pause a consumer: only this request does, or resumes it.
        await connection.api(f"CONSUMER.PAUSE.{consumer}", {"pause_until": PAUSED_UNTIL} if limits.paused else {})
