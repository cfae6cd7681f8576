"""How a worker calls a function: async or not, with or without the job's context, and with arguments read from JSON."""

from __future__ import annotations

import base64
import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from naq.exceptions import InvalidJob, Problem, shown
from naq.jobs.job import JobSpec
from naq.jobs.signature import Parameters, read_parameters, refuse_generator
from naq.jobs.values import convert_value

__all__ = ["Target", "make_target", "pickle_arguments"]

NOTHING = (b"[]", b"{}")


@dataclass(frozen=True, slots=True)
class Target:
    """A function and how to call it."""

    reference: str
    func: Callable[..., Any]
    is_async: bool
    """A call returns an awaitable, so it runs on the event loop."""
    parameters: Parameters

    @property
    def takes_context(self) -> bool:
        """Its first parameter is annotated `JobContext`."""
        return self.parameters.takes_context

    def arguments(self, spec: JobSpec, *, allow_pickle: bool = False) -> tuple[list[Any], dict[str, Any]]:
        """The positional and keyword arguments of a job, without the context, converted to the annotated types.

        Raises `InvalidJob`.
        """
        if spec.pickled:
            return _unpickled(spec, allow_pickle)
        if bytes(spec.args) == NOTHING[0] and bytes(spec.kwargs) == NOTHING[1]:
            return [], {}
        try:
            args = msgspec.json.decode(spec.args, type=list[Any])
            kwargs = msgspec.json.decode(spec.kwargs, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise _unfit(spec, f"must be a JSON array and a JSON object: {error}") from None
        return self._converted(spec, args, kwargs)

    def _converted(self, spec: JobSpec, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments as annotated. Those that do not fit the signature stay as they are: the call says what is wrong."""
        bound = self.parameters.bind(args, kwargs) if self.parameters.types else None
        if bound is None:
            return args, kwargs
        types, position = self.parameters.types, 0
        for parameter in bound.signature.parameters.values():
            if parameter.name not in bound.arguments:
                continue
            wanted = types.get(parameter.name)
            if parameter.kind is parameter.VAR_POSITIONAL:
                count = len(args) - position
            elif parameter.kind is parameter.VAR_KEYWORD:
                named = bound.arguments[parameter.name]
                kwargs |= {name: _convert(spec, kwargs[name], wanted, f"argument {name!r}") for name in named}
                continue
            elif parameter.name in kwargs and parameter.kind is not parameter.POSITIONAL_ONLY:
                kwargs[parameter.name] = _convert(spec, kwargs[parameter.name], wanted, f"argument {parameter.name!r}")
                continue
            else:
                count = 1
            for place in range(position, position + count):
                args[place] = _convert(spec, args[place], wanted, f"argument {place + 1}")
            position += count
        return args, kwargs


def make_target(reference: str, func: Callable[..., Any]) -> Target:
    """Inspect a function. Raises `InvalidJob` for a generator function."""
    refuse_generator(func, "func")
    called = func if inspect.isroutine(func) or isinstance(func, type) else getattr(func, "__call__", func)  # noqa: B004
    is_async = inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(called)
    return Target(reference, func, is_async, read_parameters(func))


def _unfit(spec: JobSpec, reason: str) -> InvalidJob:
    given = shown(bytes(spec.args).decode()[:200])
    return InvalidJob(Problem("args", given, reason, advice="pass values of the annotated types"))


def _convert(spec: JobSpec, value: Any, wanted: Any, what: str) -> Any:
    if wanted is None:
        return value
    try:
        return convert_value(value, wanted)
    except msgspec.ValidationError as error:
        raise _unfit(spec, f"{what} does not match its annotation: {error}") from None


def pickle_arguments(args: Any, kwargs: Any) -> msgspec.Raw:
    """Arguments in the form that `JobSpec.args` has when it is ``pickled``."""
    return msgspec.Raw(msgspec.json.encode([base64.b64encode(pickle.dumps((args, kwargs))).decode()]))


def _unpickled(spec: JobSpec, allowed: bool) -> tuple[list[Any], dict[str, Any]]:
    if not allowed:
        raise _unfit(spec, "are pickled, and this worker does not accept pickle (allow_pickle is off)")
    try:
        (text,) = msgspec.json.decode(spec.args, type=list[str])
        args, kwargs = pickle.loads(base64.b64decode(text))
        return list(args), dict(kwargs)
    except Exception as error:  # noqa: BLE001 - unpickling runs users' code
        raise _unfit(spec, f"are pickled and cannot be read: {type(error).__name__}: {error}") from None
