"""Results of other jobs as arguments (`naq.after`).

The stored job has ``null`` in their place, and a `Take` for each that says whose result belongs where. When one of the other
jobs has ended, its result is written into the record of the job that waits, so that it may expire before that one runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from naq.exceptions import InvalidJob
from naq.jobs.job import Job, JobSpec, JobStatus, Take
from naq.jobs.job_id import After
from naq.jobs.records import StoredResult

__all__ = ["fill", "split_takes", "with_takes", "without_value"]

DEEPEST = 20
"""Levels of lists and dicts in which `After` is looked for."""

Path = tuple[str | int, ...]


def split_takes(job: Job) -> tuple[Job, tuple[Take, ...]]:
    """The job with ``None`` in the place of each `After` among its arguments, and these places."""
    takes: list[Take] = []
    args, kwargs = job.args, job.kwargs
    if isinstance(args, Sequence) and not isinstance(args, str) and _is_there(list(args), DEEPEST):
        args = _without(list(args), ("args",), takes)
    if isinstance(kwargs, Mapping) and _is_there(dict(kwargs), DEEPEST):
        kwargs = _without(dict(kwargs), ("kwargs",), takes)
    return (dataclasses.replace(job, args=args, kwargs=kwargs) if takes else job), tuple(takes)


def with_takes(spec: JobSpec, takes: Sequence[Take]) -> JobSpec:
    """The job with these places to be filled. Raises `InvalidJob` when it would also run after jobs that failed."""
    if not takes:
        return spec
    if spec.depends_when != "succeeded":
        reason = "must be 'succeeded' when an argument is the result of another job"
        raise InvalidJob.of("job.depends_when", spec.depends_when, reason, "succeeded")
    others = dict.fromkeys([*spec.depends_on, *(take.job_id for take in takes)])
    return msgspec.structs.replace(spec, takes=tuple(takes), depends_on=tuple(others))


def without_value(job_id: str, result: StoredResult | None) -> str | None:
    """Why the value of a job that completed cannot be taken; ``None`` when it can."""
    if result is None or result.status is not JobStatus.COMPLETED:
        return f"{job_id} completed, but its result is no longer kept (see result_ttl)"
    if result.error_type is not None:
        return f"{job_id} completed, but its result was not stored: {result.error}"
    return None


def fill(spec: JobSpec, results: Mapping[str, StoredResult]) -> JobSpec:
    """The job with these results in their places."""
    holders = {"args": spec.args, "kwargs": spec.kwargs}
    for take in spec.takes:
        if take.job_id in results:
            name, *path = take.path
            holders[str(name)] = _placed(holders[str(name)], path, results[take.job_id].value)
    left = tuple(take for take in spec.takes if take.job_id not in results)
    return msgspec.structs.replace(spec, args=holders["args"], kwargs=holders["kwargs"], takes=left)


def _is_there(value: Any, depth: int) -> bool:
    """Whether there is an `After` in a list, tuple or dict. Asked at every enqueue."""
    for each in value.values() if isinstance(value, dict) else value:
        kind = type(each)
        if kind is After or (kind in (list, tuple, dict) and depth and _is_there(each, depth - 1)):
            return True
    return False


def _without(value: Any, path: Path, takes: list[Take]) -> Any:
    if type(value) is After:
        takes.append(Take(value.job_id, path))
        return None
    if len(path) > DEEPEST:
        return value
    if type(value) in (list, tuple):
        return [_without(each, (*path, place), takes) for place, each in enumerate(value)]
    if type(value) is dict and all(isinstance(name, str) for name in value):
        return {name: _without(each, (*path, name), takes) for name, each in value.items()}
    return value


def _placed(holder: msgspec.Raw, path: Sequence[str | int], value: msgspec.Raw) -> msgspec.Raw:
    """The JSON value with another one at a place inside of it, and nothing else changed."""
    if not path:
        return value
    first, *rest = path
    if isinstance(first, int):
        items = msgspec.json.decode(holder, type=list[msgspec.Raw])
        items[first] = _placed(items[first], rest, value)
        return msgspec.Raw(msgspec.json.encode(items))
    fields = msgspec.json.decode(holder, type=dict[str, msgspec.Raw])
    fields[first] = _placed(fields[first], rest, value)
    return msgspec.Raw(msgspec.json.encode(fields))
