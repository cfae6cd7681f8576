"""Ids of schedules and jobs, and names of queues: what they may be, and fresh ones."""

from __future__ import annotations

import re
import secrets
from functools import lru_cache

from naq.exceptions import InvalidInput

__all__ = ["check_job_id", "check_queue", "check_schedule_id", "is_queue", "new_id"]

_ID = re.compile(r"[A-Za-z0-9_=-]{1,128}")
_JOB_ID = re.compile(r"[A-Za-z0-9_=-]{1,128}(/[A-Za-z0-9_=-]{1,64}){0,2}")
_QUEUE = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_schedule_id(value: object, field: str = "schedule_id") -> str:
    """Return the id, or raise `InvalidInput`: 1 to 128 letters, digits, ``-``, ``_``, ``=``."""
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise InvalidInput.of(
            field,
            value,
            "an id is 1 to 128 letters, digits, '-', '_' or '=' (it becomes a key)",
            "daily-report",
        )
    return value


def check_job_id(value: object, field: str = "job_id") -> str:
    """Return the id, or raise `InvalidInput`: like a schedule id, with up to two ``/`` inside."""
    if not isinstance(value, str) or _JOB_ID.fullmatch(value) is None:
        raise InvalidInput.of(
            field,
            value,
            "an id is letters, digits, '-', '_', '=', in at most three parts with '/'",
            "report-2026",
        )
    return value


def check_queue(value: object, field: str = "queue") -> str:
    """Return the queue's name, or raise `InvalidInput`: 1 to 64 letters, digits, ``-``, ``_``."""
    if not isinstance(value, str) or not is_queue(value):
        raise InvalidInput.of(field, value, "a queue is 1 to 64 letters, digits, '-' or '_'", "mail")
    return value


@lru_cache(maxsize=1024)
def is_queue(name: str) -> bool:
    """Whether a queue may have this name. Cached: called at each fire, with few distinct names."""
    return _QUEUE.fullmatch(name) is not None


def new_id() -> str:
    """A fresh random id of 20 characters, for schedules and jobs without a given id."""
    return secrets.token_hex(10)
