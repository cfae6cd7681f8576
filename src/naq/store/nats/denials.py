"""What the server's permissions forbid this user: said once for each missing permission, and asked for again.

A publish that is refused fails the request that it was part of. A subscription that is refused is forgotten by the server,
also when the permission comes later and the connection stays. So it is asked for again, every few seconds, until the server
takes it or nobody wants it any more.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from math import inf

from naq.exceptions import StoreUnavailable
from naq.store.keys import Namespace
from naq.store.nats.answers import Answers
from naq.store.nats.client import RawClient
from naq.store.permissions import Action, rule_of

__all__ = ["Denials"]

DENIED = re.compile(r'Permissions Violation for (Publish|Subscription) to "([^"]*)"', re.IGNORECASE)
"""The server's words."""
ASK_AGAIN_AFTER = 5.0
"""Seconds after which a refused subscription is asked for again."""
SAY_AGAIN_AFTER = 60.0
"""Seconds after which a missing permission is logged again."""

log = logging.getLogger(__name__)


class Denials:
    """The permissions that one connection lacks."""

    def __init__(self, names: Namespace, inbox: str, answers: Answers, where: Callable[[], str]) -> None:
        """``inbox``: the prefix of this user's answers. ``where``: the servers, as text."""
        self._names = names
        self._inbox = inbox
        self._answers = answers
        self._where = where
        self._said: dict[str, float] = {}
        """Missing permission -> when it was logged (the loop's time)."""
        self.reasons: dict[str, str] = {}
        """Missing permission -> the sentence that was logged last."""
        self._refused: set[str] = set()
        """Subscriptions that are to be asked for again."""
        self._task: asyncio.Task[None] | None = None

    def met(self, client: RawClient, text: str) -> None:
        """The server sent an error. If it forbids something, that is logged, and those who wait for an answer learn it."""
        denied = DENIED.search(text)
        if denied is None:
            return
        action = Action.PUBLISH if denied[1].lower() == "publish" else Action.SUBSCRIBE
        subject = denied[2]
        rule = rule_of(action, subject, self._names, self._inbox)
        needed = f" ({rule})" if rule not in (None, subject) else ""
        reason = (
            f"NATS at {self._where()} forbids this user to {action} to {subject!r}: give it that permission{needed}"
        )
        if action is Action.PUBLISH:
            wrong = self._answers.forbid(subject, reason)
        else:
            wrong = True
            self._answers.forbid_answers(subject, reason)
            self._ask_again(client, subject)
        self._say(f"{action} {rule or subject}", reason, wrong)

    async def close(self) -> None:
        """Ask for nothing more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def _say(self, kind: str, reason: str, wrong: bool) -> None:
        if not wrong:
            log.info("%s", reason)
            return
        self.reasons[kind] = reason
        now = asyncio.get_running_loop().time()
        if now - self._said.get(kind, -inf) >= SAY_AGAIN_AFTER:
            self._said[kind] = now
            log.error("%s", reason)

    def _ask_again(self, client: RawClient, subject: str) -> None:
        self._refused.add(subject)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_asking(client), name="naq refused subscriptions")

    async def _keep_asking(self, client: RawClient) -> None:
        while self._refused:
            await asyncio.sleep(ASK_AGAIN_AFTER)
            asked, self._refused = self._refused, set()
            wanted: set[str] = set()
            try:
                wanted = await client.subscribe_again(asked)
            except StoreUnavailable:
                self._refused |= asked
            for subject in wanted - self._refused:
                log.warning("NATS at %s lets this user subscribe to %r again", self._where(), subject)
                self._answers.permit_answers(subject)
