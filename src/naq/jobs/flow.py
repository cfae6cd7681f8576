"""Several jobs that pass their results on, as one value: `chain` one after the other, `group` side by side.

A flow is an iterable of jobs: ``await app.enqueue_many(chain(extract, clean, load))``. Each iteration makes new ids for the jobs
that have none, so a flow can be enqueued many times.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from naq.jobs.form import as_job
from naq.jobs.job import Job
from naq.jobs.job_id import After
from naq.store.keys import new_id

__all__ = ["Chain", "Group", "Step", "chain", "group"]


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps of which each gets the result of the one before as its first argument."""

    steps: tuple[Step, ...]

    def then(self, *steps: Step) -> Chain:
        """The chain with more steps at its end."""
        return Chain((*self.steps, *steps))

    def __iter__(self) -> Iterator[Job]:
        """The jobs, in an order in which each comes after those it takes results from."""
        return iter(_made(self, ())[0])


@dataclass(frozen=True, slots=True)
class Group:
    """Steps that run side by side. What comes after them gets the list of their results, in their order."""

    steps: tuple[Step, ...]

    def then(self, *steps: Step) -> Chain:
        """A join: a step that gets the list of the results as its first argument, and maybe more steps after it."""
        return Chain((self, *steps))

    def __iter__(self) -> Iterator[Job]:
        """The jobs, in an order in which each comes after those it takes results from."""
        return iter(_made(self, ())[0])


Step = Job | Callable[..., Any] | str | Chain | Group
"""A `Job`, a function or its name (without arguments of its own), or a flow."""


def chain(*steps: Step) -> Chain:
    """Jobs that run one after the other: ``chain(Job(func=extract, args=["eu"]), clean, group(load, archive))``.

    Each gets the result of the one before as its first argument, in front of its own; after a group that is the list of
    results. If one fails, those after it end as dead letters, and requeued together they run in their order again.
    """
    return Chain(steps)


def group(*steps: Step) -> Group:
    """Jobs that run side by side: ``group(Job(func=count, args=["eu"]), Job(func=count, args=["us"])).then(total)``.

    In a chain each of them gets the result of the step before.
    """
    return Group(steps)


def _made(step: Step, given: tuple[Any, ...]) -> tuple[list[Job], Any]:
    """The jobs of a step, and what stands for its result; ``given``: what it gets from the step before."""
    jobs: list[Job] = []
    if isinstance(step, Chain):
        for each in step.steps:
            made, result = _made(each, given)
            jobs += made
            given = (result,)
        return jobs, given[0] if given else []
    if isinstance(step, Group):
        results = []
        for each in step.steps:
            made, result = _made(each, given)
            jobs += made
            results.append(result)
        return jobs, results
    job = as_job(step)
    job_id = job.job_id or new_id()
    return [dataclasses.replace(job, job_id=job_id, args=[*given, *job.args])], After(job_id)
