"""Which NATS subjects a process of naq needs, by its role, and no more: the table of least privilege.

A rule's subject is a pattern over the names of one namespace: ``{each}`` is each of its streams, ``{queue}`` and ``{consumer}``
each queue that the role is limited to, or any (``*``). The table is complete: a role that is refused one of its subjects
cannot do its work. What JetStream cannot tell apart is said in docs/howto/permissions.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from naq.store.keys import Namespace, check_queue

__all__ = ["RULES", "Action", "Permissions", "Role", "Rule", "permissions", "rule_of"]


class Role(StrEnum):
    """What a process does. One that does several things has several roles: ``naq run`` is scheduler, worker and client."""

    SCHEDULER = "scheduler"
    """It creates the streams, leads or stands by, fires schedules, and watches alerts."""
    WORKER = "worker"
    """It runs jobs."""
    CLIENT = "client"
    """It creates and changes schedules, enqueues and cancels jobs, limits queues, and reads all of it."""
    VIEWER = "viewer"
    """It reads everything and writes nothing."""


class Action(StrEnum):
    """What is done with a subject."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission: its roles may do this with the subject."""

    action: Action
    subject: str
    roles: frozenset[Role]
    why: str


S, W, C, V = Role.SCHEDULER, Role.WORKER, Role.CLIENT, Role.VIEWER


def _publish(subject: str, why: str, *roles: Role) -> Rule:
    return Rule(Action.PUBLISH, subject, frozenset(roles), why)


def _subscribe(subject: str, why: str, *roles: Role) -> Rule:
    return Rule(Action.SUBSCRIBE, subject, frozenset(roles), why)


RULES: Final = (
    _subscribe("{inbox}.>", "answers to what it asks", S, W, C, V),
    # --- reading
    _publish("$JS.API.INFO", "whether JetStream is there", S, W, C, V),
    _publish("$JS.API.STREAM.INFO.{each}", "whether the streams exist, and how long they are", S, W, C, V),
    _publish("$JS.API.DIRECT.GET.{each}", "records of the bucket, results, events and history", S, W, C, V),
    _publish("$JS.API.DIRECT.GET.{each}.>", "the same, one record by its key", S, W, C, V),
    _publish("$JS.API.STREAM.LIST", "'naq doctor' looks for mirrors of the bucket", C, V),
    _publish("$JS.API.CONSUMER.INFO.{stream}.{consumer}", "how many jobs wait in a queue", W, C, V),
    _publish("$JS.API.CONSUMER.CREATE.{stream}.*", "following the bucket's changes", S, W),
    _publish("$JS.API.CONSUMER.CREATE.{events}.*", "alerts that follow events", S),
    _subscribe("{namespace}.events", "hearing of new events", C, V),
    _subscribe("{namespace}_results.ended.>", "the end of a job that it waits for", W, C, V),
    # --- making what is not there
    _publish("$JS.API.STREAM.CREATE.{each}", "creating the streams", S),
    _publish("$JS.API.STREAM.UPDATE.{history}", "bringing a history stream of an older naq up to date", S),
    # --- schedules
    _publish("$KV.{namespace}.schedule.*", "creating, changing and firing schedules; the end of a run", S, W, C),
    _publish("$KV.{namespace}.set.*", "declaring a set of schedules", S, C),
    _publish("{namespace}.history.*", "what came of each nominal time", S, W, C),
    _publish("$JS.API.STREAM.PURGE.{history}", "forgetting the history of a deleted schedule", C),
    _publish("$KV.{namespace}.backup.*", "marking a moment of a backup", C),
    # --- leading
    _publish("$KV.{namespace}.lease.*", "taking, renewing and giving up the lease", S),
    _publish("$KV.{namespace}.epoch.>", "fencing off leaders of earlier terms", S),
    _publish("$KV.{namespace}.fence", "carrying a transaction's conditions", S),
    _subscribe("{namespace}.leader.>", "being asked whether it still leads", S),
    _publish("{namespace}.leader.>", "asking the leader whether it is still there", S, C),
    _publish("$KV.{namespace}.alert.>", "which alerts fire", S),
    _publish("$KV.{namespace}.watch.>", "how far its alerts have read", S),
    _publish("$KV.{namespace}.reserve.*", "space for pausing and cancelling in a full bucket", S, W, C),
    # --- jobs
    _publish("$KV.{namespace}.job.>", "enqueueing jobs, and their next attempts", S, W, C),
    _publish("$KV.{namespace}.deferred.>", "jobs for later, and delays before a next attempt", S, W, C),
    _publish("$KV.{namespace}.waiting.>", "jobs that wait for other jobs", S, W, C),
    _publish("$KV.{namespace}.unique.*", "which job is the only one of its kind", S, W, C),
    _publish("$KV.{namespace}.dead.>", "dead letters", S, W, C),
    _publish("$KV.{namespace}_results.>", "results, progress, and which jobs have ended", S, W, C),
    _publish("{namespace}_results.ended.>", "telling those who wait that a job has ended", S, W, C),
    _publish("{namespace}.events", "events", S, W, C),
    # --- running jobs
    _publish("$KV.{namespace}.worker.*", "being listed as a worker", W),
    _publish("$KV.{namespace}.slot.>", "limits of functions", W),
    _publish("$KV.{namespace}.function.*", "what was declared of functions, for jobs by name", S, W),
    _publish("$JS.API.CONSUMER.CREATE.{stream}.{consumer}.$KV.{namespace}.job.{queue}.>", "the queue's consumer", W, C),
    _publish("$JS.API.CONSUMER.PAUSE.{stream}.{consumer}", "pausing and resuming a queue", W, C),
    _publish("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", "asking for jobs", W),
    _publish("$JS.ACK.{stream}.{consumer}.>", "acknowledging jobs", W),
    _publish("$JS.ACK.*.*.{stream}.{consumer}.>", "the same, as servers with a domain write it", W),
    _publish("$JS.API.STREAM.PURGE.{stream}", "removing acknowledged jobs, many at once", W),
    _subscribe("{namespace}.control.one.*", "requests to stop a job", W),
    _subscribe("{namespace}.control.all", "requests to stop a job", W),
    _publish("{namespace}.control.>", "asking workers who has a job, and to stop it", S, W, C),
    _publish("$KV.{namespace}.queue.{queue}", "limiting and pausing queues", C),
)
"""Every permission that naq needs; each line names a subject once."""

ANSWERING: Final = frozenset({S, W})
"""Roles that are asked questions, and answer on the subject that the question names."""
LIMITED: Final = frozenset({W, C})
"""Roles that can be limited to some queues."""
ANY = "*"


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one user of the NATS server may do."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool
    """Whether it may answer: publish once to the reply subject of a message that it got."""


def permissions(
    roles: Iterable[Role], names: Namespace, *, queues: Sequence[str] = (), inbox: str = "_INBOX"
) -> Permissions:
    """The permissions of all these roles together in one namespace.

    ``queues``: those that a worker takes jobs from and a client may limit; none: all of them. Into which queue somebody
    enqueues cannot be limited. ``inbox``: where the answers arrive (the setting ``inbox_prefix``). Raises `InvalidInput` for
    a name that no queue can have.
    """
    chosen = frozenset(roles)
    some = [check_queue(queue) for queue in queues]
    found: dict[Action, dict[str, None]] = {action: {} for action in Action}
    for rule in RULES:
        whose = rule.roles & chosen
        if whose:
            of = some if some and whose <= LIMITED else [ANY]
            found[rule.action].update(dict.fromkeys(_subjects(rule.subject, names, of, inbox)))
    answers = not chosen.isdisjoint(ANSWERING)
    return Permissions(tuple(found[Action.PUBLISH]), tuple(found[Action.SUBSCRIBE]), answers)


def rule_of(action: Action, subject: str, names: Namespace, inbox: str) -> str | None:
    """The subject of the rule that permits this; ``None`` when no rule does."""
    for rule in RULES:
        if rule.action is action:
            for permitted in _subjects(rule.subject, names, [ANY], inbox):
                if _covers(permitted, subject):
                    return permitted
    return None


def _covers(pattern: str, subject: str) -> bool:
    """Whether a subject with wildcards covers another."""
    wanted, given = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(given) > place
        if place >= len(given) or token not in ("*", given[place]):
            return False
    return len(wanted) == len(given)


def _subjects(pattern: str, names: Namespace, queues: Sequence[str], inbox: str) -> Iterator[str]:
    """The subjects of a pattern, one for each stream and queue that it is about."""
    for stream in names.streams:
        for queue in queues:
            yield pattern.format(
                inbox=inbox,
                namespace=names.name,
                stream=names.stream,
                history=names.history_stream,
                events=names.events_stream,
                each=stream,
                queue=queue,
                consumer=ANY if queue == ANY else names.consumer(queue),
            )
