"""The streams: how the bucket is configured, how full it is, and how many replicas there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from naq.config import Settings
from naq.observe.health.conditions import Finding, fine, found, size_text
from naq.observe.health.server import space_finding
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.bucket_config import mending_command, mirrors_of, unsuitable
from naq.store.nats.connection import ConnectionService
from naq.store.nats.namespaces import replicated

__all__ = ["check_bucket"]

CLUSTER_REPLICAS = 3
"""Fewer on a cluster do not outlive the loss of a node."""


async def check_bucket(
    store: KVStoreService, connection: ConnectionService, settings: Settings
) -> AsyncIterator[Finding]:
    """The bucket and its side streams."""
    info = await connection.stream_service.info(store.names.stream)
    if info is None:
        yield found(
            "no-answer", f"the stream {store.names.stream} was deleted", "restart a scheduler: it makes it again"
        )
        return
    config, state = info["config"], info["state"]
    yield fine("bucket", f"{settings.namespace!r}: {state['messages']} records, {size_text(state['bytes'])}")
    for each in unsuitable(config):
        remedy = mending_command(store.names, [each]) or "back up the bucket and create it again"
        yield found("bucket-unsuitable", each.reason, remedy)
    for mirror in await mirrors_of(connection, store.names.stream):
        text = f"the stream {mirror} mirrors it: the server lets a mirror answer reads of the bucket, and it may lack records"
        yield found("mirrored", text, f"remove it (nats stream rm {mirror}), and copy with sources instead of a mirror")
    raise_it = f"nats stream edit {store.names.stream} --max-bytes=-1"
    full = space_finding("the bucket", int(state["bytes"]), int(config.get("max_bytes", -1)), raise_it)
    if full is not None:
        yield full
    async for finding in _replicas(connection, settings, info):
        yield finding
    if settings.embedded:
        yield fine("sync on write", "always (embedded server)")
    elif int(config.get("num_replicas", 1)) == 1:
        yield found("sync-unknown", "unknown: a server does not tell clients how often it syncs")


async def _replicas(
    connection: ConnectionService, settings: Settings, bucket: Mapping[str, Any]
) -> AsyncIterator[Finding]:
    """Whether each stream has the replicas of the settings, and all keep up."""
    cluster = bucket.get("cluster") or {}
    wanted = settings.replicas
    count = int(bucket["config"].get("num_replicas", 1))
    wrong = False
    for each in await replicated(connection):
        if each.replicas < wanted:
            wrong = True
            text = f"{each.stream} has {each.replicas}, and the settings say {wanted}"
            yield found("few-replicas", text, f"naq store replicas {wanted}")
    if not wrong and cluster.get("name") and count < CLUSTER_REPLICAS:
        remedy = "naq store replicas 3, and set replicas = 3"
        yield found("few-replicas", f"{count}, on the cluster {cluster['name']!r}", remedy, mild=True)
    elif not wrong:
        yield fine("replicas", str(count))
    behind = [peer["name"] for peer in cluster.get("replicas") or [] if not peer.get("current")]
    if behind:
        yield found("replica-behind", f"behind: {', '.join(behind)}")
