"""The table of conditions: what can be wrong, how bad it is, which face sees it, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CONDITIONS", "Condition", "Finding", "Level", "Seen", "few", "fine", "found", "size_text"]


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Seen(StrEnum):
    """What `naq verify` makes of a condition."""

    FAILS = "exit 1"
    """It reports the fires that are missing, or the schedule."""
    CANNOT_ASK = "exit 3"
    """It cannot read the store."""
    NO = "no"
    """It is about fires, and this is not."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that can be wrong."""

    code: str
    subject: str
    """What doctor was looking at: server, bucket, leader, ..."""
    meaning: str
    level: Level
    """At most: a check may find a mild form of it, and warn."""
    ready: bool
    """Whether schedules fire and jobs can be enqueued all the same: `naq health ready` exits with 0."""
    verify: Seen
    remedy: str
    """What to do, where the finding has nothing more exact."""


E, W = Level.ERROR, Level.WARNING
_TABLE = (
    Condition(
        "no-connection", "server", "the server cannot be reached, or refuses the connection", E, False, Seen.CANNOT_ASK,
        "start the server, check address and credentials, raise its max_connections",
    ),
    Condition(
        "no-answer", "store", "the server is there, and JetStream or the bucket does not answer", E, False,
        Seen.CANNOT_ASK, "switch JetStream on (nats-server -js); in a cluster wait for its leader",
    ),
    Condition(
        "forbidden", "permissions", "the server refuses this user a permission that it needs", E, False, Seen.CANNOT_ASK,
        "give the user the permission that is named",
    ),
    Condition(
        "clock-off", "clock", "a clock differs from the server's: a warning from 0.5 s, an error from 5 s on", E, False,
        Seen.NO, "synchronise the clocks (NTP): times are early or late by this much",
    ),
    Condition(
        "clock-unknown", "clock", "the server does not send its time", W, True, Seen.NO, "upgrade the server",
    ),
    Condition(
        "zones-old", "time zones", "the newest zone data of this machine is more than half a year old", W, True, Seen.NO,
        "upgrade the tzdata package (pip install -U tzdata), or give a directory: zone_data",
    ),
    Condition(
        "zones-differ", "time zones", "leader, workers and this process have different releases of the zone data", W, True,
        Seen.NO, "give all of them the same release: schedules fire by the leader's",
    ),
    Condition(
        "torn-batches", "server", "a lone server older than 2.15 can lose a part of a transaction at a power failure", E,
        True, Seen.NO, "upgrade the server to 2.15 or newer, or use a cluster and three replicas",
    ),
    Condition(
        "no-namespace", "bucket", "nothing was ever stored in this namespace", E, False, Seen.FAILS,
        "check the namespace, or start a scheduler, which makes it",
    ),
    Condition(
        "bucket-unsuitable", "bucket", "the bucket limits or expires its records, or lacks what naq needs", E, False,
        Seen.CANNOT_ASK, "run the nats stream edit command that is named",
    ),
    Condition(
        "mirrored", "bucket", "another stream mirrors the bucket, and may answer reads with old records", E, True,
        Seen.NO, "remove the mirror, and copy with sources instead",
    ),
    Condition(
        "space", "space", "the bucket or the account is full: a warning from 80 % on, an error from 95 % on", E, False,
        Seen.NO, "raise the limit that is named, or remove jobs and schedules that are not needed",
    ),
    Condition(
        "few-replicas", "replicas", "a stream has fewer replicas than the settings say, or one on a cluster", E, True,
        Seen.NO, "naq store replicas N",
    ),
    Condition("replica-behind", "replicas", "a replica does not keep up", W, True, Seen.NO, "check those nodes"),
    Condition(
        "sync-unknown", "sync on write", "one replica on a server that may not sync each write", W, True, Seen.NO,
        "set jetstream { sync_interval: always } on the server, or a power failure can lose acknowledged writes",
    ),
    Condition(
        "no-leader", "leader", "no scheduler leads: an error when a schedule is due, else a warning", E, False,
        Seen.FAILS, "start a scheduler (naq scheduler)",
    ),
    Condition(
        "lease-unreadable", "leader", "the record of the leader cannot be read", E, False, Seen.NO,
        "delete the key; a scheduler creates it again",
    ),
    Condition(
        "overdue", "schedule", "schedules have been due for more than 10 s, and were not fired", E, False, Seen.FAILS,
        "see the leader's log, and naq schedule show",
    ),
    Condition(
        "quarantined", "schedule", "a schedule's record cannot be read or planned: it does not fire", E, True,
        Seen.FAILS, "repair the record, or delete it (naq schedule delete)",
    ),
    Condition(
        "decided-ahead", "schedule", "a scheduler's clock was ahead and decided a time too early", E, True, Seen.FAILS,
        "plan it again: naq schedule aim",
    ),
    Condition(
        "record-unreadable", "record", "a record of a queue, worker, alert, set or dependency cannot be read", E, True,
        Seen.NO, "upgrade this naq if a newer one wrote it, else repair the record or delete its key",
    ),
    Condition(
        "refused-end", "end of a job", "the end of a job could not be written", E, True, Seen.NO,
        "see why: naq job show",
    ),
    Condition(
        "consumer-paused", "queue", "the consumer of a queue is paused, and naq did not do it: its jobs wait", E, True,
        Seen.NO, "nats consumer resume, or naq queue limit QUEUE --pause to pause it as naq does",
    ),
    Condition(
        "worker-stuck", "worker", "a worker holds jobs that were told to stop and do not end", E, True, Seen.NO,
        "restart that worker; run such jobs with executor='process'",
    ),
    Condition(
        "worker-blocked", "worker", "a job blocks a worker's event loop", W, True, Seen.NO,
        "see where: naq events --type worker_blocked --since 1h",
    ),
    Condition("queue-paused", "queue", "a paused queue has jobs", W, True, Seen.NO, "naq queue limit QUEUE --resume"),
    Condition("queue-unserved", "queue", "a queue has jobs and no worker", W, True, Seen.NO, "start a worker for it"),
    Condition(
        "dead-letters", "dead letters", "there are jobs that will not be retried", W, True, Seen.NO,
        "see naq job dead, then naq job requeue or naq job purge",
    ),
)  # fmt: skip
CONDITIONS = {each.code: each for each in _TABLE}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    level: Level
    subject: str
    found: str
    remedy: str | None = None
    """What to do; ``None`` when it is fine."""
    code: str | None = None
    """The condition (`CONDITIONS`); ``None`` when it is fine."""

    @property
    def keeps_ready(self) -> bool:
        """Whether schedules fire and jobs can be enqueued in spite of it."""
        return self.code is None or self.level is not Level.ERROR or CONDITIONS[self.code].ready


def fine(subject: str, text: str) -> Finding:
    """Nothing is wrong there."""
    return Finding(Level.OK, subject, text)


def found(code: str, text: str, remedy: str | None = None, *, mild: bool = False) -> Finding:
    """A condition holds. ``mild``: a warning, though it can be an error."""
    condition = CONDITIONS[code]
    level = Level.WARNING if mild else condition.level
    return Finding(level, condition.subject, text, remedy or condition.remedy, code)


def few(findings: Iterable[Finding], most: int = 20) -> list[Finding]:
    """The first of many findings of one sort, and how many more there are."""
    every = list(findings)
    if len(every) <= most:
        return every
    last = every[most]
    return [*every[:most], Finding(last.level, last.subject, f"and {len(every) - most} more", last.remedy, last.code)]


def size_text(size: float) -> str:
    """A number of bytes in a unit that says something: ``312 B``, ``4.2 KB``, ``1.5 GB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
