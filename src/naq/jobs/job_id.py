"""The id of a job, typed by what the job's function returns, and `after`: that result as an argument of another job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from naq.store.keys import check_job_id

__all__ = ["After", "JobId", "after"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class JobId(str, Generic[R_co]):
    """A job's id that remembers, for type checkers, what its function returns: ``result(JobId[int])`` is an ``int``.

    At run time an id is a plain ``str``: ``JobId(text)`` returns the text itself, so ids can be stored, compared and
    encoded like any text.
    """

    __slots__ = ()

    if not TYPE_CHECKING:

        def __new__(cls, text: str) -> str:
            return str(text)


@dataclass(frozen=True, slots=True)
class After:
    """The place of a result among the arguments of a job: what `after` returns."""

    job_id: str

    def __repr__(self) -> str:
        return f"after({self.job_id!r})"


@overload
def after(job: JobId[R], /) -> R: ...
@overload
def after(job: list[JobId[R]] | tuple[JobId[R], ...], /) -> list[R]: ...
def after(job: str | Sequence[str], /) -> Any:
    """The result of another job as an argument: ``enqueue(load, after(extract_id), table="sales")``.

    The new job waits until the other one has completed, and its function gets what that one returned, as its own annotation
    says. If the other one fails or is cancelled, the new job ends as a dead letter. It may stand at the top of the arguments or
    inside lists and dicts. For several jobs, ``after([a, b])``, it is the list of their results.

    Type checkers see it as the result itself. It is only a place for it: it cannot be used before the function is called. An
    id that came as plain text is ``JobId[int](text)`` for them. Raises `InvalidInput` for what is not the id of a job.
    """
    if isinstance(job, str) or not isinstance(job, Sequence):
        return After(check_job_id(job, "after"))
    return [After(check_job_id(each, "after")) for each in job]
