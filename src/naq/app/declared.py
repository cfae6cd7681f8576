"""Functions with the options that they were declared with, and the jobs made from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from naq.exceptions import InvalidJob, Problem, shown
from naq.jobs.form import parse_job
from naq.jobs.functions import Registry
from naq.jobs.job import Job
from naq.jobs.options import JobOptions
from naq.jobs.signature import check_arguments
from naq.parsing import nearest
from naq.store.codec import function_name

__all__ = ["Declarations"]

DEFAULTS = Job(func="naq:declared")
NAMES = tuple(JobOptions.__annotations__)


class Declarations:
    """The functions of an application or client."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        """``allow``: patterns of functions that workers may import besides the declared ones."""
        self.registry = Registry(allow)
        self.options: dict[str, JobOptions] = {}
        """The options of each function, by its reference."""
        self.functions: dict[str, Callable[..., Any]] = {}
        """The functions that were declared or enqueued, by reference."""

    def declare(self, function: Callable[..., Any], options: JobOptions) -> str:
        """Declare a function with its options, and return its reference. Raises `InvalidJob` with every complaint."""
        refuse_unknown(options)
        reference = self.registry.add(function)
        merged: JobOptions = {**self.options.get(reference, {}), **options}
        parse_job(Job(func=function, **merged), call=False)
        self.options[reference] = merged
        self.functions[reference] = function
        return reference

    def call(self, func: Callable[..., Any] | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
        """The job of one call of a function. Raises `InvalidJob` when the arguments do not fit it."""
        return self.complete(Job(func=func, args=args, kwargs=kwargs))

    def complete(self, job: Job) -> Job:
        """A job with the declared options of its function, for those that it leaves at their default.

        Raises `InvalidJob` when its arguments do not fit its function.
        """
        if isinstance(job.func, str):
            reference = job.func
        else:
            reference = function_name(job.func)
            check_arguments(job.func, job.args, job.kwargs)
            self.functions[reference] = job.func
        left: dict[str, Any] = {
            name: value
            for name, value in self.options.get(reference, {}).items()
            if getattr(job, name) == getattr(DEFAULTS, name)
        }
        return dataclasses.replace(job, **left) if left else job


def refuse_unknown(options: Mapping[str, Any]) -> None:
    """Raises `InvalidJob` for options that a job does not have, with the nearest ones that it has."""
    problems = []
    for name, value in options.items():
        if name not in NAMES:
            near = nearest(name, NAMES)
            hint = f", did you mean {near!r}?" if near else ""
            reason = f"a declared job has no such option{hint}"
            problems.append(Problem(name, shown(value), reason, near or "retries"))
    if problems:
        raise InvalidJob(*problems)
