"""The queue of an application, so that applications that share a server do not take each other's jobs.

An application with a name has a queue of that name; its workers serve that and ``default``, where jobs are that were
enqueued before it had a name, or by clients that do not know it. Applications without a name share ``default``. That loses
nothing, because a worker passes on jobs whose function it does not know, but it is logged.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterable

from naq.config import Settings
from naq.jobs.records import WorkerInfo

__all__ = ["log_strangers", "own_queue", "served_by_default"]

DEFAULT = ("default",)

log = logging.getLogger(__name__)


def own_queue(name: str | None) -> str:
    """The queue of an application's jobs that name none: its name, with ``-`` for what a queue's name cannot have."""
    return DEFAULT[0] if name is None else re.sub(r"[^A-Za-z0-9_-]", "-", name)[:64] or DEFAULT[0]


def served_by_default(settings: Settings, name: str | None) -> Settings:
    """The settings, with the application's own queue when they name none."""
    if settings.queues != DEFAULT:
        return settings
    return dataclasses.replace(settings, queues=tuple(dict.fromkeys((own_queue(name), *DEFAULT))))


def log_strangers(here: WorkerInfo, workers: Iterable[WorkerInfo]) -> None:
    """Log when another application's worker serves the only queue of this one: it has none of its functions."""
    known = set(here.functions or ())
    for other in workers:
        shared = set(here.queues[:1]).intersection(other.queues[:1])
        if not shared or not known or not other.functions or here.allows or other.allows:
            continue
        if other.worker_id != here.worker_id and known.isdisjoint(other.functions):
            log.warning(
                "queue %s is also served by worker %s of another application, which knows none of the functions here: jobs are "
                "passed on between them. Give each application a queue of its own: Naq(name=...)",
                *shared,
                other.worker_id,
            )
            return
