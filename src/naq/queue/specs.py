"""From what users enqueue to its stored form: with what was declared, results of other jobs, and pickled arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from naq.config import Settings
from naq.exceptions import InvalidJob
from naq.jobs.form import parse_job
from naq.jobs.job import Job, JobSpec
from naq.jobs.job_id import After
from naq.jobs.parents import split_takes, with_takes
from naq.jobs.published import PublishedFunctions
from naq.jobs.signature import check_arguments
from naq.jobs.target import pickle_arguments

__all__ = ["Specs", "job_of"]


class Specs:
    """Makes the stored form of jobs."""

    def __init__(self, settings: Settings, published: PublishedFunctions) -> None:
        self._allow_pickle = settings.allow_pickle
        self._published = published
        self.functions: dict[str, Callable[..., Any]] = {}
        """Those of the jobs that were made, by name."""

    async def make(self, wanted: Job, pickled: bool) -> JobSpec:
        """The stored form of a job, with what was declared of a function that is given by name; ``pickled``: its arguments.

        Raises `InvalidJob` with every problem, and `StoreError`.
        """
        job = await self._published.complete(wanted)
        spec = self._read(job, pickled)
        if not isinstance(job.func, str):
            self.functions[spec.func] = job.func
        return spec

    def _read(self, job: Job, pickled: bool) -> JobSpec:
        plain, takes = split_takes(job)
        if (pickled or (takes and job.unique_key is None)) and (job.unique_for, job.unique_key) != (None, None):
            reason = "pickled arguments and results of other jobs cannot be compared: give a key, and JSON"
            raise InvalidJob.of("job.unique_key", job.unique_key, reason, "invoice-7")
        if not pickled:
            return with_takes(parse_job(plain), takes)
        if takes:
            raise InvalidJob.of(
                "args", After(takes[0].job_id), "cannot be pickled: it is a JSON value", "pickled=False"
            )
        if not self._allow_pickle:
            raise InvalidJob.of("pickled", True, "pickled arguments are switched off; set allow_pickle here too", False)
        spec = parse_job(dataclasses.replace(job, args=(), kwargs={}), call=False)
        if not isinstance(job.func, str):
            check_arguments(job.func, job.args, job.kwargs)
        return msgspec.structs.replace(spec, args=pickle_arguments(list(job.args), dict(job.kwargs)), pickled=True)


def job_of(job: Job | Callable[..., Any] | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
    """The job of a call, or the given `Job`. Raises `InvalidJob` when arguments are given beside one."""
    if not isinstance(job, Job):
        return Job(func=job, args=args, kwargs=kwargs)
    if args or kwargs:
        raise InvalidJob.of("args", args or kwargs, "must be given in the Job itself", "Job(func, args=['eu'])")
    return job
