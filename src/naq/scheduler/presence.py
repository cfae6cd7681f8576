"""How a leader shows that it is there: it answers requests on a subject that belongs to its term alone.

When its process dies its connection closes, and NATS answers the next question itself: no responders. That is known
in a millisecond, long before the lease runs out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from naq.exceptions import StoreForbidden, StoreUnavailable
from naq.store.keys import Namespace
from naq.store.nats.connection import ConnectionService
from naq.store.nats.protocol import encode_publish, encode_request, status_code
from naq.store.port import Answer

__all__ = ["NatsPresence"]

PATIENCE = 0.2
"""Seconds a leader has to answer; after that it counts as silent, and only its lease counts."""


class _Question(msgspec.Struct, frozen=True, omit_defaults=True):
    instance_id: str = ""
    priority: int = 0
    handover: bool = False


_decoder = msgspec.json.Decoder(_Question)


class NatsPresence:
    """The `Presence` door over NATS."""

    def __init__(self, connection: ConnectionService, names: Namespace, partition: int | str = 0) -> None:
        self._connection = connection
        self._names = names
        self._partition = partition

    async def announce(self, term: str, on_handover: Callable[[str, int], None]) -> Callable[[], Awaitable[None]]:
        """Answer questions to ``term`` from now on; returns how to stop."""
        client = self._connection.client
        answers: set[asyncio.Task[None]] = set()

        def on_frame(subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
            try:
                question = _decoder.decode(data)
            except msgspec.MsgspecError:
                return
            if question.handover:
                on_handover(question.instance_id, question.priority)
            if reply:
                answer = asyncio.ensure_future(client.send(encode_publish(reply.decode(), b"{}")))
                answers.add(answer)
                answer.add_done_callback(_settled)
                answer.add_done_callback(answers.discard)

        subscription = await client.subscribe_raw(self._names.leader_subject(self._partition, term), on_frame)
        return subscription.unsubscribe

    async def ask(self, term: str, handover: tuple[str, int] | None = None, *, optional: bool = False) -> Answer:
        """Ask the holder of ``term`` whether it is there. ``optional``: that one may not ask is nothing to complain about."""
        question = _Question(*handover, handover=True) if handover is not None else _Question()
        subject = self._names.leader_subject(self._partition, term)
        reply, answer = self._connection.expect_answer((subject,), optional=optional)
        payload = msgspec.json.encode(question)
        try:
            await self._connection.client.send(encode_request(subject, reply, payload))
            async with asyncio.timeout(PATIENCE):
                headers, _ = await answer
        except (TimeoutError, StoreUnavailable, StoreForbidden):
            return Answer.SILENT
        finally:
            self._connection.forget_answer(reply)
        return Answer.GONE if status_code(headers) == 503 else Answer.ALIVE


def _settled(answer: asyncio.Task[None]) -> None:
    """A question that could not be answered, the connection being down, is asked again by the follower."""
    if not answer.cancelled():
        answer.exception()
