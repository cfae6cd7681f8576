"""Watching a bucket: every change after a revision, in order, without gaps, until cancelled.

An ordered push consumer of our own. The server numbers what it delivers; a number that is missing, a heartbeat that does
not come, or a connection that was restored, and the consumer is made anew behind the last revision that was handed
over. Since a bucket keeps the last value of each key, that loses nothing but values that were overwritten meanwhile.
A bucket that is another one by then (`naq.store.nats.incarnation`) is followed from its beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Sequence

from naq.exceptions import StoreError
from naq.store.keys import Namespace
from naq.store.nats.client import RawSubscription
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.nats.direct_get import entry_value
from naq.store.nats.incarnation import Lives
from naq.store.nats.protocol import parse_delivery, status_code
from naq.store.port import Entry

__all__ = ["follow"]

HEARTBEAT = 2.0
"""Seconds between the server's heartbeats on an idle watch."""
SILENCE = 5.0
"""Seconds of silence after which a watch is considered dead and created again."""
RETRY_AFTER = 0.5
"""Seconds before another try when the consumer could not be made."""

log = logging.getLogger(__name__)


class _Feed:
    """One consumer's frames, collected until somebody takes them."""

    def __init__(self, names: Namespace, after: int) -> None:
        self.entries: list[Entry] = []
        self.signal = asyncio.Event()
        self.broken = False
        self.last = after
        self._names = names
        self._expected = 1

    def on_frame(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        if status_code(headers) == 0 and not self.broken:
            delivery = parse_delivery(reply)
            if delivery.consumer_seq != self._expected:
                self.broken = True
            else:
                self._expected += 1
                self.last = delivery.stream_seq
                key = self._names.key(subject.decode())
                self.entries.append(Entry(key, entry_value(headers, data), delivery.stream_seq))
        self.signal.set()

    def on_state(self, state: ConnectionState) -> None:
        if state is ConnectionState.RESTORED:
            self.broken = True
            self.signal.set()

    def take(self) -> list[Entry]:
        entries, self.entries = self.entries, []
        return entries

    async def arrivals(self) -> AsyncIterator[list[Entry]]:
        """Groups of entries as they come; ends when the feed is broken or silent."""
        while not self.broken:
            try:
                # Not wait_for: before Python 3.12 it can swallow a cancellation that comes with the signal.
                async with asyncio.timeout(SILENCE):
                    await self.signal.wait()
            except TimeoutError:
                log.info("a watch on %s received nothing; creating it again", self._names.stream)
                break
            self.signal.clear()
            if entries := self.take():
                yield entries
        if entries := self.take():
            yield entries


async def follow(
    connection: ConnectionService,
    names: Namespace,
    lives: Lives,
    patterns: Sequence[str],
    after: int,
    *,
    empty: bool = False,
) -> AsyncIterator[list[Entry]]:
    """Groups of entries under the patterns, behind revision ``after``, as they are written. Never ends by itself.

    ``empty``: without their values, for whoever only wants to know that something was written.
    """
    life = lives.number
    while True:
        feed = _Feed(names, after)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(connection.on_state(feed.on_state))
            try:
                await _consume(connection, names, patterns, after, feed, stack, empty)
                if life != await lives.look(after):
                    life, after = lives.number, 0
                    continue
            except StoreError as error:
                log.debug("a watch on %s cannot be set up yet: %s", names.stream, error)
                await asyncio.sleep(RETRY_AFTER)
                continue
            async for entries in feed.arrivals():
                yield entries
            after = feed.last


async def _consume(
    connection: ConnectionService,
    names: Namespace,
    patterns: Sequence[str],
    after: int,
    feed: _Feed,
    stack: contextlib.AsyncExitStack,
    empty: bool,
) -> None:
    client = connection.client
    inbox = client.new_inbox()
    subscription: RawSubscription = await client.subscribe_raw(inbox, feed.on_frame)
    stack.push_async_callback(subscription.unsubscribe)
    consumer = f"watch_{secrets.token_hex(8)}"
    config = {
        "name": consumer,
        "deliver_subject": inbox,
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": after + 1,
        "ack_policy": "none",
        "max_deliver": 1,
        "filter_subjects": [names.subject(pattern) for pattern in patterns],
        "mem_storage": True,
        "num_replicas": 1,
        "idle_heartbeat": int(HEARTBEAT * 1e9),
        "flow_control": False,
        "headers_only": empty,
        "inactive_threshold": int(30e9),
    }
    await connection.api(
        f"CONSUMER.CREATE.{names.stream}.{consumer}",
        {"stream_name": names.stream, "config": config, "action": "create"},
    )
