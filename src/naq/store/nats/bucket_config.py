"""The stream behind a bucket: how it is created, and what one that exists already must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from naq.exceptions import StoreUnsuitable
from naq.store.keys import Namespace
from naq.store.nats.connection import ConnectionService
from naq.store.nats.incarnation import first_revision

__all__ = [
    "Unsuitable",
    "bucket_config",
    "list_configs",
    "mending_command",
    "mirrors_of",
    "require_suitable",
    "unsuitable",
]


def bucket_config(names: Namespace, replicas: int, now: datetime) -> dict[str, Any]:
    """The stream behind a bucket that is made ``now``, as JetStream wants to hear it."""
    return {
        "name": names.stream,
        "description": "naq: schedules, queued jobs and leases",
        "subjects": [names.subject(">")],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "max_msgs_per_subject": 1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "discard": "new",
        "allow_direct": True,
        "allow_atomic": True,
        "allow_msg_ttl": True,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "first_seq": first_revision(round(now.timestamp() * 1_000_000)),
    }


@dataclass(frozen=True, slots=True)
class Unsuitable:
    """One setting of an existing stream with which naq would lose records, or cannot work at all."""

    reason: str
    remedy: str
    """An option of ``nats stream edit`` that mends it; empty: the stream has to be created again."""


def unsuitable(config: Mapping[str, Any]) -> list[Unsuitable]:
    """What is wrong with the configuration of an existing stream, as the server reports it."""
    rules = (
        (not config.get("allow_atomic"), "atomic publish is off", "--allow-batch"),
        (not config.get("allow_direct"), "direct get is off", "--allow-direct"),
        (not config.get("allow_msg_ttl"), "message TTLs are off", "--allow-msg-ttl"),
        (
            config.get("max_msgs_per_subject") != 1,
            "it keeps more than one message of a key",
            "--max-msgs-per-subject=1",
        ),
        (
            int(config.get("max_age", 0)) > 0,
            "its records expire (max_age): schedules and jobs would vanish",
            "--max-age=0",
        ),
        (
            int(config.get("max_bytes", -1)) > 0 and config.get("discard") != "new",
            "it drops old records when it is full (max_bytes with discard old): schedules and jobs would vanish",
            "--discard=new",
        ),
        (
            int(config.get("max_msgs", -1)) > 0,
            "it limits the number of its records (max_msgs): a full one refuses every transaction, also one that removes records",
            "--max-msgs=-1",
        ),
        (
            config.get("retention", "limits") != "limits",
            f"its retention is {config.get('retention')!r}: records would vanish once a consumer has seen them",
            "",
        ),
        (bool(config.get("sealed")), "it is sealed", ""),
    )
    return [Unsuitable(reason, remedy) for broken, reason, remedy in rules if broken]


def mending_command(names: Namespace, wrong: Sequence[Unsuitable]) -> str | None:
    """The command that mends all of it; ``None`` when the stream has to be created again."""
    if not all(each.remedy for each in wrong):
        return None
    return f"nats stream edit {names.stream} {' '.join(each.remedy for each in wrong)}"


def require_suitable(names: Namespace, config: Mapping[str, Any]) -> None:
    """Raise `StoreUnsuitable` when a stream that exists already cannot hold a naq store."""
    wrong = unsuitable(config)
    if not wrong:
        return
    command = mending_command(names, wrong)
    remedy = f"Run '{command}', or" if command else "Back it up and create it again, or"
    reasons = "; ".join(each.reason for each in wrong)
    raise StoreUnsuitable(
        f"the bucket {names.name!r} exists but cannot hold a naq store: {reasons}. {remedy} choose another namespace"
    )


async def mirrors_of(connection: ConnectionService, stream: str) -> list[str]:
    """The names of streams that mirror this one. Raises `StoreError` when they cannot be listed."""
    configs = await list_configs(connection)
    return [config["name"] for config in configs if (config.get("mirror") or {}).get("name") == stream]


async def list_configs(connection: ConnectionService) -> list[dict[str, Any]]:
    """The configurations of all streams that the user may see. Raises `StoreError` when they cannot be listed."""
    found: list[dict[str, Any]] = []
    while True:
        page = await connection.api("STREAM.LIST", {"offset": len(found)})
        configs = [each["config"] for each in page.get("streams") or []]
        found += configs
        if not configs or len(found) >= int(page.get("total", 0)):
            return found
