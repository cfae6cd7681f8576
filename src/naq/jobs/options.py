"""The options of a job as keyword arguments, typed for checkers: what `Naq.job` and `Naq.schedule` take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, TypedDict

from naq.jobs.keying import UniqueKey
from naq.timing.backoff import Backoff

__all__ = ["JobOptions", "RunOptions"]


class RunOptions(TypedDict, total=False):
    """The fields of `naq.Job` that say where and how it runs; their meaning and defaults are given there."""

    queue: str
    retries: int
    backoff: Backoff | float | str
    retry_on: Sequence[type[BaseException] | str]
    timeout: float | timedelta | str | None
    result_ttl: float | timedelta | str | None
    executor: Literal["auto", "process"]
    max_concurrent: int | None


class JobOptions(RunOptions, total=False):
    """The fields of `naq.Job` besides its function, id and arguments."""

    depends_on: Sequence[str]
    depends_when: Literal["succeeded", "failed", "ended"]
    key: UniqueKey | None
    unique_for: float | timedelta | str | None
    unique_key: UniqueKey | None
    expires: float | timedelta | str | None
