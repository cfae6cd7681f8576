"""Events in a stream: emitted without waiting, stored in groups, streamed and replayed on request.

Emitting appends to a buffer; one task writes what has gathered as one message, so that ten thousand fires a second cost
the server a few dozen messages. An event that cannot be stored while the server is away waits in the buffer, up to
`LIMIT`; then the oldest are dropped and counted, for nothing is ever decided by reading events.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from naq.clock import Clock
from naq.config import Settings
from naq.events import Event, EventType
from naq.exceptions import InvalidInput, Problem, StoreUnavailable, shown
from naq.lifecycle import BaseService
from naq.store.codec import encode
from naq.store.keys import Namespace
from naq.store.nats.connection import ConnectionService, ConnectionState, StreamService
from naq.store.nats.follow import follow
from naq.store.nats.incarnation import Lives, first_revision
from naq.store.nats.outbox import DUPLICATE_WINDOW, Outbox
from naq.store.nats.protocol import Message, header_field, status_code

__all__ = ["EventService", "group_of"]

LIMIT = 200_000
"""Maximum number of events in the buffer."""
RETRY_AFTER = 1.0
"""Seconds before another try when what is stored could not be read."""
SERVER_TIME_ENDS = datetime(2262, 1, 1, tzinfo=UTC)
"""The server counts nanoseconds since 1970 in 64 bits: it cannot tell what is later."""
STORED_AFTER = 0.05
"""Seconds after which events that were heard of are looked for in the stream."""
LOOK_EVERY = 1.0
"""Seconds after which the stream is looked at although nothing was heard."""

log = logging.getLogger(__name__)
_group_decoder = msgspec.json.Decoder(list[Event])
_encoder = msgspec.json.Encoder()


class _EventNames(Namespace):
    """The stream of events, followed as if it were a bucket whose only key has no name."""

    __slots__ = ("_stream",)

    def __init__(self, names: Namespace) -> None:
        super().__init__(names.name)
        self._stream = names.events_stream
        self.prefix = names.events_subject

    @property
    def stream(self) -> str:
        return self._stream


class EventService(BaseService):
    """The `EventSink` on JetStream, and the way to read what it stored."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        connection_service: ConnectionService,
        stream_service: StreamService,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(config)
        self.connection = connection_service
        self.streams = stream_service
        self.names = Namespace(self.settings.namespace)
        self.clock: Clock = clock or connection_service.clock
        self.outbox: Outbox[Event] = Outbox("events", connection_service, self.clock, self._messages, LIMIT)
        """What waits to be written."""
        self._lives = Lives(connection_service, self.names.events_stream)
        self._listeners: list[Callable[[Event], None]] = []
        self._stop_listening: Callable[[], None] | None = None

    async def _do_initialize(self) -> None:
        await self.connection.initialize()
        info = await self.streams.ensure(
            {
                "name": self.names.events_stream,
                "description": "naq: events, limited by age",
                "subjects": [self.names.events_subject],
                "retention": "limits",
                "storage": "file",
                "num_replicas": self.settings.replicas,
                "max_age": int(self.settings.events_age * 1e9),
                "discard": "old",
                "duplicate_window": int(min(DUPLICATE_WINDOW, self.settings.events_age) * 1e9),
                "allow_direct": True,
                "first_seq": first_revision(round(self.clock.now().timestamp() * 1_000_000)),
            }
        )
        self._lives.saw(info)
        self._stop_listening = self.connection.on_state(self._on_state)
        self.outbox.start()

    async def _do_cleanup(self) -> None:
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        await self.outbox.stop()

    def emit(self, events: Iterable[Event]) -> None:
        """Queue events. Never waits, never fails; listeners in this process are called at once."""
        taken = list(events)
        for event in taken:
            for listener in tuple(self._listeners):
                listener(event)
        self.outbox.put(taken)

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call ``listener`` for every event that this process emits; returns a function that stops this. It must not raise."""
        self._listeners.append(listener)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return stop

    async def log_event(self, event: Event | Mapping[str, Any]) -> None:
        """Emit one event, given as a record or as a mapping with at least ``type``; what is missing is filled in.

        Raises `InvalidInput` for a mapping that is no event. Keys that no event has go into ``details``.
        """
        self.emit([event if isinstance(event, Event) else self._from_mapping(event)])

    async def stream_events(
        self,
        *,
        types: Collection[str] | None = None,
        schedule_id: str | None = None,
        job_id: str | None = None,
        since: datetime | None = None,
        since_sequence: int | None = None,
    ) -> AsyncIterator[Event]:
        """Events as they are stored, for ever; first those ``since`` a time (aware) or a stream sequence, if one is given.

        ``types``, ``schedule_id`` and ``job_id`` filter. Survives lost connections without a gap.
        """
        sequence = await self._first_sequence(since, since_sequence)
        async with self._heard() as fresh:
            while True:
                fresh.clear()
                try:
                    async for found, group in self.read_groups(sequence):
                        sequence = found + 1
                        for event in group:
                            if _matches(event, types, schedule_id, job_id, since):
                                yield event
                except StoreUnavailable as error:
                    log.info("streaming events pauses: %s", error)
                    await self.clock.sleep(RETRY_AFTER)
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_EVERY):
                            await fresh.wait()

    @contextlib.asynccontextmanager
    async def _heard(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set soon after somebody sent events. It needs no consumer: whoever may create one may have the
        server publish for him, and a viewer may not."""
        fresh, loop = asyncio.Event(), asyncio.get_running_loop()

        def on_frame(subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
            loop.call_later(STORED_AFTER, fresh.set)

        subscription = await self.connection.client.subscribe_raw(self.names.events_subject, on_frame)
        try:
            yield fresh
        finally:
            await subscription.unsubscribe()

    @contextlib.asynccontextmanager
    async def news(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever something was stored, and can be read by then; whoever waits for it clears it.

        What is stored while the connection is lost, or after the stream was made anew, sets it as well, soon after.
        Raises `StoreError` when the server cannot be asked at the beginning.
        """
        fresh, after = asyncio.Event(), await self.next_sequence() - 1

        async def hear() -> None:
            async for _ in follow(self.connection, _EventNames(self.names), self._lives, ("",), after, empty=True):
                fresh.set()

        task = asyncio.create_task(hear(), name="naq event news")
        try:
            yield fresh
        finally:
            task.cancel()
            await asyncio.wait((task,))

    @property
    def life(self) -> int:
        """Which life of the stream this is, as far as is known here: it grows when the stream was made anew or restored."""
        return self._lives.number

    async def next_sequence(self) -> int:
        """The stream sequence from which on nothing is stored yet. Raises `StoreError` when the server cannot be asked."""
        return await self._first_sequence(None, None)

    async def get_event_history(
        self,
        *,
        types: Collection[str] | None = None,
        schedule_id: str | None = None,
        job_id: str | None = None,
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """The stored events that match, oldest first; of more than ``limit`` the newest."""
        await self.outbox.flush()
        found: deque[Event] = deque(maxlen=limit)
        async for _, group in self.read_groups(await self._first_sequence(since, 1 if since is None else None)):
            found.extend(event for event in group if _matches(event, types, schedule_id, job_id, since))
        return list(found)

    def _from_mapping(self, given: Mapping[str, Any]) -> Event:
        known = {name: value for name, value in given.items() if name in Event.__struct_fields__}
        extra = {name: value for name, value in given.items() if name not in Event.__struct_fields__}
        details = {**extra, **(known.pop("details", None) or {})}
        filled = {"timestamp": self.clock.now(), "instance_id": self.settings.instance_id, **known}
        stamp = filled["timestamp"]
        if isinstance(stamp, int | float):
            filled["timestamp"] = datetime.fromtimestamp(stamp, self.clock.now().tzinfo)
        try:
            return msgspec.convert({**filled, "details": details}, Event)
        except msgspec.ValidationError as error:
            example = "{'type': 'job_started', 'job_id': 'report-1'}"
            raise InvalidInput(Problem("event", shown(dict(given)), str(error), example)) from None

    async def _first_sequence(self, since: datetime | None, since_sequence: int | None) -> int:
        if since_sequence is not None:
            return since_sequence
        info = await self.connection.api(f"STREAM.INFO.{self.names.events_stream}")
        return 1 if since is not None else int(info["state"]["last_seq"]) + 1

    async def sequence_at(self, instant: datetime) -> int | None:
        """The stream sequence of the first group that was stored at an instant (aware) or later; ``None``: none was.

        The server's clock counts, not that of whoever emitted it. Raises `StoreUnavailable` when it cannot be asked.
        """
        if instant >= SERVER_TIME_ENDS:
            return None
        text = instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
        request = {"start_time": text, "next_by_subj": self.names.events_subject, "batch": 1}
        headers, _ = await self.connection.ask(
            f"$JS.API.DIRECT.GET.{self.names.events_stream}", _encoder.encode(request)
        )
        return None if status_code(headers) == 404 else int(header_field(headers, b"Nats-Sequence") or 0)

    async def read_groups(self, sequence: int) -> AsyncIterator[tuple[int, list[Event]]]:
        """All events that are stored from a sequence on, in the groups in which they are, each with its sequence.

        Raises `StoreUnavailable` when the server cannot be asked.
        """
        subject = f"$JS.API.DIRECT.GET.{self.names.events_stream}"
        while True:
            headers, data = await self.connection.ask(
                subject, _encoder.encode({"seq": max(1, sequence), "next_by_subj": self.names.events_subject})
            )
            if status_code(headers) == 404:
                return
            found = int(header_field(headers, b"Nats-Sequence") or 0)
            yield found, _events_of(data)
            sequence = found + 1

    def _messages(self, group: Sequence[Event]) -> list[Message]:
        return [group_of(self.names.events_subject, group)]

    def _on_state(self, state: ConnectionState) -> None:
        kind = {
            ConnectionState.LOST: EventType.CONNECTION_LOST,
            ConnectionState.RESTORED: EventType.CONNECTION_RESTORED,
        }.get(state)
        if kind is not None:
            now = self.clock.now()
            self.emit([Event(type=kind, timestamp=now, instance_id=self.settings.instance_id)])


def group_of(subject: str, group: Sequence[Event]) -> Message:
    """Events as they are stored: one message."""
    return Message(subject, "", encode(group))


def _events_of(data: bytes) -> list[Event]:
    try:
        return _group_decoder.decode(data)
    except msgspec.MsgspecError as error:
        log.warning("a message in the event stream cannot be read as a group of events: %s", error)
        return []


def _matches(
    event: Event,
    types: Collection[str] | None,
    schedule_id: str | None,
    job_id: str | None,
    since: datetime | None,
) -> bool:
    return (
        (types is None or event.type in types)
        and (schedule_id is None or event.schedule_id == schedule_id)
        and (job_id is None or event.job_id == job_id)
        and (since is None or event.timestamp >= since)
    )
