"""The id of a job, typed by what the job's function returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

__all__ = ["JobId"]

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
