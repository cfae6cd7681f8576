"""The namespaces of a server: whether one exists, and how many replicas its streams have."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from naq.exceptions import NoSuchNamespace, StoreError
from naq.parsing import nearest
from naq.store.keys import Namespace
from naq.store.nats.bucket_config import list_configs
from naq.store.nats.connection import ConnectionService

__all__ = ["Replicated", "replicated", "require_namespace", "set_replicas", "streams_of"]


@dataclass(frozen=True, slots=True)
class Replicated:
    """One stream, and how many replicas it has."""

    stream: str
    replicas: int


def streams_of(names: Namespace) -> tuple[str, ...]:
    """The streams of a namespace; the first is the bucket's."""
    return names.stream, names.events_stream, names.history_stream, f"KV_{names.results_bucket}"


async def require_namespace(connection: ConnectionService) -> None:
    """Raise `NoSuchNamespace` when nothing was ever stored in the namespace of the settings. Makes nothing."""
    names = Namespace(connection.settings.namespace)
    if await connection.stream_service.info(names.stream) is not None:
        return
    others = await _others(connection)
    near = nearest(names.name, others)
    hint = f", did you mean {near!r}?" if near else f" (there are {', '.join(others[:8])})" if others else ""
    raise NoSuchNamespace(
        f"there is no namespace {names.name!r} at {connection.where}{hint}; the first scheduler or worker makes it: "
        "naq run MODULE:APP"
    )


async def _others(connection: ConnectionService) -> list[str]:
    """The namespaces that the user may see."""
    with contextlib.suppress(StoreError):
        buckets = [config["name"][3:] for config in await list_configs(connection) if config["name"].startswith("KV_")]
        return sorted(name for name in buckets if Namespace(name).results_bucket in buckets)
    return []


async def replicated(connection: ConnectionService) -> list[Replicated]:
    """The streams of the namespace that exist, with their replicas."""
    streams = connection.stream_service
    infos = [(name, await streams.info(name)) for name in streams_of(Namespace(connection.settings.namespace))]
    return [Replicated(name, int(info["config"].get("num_replicas", 1))) for name, info in infos if info is not None]


async def set_replicas(connection: ConnectionService, count: int) -> list[Replicated]:
    """Give every stream of the namespace so many replicas; those that had another number, with that.

    Raises `NoSuchNamespace`, and `StoreRejected` when the cluster has too few nodes: then nothing, or only some of the
    streams, is changed.
    """
    await require_namespace(connection)
    changed = [each for each in await replicated(connection) if each.replicas != count]
    for each in changed:
        info = await connection.stream_service.info(each.stream)
        if info is not None:
            await connection.stream_service.update(info["config"] | {"num_replicas": count})
    return changed
