"""The stored state of an application's alerts: the alerts, the standings of their subjects, and the position in the events.

Each step is one transaction that commits only during the watcher's term: a watcher that was replaced writes nothing, and its
successor continues from exactly that state.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

import msgspec

from naq.exceptions import RecordUnreadable, StoreUnavailable
from naq.observe.alerts.alert import AlertRecord
from naq.observe.alerts.board import Board, Changes, Key, WatchedRule
from naq.observe.alerts.standing import Standing
from naq.store.codec import decode, encode
from naq.store.keys import ALERTS, alert_key, key_part, watch_key
from naq.store.port import Check, Committed, Delete, Put, Store, Write
from naq.store.records import readable

__all__ = ["Memory", "Position", "stored_alerts"]

log = logging.getLogger(__name__)

RESOLVED_TTL = 7 * 86_400
"""Seconds for which a resolved alert is kept."""
AT_ONCE = 400
"""Alerts per transaction. More change at once only when schedules or declarations were removed, which is detected again."""
MOST_FACTS = 500_000
"""Limit in bytes for the stored standings of one alert; the oldest ones are kept."""


class Position(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How far the stream of events was processed."""

    v: int = 1
    sequence: int
    """The next message of the stream."""
    skip: int = 0
    """How many of its events were already processed."""
    sent: Mapping[str, int] = {}
    """The next message for each sink of events."""


class _Facts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    v: int = 1
    rule: str
    standings: tuple[Standing, ...] = ()


class Memory:
    """Loads and stores the board of one application."""

    def __init__(self, store: Store, application: str, beginning: int = 0) -> None:
        """``beginning``: the sequence in the stream of events at which a new application starts."""
        self.application = application
        self._store = store
        self._beginning = beginning

    async def load(self, rules: Mapping[str, WatchedRule], now: datetime) -> tuple[Board, Position]:
        """The stored board with its position, or an empty one at the beginning.

        Alerts that are no longer declared, or whose rule changed, are resolved. Raises `StoreError`.
        """
        entry = await self._store.get(watch_key(self.application))
        position = Position(sequence=self._beginning)
        if entry is not None and entry.value is not None:
            position = decode(Position, entry.key, entry.value)
        standings = {name: await self._standings(name, str(each.rule)) for name, each in rules.items()}
        pattern = f"{ALERTS}.{key_part(self.application)}.>"
        records = {_key(record): record async for record in _records(self._store, pattern)}
        board = Board(self.application, rules, records, standings)
        for key, record in records.items():
            watched = rules.get(key[0])
            if watched is None:
                board.end(key, "the alert is no longer declared", now)
            elif str(watched.rule) != record.alert.rule:
                board.end(key, "the alert's rule was changed", now)
        return board, position

    async def commit(self, fence: Check, board: Board, position: Position, *, all_facts: bool) -> Changes:
        """Store what changed, and return it. Standings are stored together with changed alerts, or with ``all_facts``.

        Raises `StoreUnavailable` when it was not stored or the result is unknown; then load the board again.
        """
        changes = board.take()
        puts = [self._put(key, record) for key, record in changes.records.items()]
        while len(puts) > AT_ONCE:
            await self._transact([fence, *puts[:AT_ONCE]])
            puts = puts[AT_ONCE:]
        last: list[Write] = [fence, *puts, Put(watch_key(self.application), encode(position))]
        if all_facts or changes:
            for name in board.unsaved:
                facts = _Facts(rule=str(board.rule(name)), standings=_worth_storing(name, board.standings(name)))
                last.append(Put(watch_key(self.application, name), encode(facts)))
            board.unsaved.clear()
        await self._transact(last)
        for key in changes.records:
            board.forget_notified(key)
        return changes

    def _put(self, key: Key, record: AlertRecord) -> Put:
        ttl = None if record.firing or record.untold else RESOLVED_TTL
        return Put(alert_key(self.application, *key), encode(record), ttl=ttl)

    async def _transact(self, writes: Sequence[Write]) -> None:
        outcome = await self._store.transact(writes)
        if not isinstance(outcome, Committed):
            raise StoreUnavailable(f"the state of the alerts was not stored: {outcome.reason}")

    async def clean(self, rules: Mapping[str, WatchedRule]) -> None:
        """Remove the standings of alerts that are no longer declared."""
        prefix = watch_key(self.application) + "."
        async for entries in self._store.scan(prefix + "*"):
            gone = [
                each.key for each in entries if each.value is not None and each.key.removeprefix(prefix) not in rules
            ]
            if gone:
                await self._store.transact([Delete(key) for key in gone])

    async def _standings(self, name: str, rule: str) -> tuple[Standing, ...]:
        entry = await self._store.get(watch_key(self.application, name))
        if entry is None or entry.value is None:
            return ()
        try:
            facts = decode(_Facts, entry.key, entry.value)
        except RecordUnreadable as error:
            if error.newer:
                raise
            return ()
        return facts.standings if facts.rule == rule else ()


def _worth_storing(name: str, standings: Sequence[Standing]) -> tuple[Standing, ...]:
    left = MOST_FACTS
    for number, standing in enumerate(standings):
        left -= len(encode(standing))
        if left < 0:
            log.warning(
                "alert %s has %d subjects, too many to store: the next watcher will know only %d",
                name,
                len(standings),
                number,
            )
            return tuple(standings[:number])
    return tuple(standings)


async def stored_alerts(store: Store) -> list[AlertRecord]:
    """The alerts of all applications, the newest first; resolved ones are included for a week.

    Raises `StoreError` when the store cannot be read.
    """
    found = {(record.alert.application, *_key(record)): record async for record in _records(store, f"{ALERTS}.>")}
    return sorted(found.values(), key=lambda record: record.alert.since, reverse=True)


async def _records(store: Store, pattern: str) -> AsyncIterator[AlertRecord]:
    async for entries in store.scan(pattern):
        for _, record in readable(AlertRecord, entries, log):
            yield record


def _key(record: AlertRecord) -> Key:
    return record.alert.name, record.alert.subject
