"""Whether arguments fit a function, found out before anything is stored."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from naq.exceptions import InvalidJob, Problem, shown
from naq.jobs.context import JobContext

__all__ = ["check_arguments"]

NAMES_OF_CONTEXT = (JobContext, "JobContext", "naq.JobContext")


def check_arguments(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raises `InvalidJob` when the function cannot be called with these arguments, besides its `JobContext`.

    A function whose signature is unknown takes anything. So does a decorator's wrapper that passes on what it gets.
    """
    try:
        signature = inspect.signature(func, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    parameters = list(signature.parameters.values())
    if parameters and parameters[0].annotation in NAMES_OF_CONTEXT:
        parameters = parameters[1:]
    try:
        signature.replace(parameters=parameters).bind(*args, **kwargs)
    except TypeError as error:
        given = ", ".join([*map(shown, args), *(f"{name}={shown(value)}" for name, value in kwargs.items())])
        wanted = ", ".join(str(each).partition(":")[0].partition("=")[0] for each in parameters)
        raise InvalidJob(
            Problem("args", f"({given})", f"do not fit {func.__qualname__}: {error}", f"({wanted})")
        ) from None
