"""The stream behind a bucket: how it is created, and what one that exists already must have."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from naq.exceptions import StoreUnsuitable
from naq.store.keys import Namespace
from naq.store.nats.incarnation import first_revision

__all__ = ["bucket_config", "require_suitable"]


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


def require_suitable(names: Namespace, config: Mapping[str, Any]) -> None:
    """Raise `StoreUnsuitable` when a stream that exists already cannot hold a naq store."""
    wrong = []
    if not config.get("allow_atomic"):
        wrong.append("atomic publish is off")
    if not config.get("allow_direct"):
        wrong.append("direct get is off")
    if not config.get("allow_msg_ttl"):
        wrong.append("message TTLs are off")
    if config.get("max_msgs_per_subject") != 1:
        wrong.append("it keeps more than one message of a key")
    if wrong:
        raise StoreUnsuitable(
            f"the bucket {names.name!r} exists but cannot hold a naq store: {', '.join(wrong)}. Switch them on with "
            f"'nats stream edit {names.stream} --allow-batch --allow-direct --allow-msg-ttl --max-msgs-per-subject=1', "
            "or choose another namespace"
        )
