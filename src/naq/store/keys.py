"""Names in the store: keys, subjects, streams, and job ids.

A *key* is the part after the bucket's prefix: ``schedule.daily-report``. The NATS subject of a key is
``$KV.<namespace>.<key>``; only the services know that. Ids never contain a dot, so a key can always be taken apart.

The identity of a fire is its nominal time: ``job_id("daily-report", 09:00)`` is ``daily-report/20261124T090000Z``
whoever computes it, so the store can refuse the second one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from naq.store.ids import check_job_id, check_queue, check_schedule_id, is_queue, new_id

__all__ = [
    "ALERTS",
    "ALL_DEAD",
    "ALL_DEFERRED",
    "ALL_FUNCTIONS",
    "ALL_JOBS",
    "ALL_QUEUES",
    "ALL_SCHEDULES",
    "ALL_SLOTS",
    "ALL_UNIQUE",
    "ALL_WAITING",
    "ALL_WORKERS",
    "FENCE",
    "LANES",
    "RESTORING",
    "Namespace",
    "alert_key",
    "attempt_log_key",
    "attempt_patterns",
    "backfill_job_id",
    "backup_key",
    "check_job_id",
    "check_queue",
    "check_schedule_id",
    "dead_key",
    "deferred_key",
    "ended_key",
    "epoch_key",
    "fits_schedule",
    "function_key",
    "is_attempt_of",
    "is_dead",
    "is_deferred",
    "is_queue",
    "job_id",
    "job_id_in",
    "job_key",
    "jobs_of",
    "kind_of_fire",
    "lease_key",
    "manual_job_id",
    "name_in",
    "new_id",
    "parse_job_key",
    "queue_in",
    "queue_key",
    "reserve_key",
    "result_part_key",
    "schedule_id_of",
    "schedule_key",
    "set_key",
    "slot_key",
    "slot_pattern",
    "starts_key",
    "unique_key",
    "waiting_key",
    "watch_key",
    "watch_partition",
    "worker_key",
]

LANES: Final = 8
"""Maximum number of fire transactions that one leader has in flight. Each has an epoch key of its own: a clustered server
refuses a second batch that is conditional on a key while a first one still is."""

FENCE: Final = "fence"
"""The key whose messages carry the condition "that other key still has this revision"; its value is not used."""

ALERTS: Final = "alert"

RESTORING: Final = "restoring"
"""The key that is there while a backup is being restored."""

ALL_JOBS: Final = "job.>"
ALL_DEFERRED: Final = "deferred.>"
ALL_DEAD: Final = "dead.>"
ALL_SCHEDULES: Final = "schedule.>"
ALL_QUEUES: Final = "queue.>"
ALL_WORKERS: Final = "worker.>"
ALL_WAITING: Final = "waiting.>"
ALL_SLOTS: Final = "slot.>"
ALL_UNIQUE: Final = "unique.>"
ALL_FUNCTIONS: Final = "function.>"

_PART = re.compile(r"[A-Za-z0-9_=/-]{1,300}")


def instant_text(instant: datetime) -> str:
    """``20261124T090000Z``, with ``_123456`` before the ``Z`` when there are microseconds."""
    return _utc_text(instant if instant.tzinfo is UTC else instant.astimezone(UTC))


@lru_cache(maxsize=1024)
def _utc_text(utc: datetime) -> str:
    """Many schedules share an instant. Not kept for other zones: there two instants may compare equal (``fold``)."""
    fraction = f"_{utc.microsecond:06d}" if utc.microsecond else ""
    return f"{utc.year:04d}{utc.month:02d}{utc.day:02d}T{utc.hour:02d}{utc.minute:02d}{utc.second:02d}{fraction}Z"


def job_id(schedule_id: str, nominal_at: datetime) -> str:
    """The identity of a scheduled fire: the schedule and its nominal time."""
    return f"{schedule_id}/{instant_text(nominal_at)}"


def manual_job_id(schedule_id: str) -> str:
    """A fresh identity for "trigger now": two within one second are two jobs."""
    return f"{schedule_id}/manual-{secrets.token_hex(8)}"


def backfill_job_id(schedule_id: str, backfill_id: str, nominal_at: datetime) -> str:
    """The identity of one fire of a backfill, so that a backfill can be resumed without repeating one."""
    return f"{schedule_id}/backfill-{backfill_id}/{instant_text(nominal_at)}"


def kind_of_fire(identity: str) -> str | None:
    """``by hand`` or ``backfill`` for the id of such a fire; ``None`` for a nominal time's own, and for an ad-hoc job."""
    _, _, rest = identity.partition("/")
    if rest.startswith("manual-"):
        return "by hand"
    return "backfill" if rest.startswith("backfill-") else None


def schedule_id_of(identity: str) -> str | None:
    """The schedule that a derived job id belongs to; ``None`` for an ad-hoc job."""
    head, slash, _ = identity.partition("/")
    return head if slash else None


def schedule_key(schedule_id: str) -> str:
    """Where a schedule's record is."""
    return f"schedule.{schedule_id}"


def job_key(queue: str, identity: str, attempt: int = 1) -> str:
    """The key of a queued attempt; the first attempt has no number suffix."""
    return f"job.{queue}.{identity}" if attempt == 1 else f"job.{queue}.{identity}.{attempt}"


def parse_job_key(key: str) -> tuple[str, str, int]:
    """Queue, job id and attempt of a job's key. Raises `ValueError` for any other key."""
    parts = key.split(".")
    if parts[0] != "job" or len(parts) not in (3, 4):
        raise ValueError(f"{key!r} is not the key of a job")
    return parts[1], parts[2], int(parts[3]) if len(parts) == 4 else 1


def fits_schedule(identity: str, schedule_id: str | None) -> bool:
    """Whether a job with this id may be one of that schedule; ``None``: of no schedule."""
    return schedule_id is None or identity.startswith(f"{schedule_id}/")


def jobs_of(queue: str) -> str:
    """The pattern of all jobs in one queue; ``*`` for any queue."""
    return f"job.{queue}.>"


def attempt_patterns(identity: str) -> list[str]:
    """The patterns under which the attempts of a job can be found, queued or deferred."""
    return [f"job.*.{identity}", f"job.*.{identity}.*", f"deferred.{identity}.*"]


def is_attempt_of(key: str, identity: str) -> bool:
    """Whether a key is that of a queued or deferred attempt of a job."""
    family, _, rest = key.partition(".")
    if family not in ("job", "deferred"):
        return False
    rest = rest.partition(".")[2] if family == "job" else rest
    return rest == identity or rest.startswith(f"{identity}.")


def job_id_in(key: str) -> str:
    """The job that a key under ``job.``, ``deferred.`` or ``dead.`` belongs to. For a key that naq does not write
    (``job.x``) it is some part of it."""
    parts = key.split(".")
    return parts[2] if parts[0] == "job" and len(parts) > 2 else parts[1]


def queue_in(key: str) -> str:
    """The queue that a key under ``job.`` belongs to."""
    return key.split(".")[1]


def name_in(key: str) -> str:
    """The part after the first dot: the name of a schedule, queue, worker or dead job."""
    return key.partition(".")[2]


def deferred_key(identity: str, attempt: int = 1) -> str:
    """The key of a deferred attempt."""
    return f"deferred.{identity}.{attempt}"


def is_deferred(key: str) -> bool:
    """Whether a key is that of a deferred job."""
    return key.startswith("deferred.")


def dead_key(identity: str) -> str:
    """The key of a dead letter."""
    return f"dead.{identity}"


def is_dead(key: str) -> bool:
    """Whether a key is that of a dead letter."""
    return key.startswith("dead.")


def waiting_key(depends_on: str, identity: str) -> str:
    """The note that job ``identity`` waits for ``depends_on``; ``*`` for any job that waits for it."""
    return f"waiting.{depends_on}.{identity}"


def queue_key(queue: str) -> str:
    """Where the limits of a queue are."""
    return f"queue.{queue}"


def worker_key(worker_id: str) -> str:
    """The key of a worker's presence record."""
    return f"worker.{worker_id}"


def slot_key(func: str, number: int | str) -> str:
    """The key of one slot of a function with a limit."""
    return f"slot.{hashlib.blake2b(func.encode(), digest_size=8).hexdigest()}.{number}"


def slot_pattern(func: str) -> str:
    """All slots of a function."""
    return slot_key(func, "*")


def function_key(name: str) -> str:
    """Where the declared options of a function are."""
    return f"function.{key_part(name)}"


def unique_key(func: str, text: str) -> str:
    """Which job of a function holds a unique key."""
    return f"unique.{hashlib.blake2b(f'{func} {text}'.encode(), digest_size=16).hexdigest()}"


def starts_key(identity: str, attempt: int) -> str:
    """The key that counts starts of an attempt without an end (in the results bucket)."""
    return f"starts.{identity}.{attempt}"


def result_part_key(identity: str, number: int) -> str:
    """One part of a large result (in the bucket of results, where a job's id alone is the key of its result)."""
    return f"{identity}.{number}"


def ended_key(identity: str) -> str:
    """That a job ended, for longer than its result is kept (in the bucket of results)."""
    return f"ended.{identity}"


def attempt_log_key(identity: str, place: int | str) -> str:
    """What an attempt logged (in the bucket of results); ``*`` for those of any attempt."""
    return f"log.{identity}.{place}"


def lease_key(partition: int | str = 0) -> str:
    """Who leads a partition."""
    return f"lease.{partition}"


def epoch_key(lane: int, partition: int | str = 0) -> str:
    """The key that fences a lane's fire transactions; it changes only when leadership does."""
    return f"epoch.{partition}.{lane}"


def alert_key(application: str, name: str, subject: str) -> str:
    """The key of one subject's alert record."""
    return f"{ALERTS}.{key_part(application)}.{name}.{key_part(subject)}"


def watch_key(application: str, name: str | None = None) -> str:
    """The key of the event position of an application's alerts; with ``name``, of the standings of one alert."""
    whole = f"watch.{key_part(application)}"
    return whole if name is None else f"{whole}.{name}"


def set_key(name: str) -> str:
    """The key of the release that last declared a set of schedules."""
    return f"set.{key_part(name)}"


def reserve_key(number: int) -> str:
    """A record that only takes up space, for when the bucket is full."""
    return f"reserve.{number}"


def watch_partition(application: str) -> str:
    """The partition whose lease elects the watcher of an application's alerts."""
    return f"alerts-{key_part(application)}"


def backup_key(token: str) -> str:
    """The key that marks a moment of a backup (in the bucket and in that of results)."""
    return f"backup.{token}"


def key_part(name: str) -> str:
    """Any name as one part of a key: as it is but for dots and colons (``reports.daily:send``), or its digest if it has
    other characters that a key cannot have."""
    part = name.replace(".", "=").replace(":", "/")
    if _PART.fullmatch(part):
        return part
    return hashlib.sha256(name.encode()).hexdigest()[:32]


class Namespace:
    """The names of one namespace's streams and subjects."""

    __slots__ = ("name", "prefix")

    def __init__(self, name: str) -> None:
        self.name = name
        self.prefix = f"$KV.{name}."

    @property
    def stream(self) -> str:
        """The stream behind the bucket."""
        return f"KV_{self.name}"

    @property
    def events_stream(self) -> str:
        """The stream of events, limited by age."""
        return f"{self.name}_events"

    @property
    def history_stream(self) -> str:
        """The stream of run history: one subject for each schedule, limited by count and age."""
        return f"{self.name}_history"

    @property
    def results_bucket(self) -> str:
        """The bucket of results, each with its own TTL."""
        return f"{self.name}_results"

    @property
    def streams(self) -> tuple[str, ...]:
        """All of its streams."""
        return (self.stream, f"KV_{self.results_bucket}", self.events_stream, self.history_stream)

    @property
    def events_subject(self) -> str:
        """Where events are published."""
        return f"{self.name}.events"

    def history_subject(self, schedule_id: str) -> str:
        """The subject of a schedule's history."""
        return f"{self.name}.history.{schedule_id}"

    def leader_subject(self, partition: int | str, term: str) -> str:
        """The subject on which the leader of a term answers."""
        return f"{self.name}.leader.{partition}.{term}"

    def consumer(self, queue: str) -> str:
        """The durable consumer of one queue's workers."""
        return f"worker_{queue}"

    def subject(self, key: str) -> str:
        """The NATS subject of a key or key pattern."""
        return self.prefix + key

    def key(self, subject: str) -> str:
        """The key of a NATS subject."""
        return subject[len(self.prefix) :]
