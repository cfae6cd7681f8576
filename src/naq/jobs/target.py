"""How a worker calls a function: async or not, with or without the job's context, and with arguments read from JSON."""

from __future__ import annotations

import base64
import inspect
import pickle
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from naq.exceptions import InvalidJob, Problem, shown
from naq.jobs.context import JobContext
from naq.jobs.job import JobSpec

__all__ = ["Target", "make_target", "pickle_arguments"]

PLAIN = (Any, inspect.Parameter.empty, str, int, float, bool, list, dict, None)
NOTHING = (b"[]", b"{}")


@dataclass(frozen=True, slots=True)
class Target:
    """A function and how to call it."""

    reference: str
    func: Callable[..., Any]
    is_async: bool
    """A call returns an awaitable, so it runs on the event loop."""
    takes_context: bool
    """Its first parameter is annotated `JobContext`."""
    positional: tuple[Any, ...]
    """The types of the positional parameters after the context; `Any` where there is no annotation."""
    rest: Any
    """The type of each of ``*args``; `Any` if there is no annotation."""
    named: Mapping[str, Any]
    """The types of all parameters, by name."""

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
        for position, value in enumerate(args):
            wanted = self.positional[position] if position < len(self.positional) else self.rest
            args[position] = _converted(spec, value, wanted, f"argument {position + 1}")
        for name, value in kwargs.items():
            kwargs[name] = _converted(spec, value, self.named.get(name, Any), f"argument {name!r}")
        return args, kwargs


def make_target(reference: str, func: Callable[..., Any]) -> Target:
    """Inspect a function's signature. A function without a readable signature is called with the arguments as they are."""
    called = func if inspect.isroutine(func) or isinstance(func, type) else getattr(func, "__call__", func)  # noqa: B004
    is_async = inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(called)
    try:
        parameters = list(inspect.signature(func).parameters.values())
        hints = typing.get_type_hints(inspect.unwrap(func if inspect.isroutine(func) else called))
    except (TypeError, ValueError, NameError, AttributeError):
        return Target(reference, func, is_async, False, (), Any, {})
    takes_context = bool(parameters) and hints.get(parameters[0].name) is JobContext
    types = {each.name: _checked_type(hints.get(each.name, Any), each.default) for each in parameters}
    own = parameters[1:] if takes_context else parameters
    in_order = [each for each in own if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    rest = next((types[each.name] for each in own if each.kind is each.VAR_POSITIONAL), Any)
    return Target(reference, func, is_async, takes_context, tuple(types[each.name] for each in in_order), rest, types)


def _checked_type(hint: Any, default: Any) -> Any:
    """The annotation if msgspec supports it, else `Any`; ``None`` is allowed where it is the default."""
    if hint in PLAIN[:2]:
        return Any
    wanted = hint | None if default is None and isinstance(hint, type) else hint
    try:
        msgspec.json.Decoder(wanted)
    except (TypeError, NotImplementedError):
        return Any
    return wanted


def _unfit(spec: JobSpec, reason: str) -> InvalidJob:
    return InvalidJob(Problem("args", shown(bytes(spec.args)), reason, "values of the annotated types"))


def _converted(spec: JobSpec, value: Any, wanted: Any, what: str) -> Any:
    if wanted is Any:
        return value
    try:
        return msgspec.convert(value, wanted, str_keys=True)
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
