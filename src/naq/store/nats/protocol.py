"""Bytes of the NATS protocol that naq writes and reads itself: batches, header fields, delivery subjects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from naq.exceptions import TransactionTooLarge

__all__ = [
    "BATCH_LIMIT",
    "OPENED_FOR",
    "Delivery",
    "Message",
    "encode_batch",
    "encode_ending",
    "encode_opening",
    "encode_publish",
    "encode_request",
    "encode_single",
    "header_field",
    "parse_delivery",
    "status_code",
    "stored_place",
]

OPENED_FOR = 8.0
"""Seconds for which an opened batch may wait for the rest; the server gives up after ten."""
STORED_PLACE = re.compile(rb"\r\nNats-Subject: (\S+)\r\nNats-Sequence: (\d+)\r\n")
BATCH_LIMIT = 1000
"""Messages that the server accepts in one atomic batch."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message to publish: subject, header lines (``Name: value\\r\\n`` each), payload."""

    subject: str
    headers: str
    payload: bytes


def encode_batch(
    messages: Sequence[Message], reply: str, max_payload: int, batch: str, *, opened: bool = False
) -> bytes:
    """An atomic batch as one buffer; only its last message asks for an answer, at ``reply``.

    ``opened``: the first message was sent before (`encode_opening`), and the others follow.

    Raises `TransactionTooLarge` when it has more than `BATCH_LIMIT` messages, or one is larger than the server accepts.
    """
    last = len(messages)
    if last > BATCH_LIMIT:
        raise TransactionTooLarge(
            f"a transaction of {last} messages is more than the {BATCH_LIMIT} that the server commits at once: split it"
        )
    parts: list[bytes] = []
    for number in range(2 if opened else 1, last + 1):
        message = messages[number - 1]
        commit = "Nats-Batch-Commit: 1\r\n" if number == last else ""
        headers = f"{_place(batch, number)}{message.headers}{commit}"
        _write(parts, message, headers, reply if number == last else "", max_payload)
    return b"".join(parts)


def encode_opening(message: Message, batch: str) -> bytes:
    """The first message of a batch that is committed later, within `OPENED_FOR` seconds, by `encode_batch`."""
    parts: list[bytes] = []
    headers = f"{_place(batch, 1)}{message.headers}"
    _write(parts, message, headers, "", len(headers) + 64)
    return b"".join(parts)


def encode_ending(subject: str, batch: str) -> bytes:
    """What has the server drop a batch: a message that cannot be the next one. No batch is opened by it."""
    return encode_publish(subject, b"", _place(batch, BATCH_LIMIT + 1))


def _place(batch: str, number: int) -> str:
    return f"Nats-Batch-Id: {batch}\r\nNats-Batch-Sequence: {number}\r\n"


def encode_single(message: Message, reply: str, max_payload: int) -> bytes:
    """One message that asks for an answer at ``reply``. Raises `TransactionTooLarge` as `encode_batch` does."""
    parts: list[bytes] = []
    _write(parts, message, message.headers, reply, max_payload)
    return b"".join(parts)


def _write(parts: list[bytes], message: Message, headers: str, reply: str, max_payload: int) -> None:
    head = f"NATS/1.0\r\n{headers}\r\n"
    size = len(head) + len(message.payload)
    if size > max_payload:
        raise TransactionTooLarge(
            f"the record for {message.subject} is {size} bytes with its headers, and the server accepts {max_payload}: "
            "make it smaller, or raise max_payload in the server's configuration"
        )
    line = f"HPUB {message.subject} {reply} {len(head)} {size}\r\n{head}"
    parts += (line.encode("ascii"), message.payload, b"\r\n")


def encode_publish(subject: str, payload: bytes, headers: str = "") -> bytes:
    """One message that asks for no answer."""
    if not headers:
        return b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload)
    head = f"NATS/1.0\r\n{headers}\r\n".encode()
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (subject.encode(), len(head), len(head) + len(payload), head, payload)


def encode_request(subject: str, reply: str, payload: bytes) -> bytes:
    """One message that asks for an answer at ``reply``."""
    return b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), len(payload), payload)


def header_field(headers: bytes, name: bytes) -> bytes | None:
    """The value of one header field (``b"Nats-Sequence"``), ``None`` when it is not there."""
    start = headers.find(b"\r\n" + name + b": ")
    if start < 0:
        return None
    start += len(name) + 4
    return headers[start : headers.index(b"\r\n", start)]


def stored_place(headers: bytes) -> tuple[bytes, bytes]:
    """Subject and sequence of a message that direct get delivers; the server writes them side by side, behind the
    message's own headers. Empty and ``0`` when they are not there."""
    found = STORED_PLACE.search(headers)
    return (b"", b"0") if found is None else (found[1], found[2])


def status_code(headers: bytes) -> int:
    """The inline status of a frame (404, 503, 100, 204), 0 when it has none."""
    if headers[8:9] != b" ":
        return 0
    code = headers[9:12]
    return int(code) if code.isdigit() else 0


class Delivery(NamedTuple):
    """What a consumer's reply subject says of a message."""

    stream_seq: int
    consumer_seq: int
    delivered: int
    """How often it was handed out, counting this time."""
    pending: int


def parse_delivery(reply: bytes) -> Delivery:
    """Read ``$JS.ACK....``; both the nine-token form and the one with domain and account."""
    tokens = reply.split(b".")
    first = 4 if len(tokens) == 9 else 6
    return Delivery(int(tokens[first + 1]), int(tokens[first + 2]), int(tokens[first]), int(tokens[first + 4]))
