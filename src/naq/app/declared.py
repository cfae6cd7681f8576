"""Functions with the options that they were declared with, and the jobs made from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from naq.exceptions import InvalidJob, Problem, shown
from naq.jobs.form import DEFAULTS, parse_job, with_keys, with_options
from naq.jobs.functions import Registry
from naq.jobs.job import Job
from naq.jobs.options import JobOptions
from naq.jobs.published import publish
from naq.jobs.signature import call_signature, check_arguments
from naq.parsing import nearest
from naq.store.codec import function_name
from naq.store.port import Store

__all__ = ["Declarations"]

NAMES = tuple(JobOptions.__annotations__)


class Declarations:
    """The functions of an application or client."""

    def __init__(self, allow: Iterable[str] = (), queue: str = DEFAULTS.queue) -> None:
        """``allow``: patterns of functions that workers may import besides the declared ones. ``queue``: where jobs go that
        name no queue."""
        self.queue = queue
        self.registry = Registry(allow)
        self.options: dict[str, JobOptions] = {}
        """The options of each function, by its reference."""
        self._enqueued: dict[str, Callable[..., Any]] = {}
        """The functions that were enqueued, declared or not, by their own names."""

    def declare(
        self,
        function: Callable[..., Any],
        options: JobOptions,
        name: str | None = None,
        aliases: Sequence[str] = (),
    ) -> str:
        """Declare a function with its options, and return the name that jobs use for it: ``name``, or its own.

        Jobs that name it by one of the ``aliases`` run it, too. Raises `InvalidJob` with every complaint.
        """
        refuse_unknown(options)
        own = function_name(function)
        merged: JobOptions = {**self.options.get(own, {}), **options}
        parse_job(Job(func=function, **merged), call=False)
        for given in (*aliases, *(() if name is None else (name,))):
            if self.registry.has_other(function_name(given, "aliases" if given in aliases else "name"), function):
                raise InvalidJob.of("name", given, "another function of this application has this name", f"{own}-2")
        known = self.registry.name_of(own)
        reference = self.registry.add(function, name or (known if known != own else None), aliases)
        self.options[own] = self.options[reference] = merged
        return reference

    def function_of(self, reference: str) -> Callable[..., Any] | None:
        """The function that is known here by a name or alias: it was declared, or enqueued."""
        return self.registry.registered(reference) or self._enqueued.get(reference)

    def renamed(self, job: Job) -> Job:
        """The job, with the name that its function was declared with."""
        own = job.func if isinstance(job.func, str) else function_name(job.func)
        name = self.registry.name_of(own)
        return job if name == own else dataclasses.replace(job, func=name)

    def call(self, func: Callable[..., Any] | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
        """The job of one call of a function. Raises `InvalidJob` when the arguments do not fit it."""
        return self.complete(Job(func=func, args=args, kwargs=kwargs))

    def complete(self, job: Job) -> Job:
        """A job with the declared options of its function, for those that it leaves at their default.

        Raises `InvalidJob` when its arguments do not fit its function.
        """
        if isinstance(job.func, str):
            reference = self.registry.name_of(job.func)
        else:
            reference = function_name(job.func)
            check_arguments(job.func, job.args, job.kwargs)
            self._enqueued[reference] = job.func
        options = self.options.get(reference, {})
        complete = with_options(job, options)
        if job.queue == DEFAULTS.queue and "queue" not in options and self.queue != DEFAULTS.queue:
            complete = dataclasses.replace(complete, queue=self.queue)
        func = self.function_of(reference) if isinstance(job.func, str) else job.func
        return self.renamed(complete if func is None else with_keys(complete, call_signature(func)))

    async def publish(self, store: Store) -> None:
        """Write the declared options, for processes that enqueue these functions by name. Raises `StoreError`."""
        declared = {
            name: (self.registry.resolve(name), self.options[self.registry.name_of(name)])
            for name in self.registry.references
            if self.registry.name_of(name) in self.options
        }
        await publish(store, declared)


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
