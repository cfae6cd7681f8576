"""Reading many keys at once by batched direct get: a consistent, fast walk over a bucket that drops nothing.

One request asks for the next messages on a subject pattern from a sequence on; the server streams them as frames, and
says with a last one how many are left. The frames are read as they are, for parsing each one's headers would cost three
times as much as everything else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from naq.exceptions import StoreUnavailable
from naq.store.keys import Namespace
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.nats.protocol import encode_request, header_field, status_code, stored_place
from naq.store.port import Entry

__all__ = ["DirectReader", "Stored", "Whole", "entry_value"]

PAGE = 20_000
"""Entries per request: small enough for memory, large enough that requests are cheap."""
SUBJECTS_AT_ONCE = 512
"""Keys in one request of `DirectReader.get_many`; the server's limit is 1024."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry, and when the server stored it (aware UTC): what proofs and benchmarks go by."""

    entry: Entry
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class Whole:
    """An entry, and all that the server keeps of it."""

    entry: Entry
    stored_at: datetime
    """By the server's clock (aware UTC)."""
    ttl: int | None
    """Seconds that it was to be kept from then on."""
    expected: int | None
    """The revision of the key that its write was conditional on; 0: there was to be none; ``None``: any."""


def entry_value(headers: bytes, data: bytes) -> bytes | None:
    """The value that a message is, ``None`` when the message deletes its key, which has no payload."""
    if data:
        return data
    if b"\r\nKV-Operation: " in headers or b"\r\nNats-Marker-Reason: " in headers:
        return None
    return data


def _stored_at(headers: bytes) -> datetime:
    return datetime.fromisoformat((header_field(headers, b"Nats-Time-Stamp") or b"").decode())


def _seconds(headers: bytes) -> int | None:
    ttl = header_field(headers, b"Nats-TTL")
    return None if ttl is None or not ttl.rstrip(b"s").isdigit() else int(ttl.rstrip(b"s"))


def _expected(headers: bytes) -> int | None:
    revision = header_field(headers, b"Nats-Expected-Last-Subject-Sequence")
    return None if revision is None else int(revision)


class DirectReader:
    """Batched reads of one bucket."""

    def __init__(self, connection: ConnectionService, names: Namespace) -> None:
        self._connection = connection
        self._names = names
        self._subject = f"$JS.API.DIRECT.GET.{names.stream}"

    async def get(self, key: str) -> Entry | None:
        """The last entry of a key, a deletion included; ``None`` when there is none."""
        headers, data = await self._connection.ask(f"{self._subject}.{self._names.subject(key)}", b"")
        if status_code(headers) == 404:
            return None
        return Entry(key, entry_value(headers, data), int(header_field(headers, b"Nats-Sequence") or 0))

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The last entries of those keys that have one, deletions included."""
        found: dict[str, Entry] = {}
        for start in range(0, len(keys), SUBJECTS_AT_ONCE):
            wanted = [self._names.subject(key) for key in keys[start : start + SUBJECTS_AT_ONCE]]
            entries, _, _ = await self._request({"multi_last": wanted})
            found |= {entry.key: entry for entry in entries}
        return found

    async def scan(self, pattern: str, after: int) -> AsyncIterator[list[Entry]]:
        """Entries under a pattern behind a revision, in pages, ordered by revision, deletions included."""
        async for entries, _ in self._pages(pattern, after, headed=False):
            yield entries

    async def scan_stored(self, pattern: str, after: int) -> AsyncIterator[list[Stored]]:
        """As `scan`, with the time at which the server stored each."""
        async for entries, headers in self._pages(pattern, after, headed=True):
            yield [Stored(entry, _stored_at(head)) for entry, head in zip(entries, headers, strict=True)]

    async def scan_whole(self, pattern: str, after: int, most_bytes: int) -> AsyncIterator[list[Whole]]:
        """As `scan`, with all that the server keeps of each entry, in pages of at most about so many bytes."""
        async for entries, headers in self._pages(pattern, after, headed=True, most_bytes=most_bytes):
            yield [
                Whole(entry, _stored_at(head), _seconds(head), _expected(head))
                for entry, head in zip(entries, headers, strict=True)
            ]

    async def _pages(
        self, pattern: str, after: int, *, headed: bool, most_bytes: int | None = None
    ) -> AsyncIterator[tuple[list[Entry], list[bytes]]]:
        subject = self._names.subject(pattern)
        limit: dict[str, object] = {} if most_bytes is None else {"max_bytes": most_bytes}
        while True:
            request = {"batch": PAGE, "seq": after + 1, "next_by_subj": subject, **limit}
            entries, headers, pending = await self._request(request, headed=headed)
            if entries:
                after = entries[-1].revision
                yield entries, headers
            if not entries or pending == 0:
                return

    async def _request(
        self, request: Mapping[str, object], *, headed: bool = False
    ) -> tuple[list[Entry], list[bytes], int]:
        """All entries of one answer, their headers if those are asked for, and how many messages are left behind."""
        client = self._connection.client
        answer = _Answer(self._names, headed)
        inbox = client.new_inbox()
        stop = self._connection.on_state(answer.on_state)
        unused, denial = self._connection.expect_answer((self._subject,))
        denial.add_done_callback(answer.on_denial)
        subscription = await client.subscribe_raw(inbox, answer.on_frame)
        try:
            await client.send(encode_request(self._subject, inbox, json.dumps(request).encode()))
            pending = await answer.complete(self._connection.settings.request_timeout)
            return answer.entries, answer.headers, pending
        finally:
            stop()
            self._connection.forget_answer(unused)
            answer.close()
            await subscription.unsubscribe()


class _Answer:
    """The frames of one answer, until the last one or until the connection breaks."""

    def __init__(self, names: Namespace, headed: bool) -> None:
        self.entries: list[Entry] = []
        self.headers: list[bytes] = []
        self._names = names
        self._headed = headed
        self._frames = 0
        self._done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_frame(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        self._frames += 1
        code = status_code(headers)
        if code == 0:
            subject, revision = stored_place(headers)
            self.entries.append(Entry(self._names.key(subject.decode()), entry_value(headers, data), int(revision)))
            if self._headed:
                self.headers.append(headers)
        elif not self._done.done():
            if code in (204, 404):
                self._done.set_result(int(header_field(headers, b"Nats-Num-Pending") or 0))
            else:
                text = headers[9:].split(b"\r\n", 1)[0].decode(errors="replace")
                self._done.set_exception(StoreUnavailable(f"reading {self._names.stream} was answered with {text}"))

    def on_state(self, state: ConnectionState) -> None:
        if state is not ConnectionState.RESTORED and not self._done.done():
            self._done.set_exception(StoreUnavailable("the connection broke while the store was read"))

    def on_denial(self, denial: asyncio.Future[tuple[bytes, bytes]]) -> None:
        """The server does not let this user ask, or nothing can be asked any more."""
        error = None if denial.cancelled() else denial.exception()
        if error is not None and not self._done.done():
            self._done.set_exception(error)

    async def complete(self, patience: float) -> int:
        """Wait for the last frame; how many messages are left behind. ``patience``: seconds without any frame."""
        while True:
            seen = self._frames
            finished, _ = await asyncio.wait((self._done,), timeout=patience)
            if finished:
                return self._done.result()
            if self._frames == seen:
                raise StoreUnavailable(f"reading {self._names.stream} stalled: no answer in time")

    def close(self) -> None:
        """The caller no longer waits for the answer: mark its error as seen."""
        if self._done.done() and not self._done.cancelled():
            self._done.exception()
