"""Requests on one shared reply subject, and the answers that are still expected.

nats-py makes a subscription or a parsed message for each request; here one subscription hands raw frames to the future of
the request that they answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from naq.exceptions import StoreError, StoreForbidden, StoreUnavailable
from naq.store.nats.client import RawClient, RawSubscription

__all__ = ["Answers"]


class Answers:
    """Answers that are waited for, each with the subjects on which its question was sent."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Asked] = {}
        self._prefix = ""
        self._subscription: RawSubscription | None = None
        self._count = 0
        self._forbidden = ""
        """Why no answer can arrive: the server does not let this user subscribe to them."""

    async def listen(self, client: RawClient) -> None:
        """Receive answers by ``client`` from now on."""
        self._prefix = client.new_inbox() + "."
        self._subscription = await client.subscribe_raw(self._prefix + "*", self._on_answer)

    def expect(
        self, subjects: Sequence[str] = (), *, optional: bool = False
    ) -> tuple[str, asyncio.Future[tuple[bytes, bytes]]]:
        """A fresh reply subject and the future of its answer: header block and payload.

        When the connection is lost first, the future gets `StoreUnavailable`; when the server says that the user may not
        publish to one of ``subjects``, on which the question is sent, `StoreForbidden`. Call `forget` in the end.
        ``optional``: whoever asks can do without an answer, so that a missing permission is nothing to complain about.
        """
        self._count += 1
        token = str(self._count)
        future: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[token] = asked = _Asked(future, subjects, optional)
        if self._forbidden:
            asked.fail(StoreForbidden(self._forbidden))
        return self._prefix + token, future

    def forget(self, reply: str) -> None:
        """The answer on this reply subject is no longer waited for."""
        asked = self._waiting.pop(reply[len(self._prefix) :], None)
        if asked is not None and not asked.answer.done():
            asked.answer.cancel()

    def forbid(self, subject: str, reason: str) -> bool:
        """The server refused a publish on ``subject``: fail the requests that were sent on it. Whether that is wrong: at least
        one needs its answer, or none is known."""
        refused = [asked for asked in self._waiting.values() if not asked.answer.done() and subject in asked.subjects]
        for asked in refused:
            asked.fail(StoreForbidden(reason))
        return not refused or not all(asked.optional for asked in refused)

    def forbid_answers(self, subject: str, reason: str) -> None:
        """The server refused the subscription to ``subject``: if answers were to arrive there, fail all requests."""
        if subject != f"{self._prefix}*":
            return
        self._forbidden = reason
        for asked in self._waiting.values():
            if not asked.answer.done():
                asked.fail(StoreForbidden(reason))

    def permit_answers(self, subject: str) -> None:
        """The server took the subscription to ``subject``: if it is that of the answers, requests can be sent again."""
        if subject == f"{self._prefix}*":
            self._forbidden = ""

    def lose(self, reason: str) -> None:
        """The connection is gone: fail every request that has no answer yet."""
        waiting, self._waiting = self._waiting, {}
        for asked in waiting.values():
            if not asked.answer.done():
                asked.fail(StoreUnavailable(reason))

    def _on_answer(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        asked = self._waiting.pop(subject[len(self._prefix) :].decode(), None)
        if asked is not None and not asked.answer.done():
            asked.answer.set_result((headers, data))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that waits for its answer, and the subjects on which it was sent."""

    answer: asyncio.Future[tuple[bytes, bytes]]
    subjects: Sequence[str]
    optional: bool

    def fail(self, error: StoreError) -> None:
        """There will be no answer."""
        self.answer.set_exception(error)
        self.answer.exception()  # marked as seen: the caller may have given up
