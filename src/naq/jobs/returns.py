"""What a job returned, for the process that asks: as the function's annotation says where the function is known there.

Results are stored as JSON. A pydantic model, a dataclass, a msgspec struct, a datetime, a path and so on come back as such. The
JSON values come back of a function that is not known to the caller, and where the annotation is missing, cannot be resolved, or
is of a type that cannot be read from JSON.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from naq.exceptions import JobCancelled, JobFailed, ResultUnfit
from naq.jobs.job import JobStatus
from naq.jobs.records import StoredResult
from naq.jobs.signature import returned_type
from naq.jobs.values import convert_value, is_of_unknown_type

__all__ = ["value_of"]


def value_of(result: StoredResult, func: Callable[..., Any] | None = None) -> Any:
    """The value of a job that completed; with ``func``, its function, as that is annotated to return.

    Raises `JobFailed` or `JobCancelled` for any other job, and `ResultUnfit` for a value that is no longer what the annotation
    says.
    """
    match result.status:
        case JobStatus.COMPLETED if result.error_type is None:
            value = msgspec.json.decode(result.value)
            return value if func is None else _annotated(result.job_id, value, func)
        case JobStatus.CANCELLED:
            raise JobCancelled(result.job_id)
        case JobStatus.MISSED:
            raise JobFailed(result.job_id, "Missed", result.error or "no worker started it in time")
        case _:
            raise JobFailed(result.job_id, result.error_type or str(result.status), result.error or "")


def _annotated(job_id: str, value: Any, func: Callable[..., Any]) -> Any:
    wanted = _type_of(func)
    if wanted is Any:
        return value
    try:
        return convert_value(value, wanted)
    except Exception as error:
        if is_of_unknown_type(error):
            return value
        name = inspect.formatannotation(wanted)
        raise ResultUnfit(job_id, getattr(func, "__qualname__", str(func)), name, str(error)) from error


@functools.lru_cache(maxsize=1024)
def _type_of(func: Callable[..., Any]) -> Any:
    return returned_type(func)
