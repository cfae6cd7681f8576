"""The parameters of a function that runs as a job: its context, the types of its arguments, and whether arguments fit it.

Each annotation is resolved by itself. One that cannot be, such as a name that is imported only under ``TYPE_CHECKING``, leaves
its own argument unconverted and is reported (`Parameters.unknown`); the others are converted, and `JobContext` is
recognised by its name. The annotation of the return value matters only to those who ask for the result (`returned_type`).

A decorator's wrapper counts by its own signature, unless that is just ``*args, **kwargs``: then the function that it wraps
says what the arguments are. Such a wrapper may fill in arguments itself (``functools.wraps`` with a session or a client), so the
arguments are matched to the parameters that remain: leading ones that are left over are the wrapper's.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from naq.exceptions import InvalidJob, Problem, shown
from naq.jobs.context import JobContext
from naq.jobs.resource import resource

__all__ = ["Parameters", "call_signature", "check_arguments", "read_parameters", "refuse_generator", "returned_type"]

CONTEXT = "JobContext"
UNTYPED = (Any, inspect.Parameter.empty)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What is known of a function's parameters."""

    signature: inspect.Signature | None = None
    """Without the context; ``None`` when it is unknown."""
    takes_context: bool = False
    """The first parameter is annotated `JobContext`."""
    types: Mapping[str, Any] = field(default_factory=dict)
    """The type of each parameter that msgspec can convert to."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Parameter -> why its annotation could not be resolved."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    """The type of each parameter that the worker fills in (`naq.jobs.resource`)."""
    wrapped: bool = False
    """They are those of a wrapped function, and the wrapper may fill some in."""

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments | None:
        """The arguments by parameter; ``None`` when they do not fit, or the signature is unknown."""
        if self.signature is None:
            return None
        parameters = list(self.signature.parameters.values())
        for first in range(len(parameters) + 1 if self.wrapped else 1):
            try:
                return self.signature.replace(parameters=parameters[first:]).bind(*args, **kwargs)
            except TypeError:
                continue
        return None


def read_parameters(func: Callable[..., Any]) -> Parameters:
    """Look at the signature of a function once."""
    try:
        signature = inspect.signature(func, follow_wrapped=False)
        wrapped = _is_generic(signature) and hasattr(func, "__wrapped__")
        if wrapped:
            signature = inspect.signature(func)
    except (TypeError, ValueError):
        return Parameters()
    namespace = _namespace(func)
    parameters = list(signature.parameters.values())
    found: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    for each in parameters:
        try:
            found[each.name] = _resolved(each.annotation, namespace)
        except Exception as error:  # noqa: BLE001 - an annotation is an expression of the user's
            unknown[each.name] = str(error)
    takes_context = bool(parameters) and _is_context(parameters[0], found)
    own = parameters[1:] if takes_context else parameters
    return Parameters(
        signature.replace(parameters=own, return_annotation=inspect.Signature.empty),
        takes_context,
        {each.name: kind for each in own if (kind := _convertible(found.get(each.name, Any), each.default)) is not Any},
        {name: reason for name, reason in unknown.items() if not (takes_context and name == parameters[0].name)},
        {each.name: found.get(each.name, Any) for each in own if each.default is resource},
        wrapped,
    )


def returned_type(func: Callable[..., Any]) -> Any:
    """The type that a function is annotated to return, if it can be read from JSON, else `Any`; of an ``async def``, what
    awaiting it returns."""
    try:
        signature = inspect.signature(func, follow_wrapped=False)
        if _is_generic(signature) and hasattr(func, "__wrapped__"):
            signature = inspect.signature(func)
        return _convertible(_resolved(signature.return_annotation, _namespace(func)), inspect.Parameter.empty)
    except Exception:  # noqa: BLE001 - an annotation is an expression of the user's
        return Any


def check_arguments(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise `InvalidJob` when the function cannot be called with these arguments, besides its context.

    A function whose signature is unknown takes anything, and so does a wrapper that passes on what it gets.
    """
    signature = call_signature(func)
    if signature is None:
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        given = ", ".join([*map(shown, args), *(f"{name}={shown(value)}" for name, value in kwargs.items())])
        wanted = ", ".join(str(each).partition(":")[0].partition("=")[0] for each in signature.parameters.values())
        reason = f"do not fit {getattr(func, '__qualname__', func)}: {error}"
        raise InvalidJob(Problem("args", f"({given})", reason, f"({wanted})")) from None


@functools.lru_cache(maxsize=4096)
def call_signature(func: Callable[..., Any]) -> inspect.Signature | None:
    """The signature without the context; ``None`` when it is unknown. Asked at every enqueue, of a few functions."""
    try:
        signature = inspect.signature(func, follow_wrapped=False)
    except (TypeError, ValueError):
        return None
    parameters = list(signature.parameters.values())
    if parameters and _is_context(parameters[0], {parameters[0].name: parameters[0].annotation}):
        parameters = parameters[1:]
    return signature.replace(parameters=parameters)


def refuse_generator(func: Callable[..., Any], field: str = "job.func") -> None:
    """Raise `InvalidJob` for a generator function: calling it would run nothing of it, and the job would seem to complete."""
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        reason = "is a generator function, and a call would run nothing of it"
        raise InvalidJob(Problem(field, shown(func), reason, advice="let the function return a list"))


def _is_generic(signature: inspect.Signature) -> bool:
    kinds = [each.kind for each in signature.parameters.values()]
    return bool(kinds) and set(kinds) <= {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def _namespace(func: Callable[..., Any]) -> dict[str, Any]:
    """The names that the annotations of a function can use."""
    inner = inspect.unwrap(func)
    called = inner if inspect.isroutine(inner) or isinstance(inner, type) else type(inner).__call__
    if isinstance(called, type):
        called = called.__init__  # type: ignore[misc]
    names: dict[str, Any] = getattr(inspect.unwrap(called), "__globals__", {})
    return names


def _resolved(annotation: Any, namespace: dict[str, Any]) -> Any:
    """The type that an annotation names. Raises what evaluating it raises."""
    if annotation in UNTYPED:
        return Any
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    return typing.get_type_hints(holder, globalns=namespace, include_extras=True)["value"]


def _is_context(parameter: inspect.Parameter, found: Mapping[str, Any]) -> bool:
    """Whether a parameter is the context: by its type, or by its name when that is not resolved."""
    kind = found.get(parameter.name, parameter.annotation)
    return kind is JobContext or (isinstance(kind, str) and kind.split(".")[-1] == CONTEXT)


def _convertible(hint: Any, default: Any) -> Any:
    """The annotation if msgspec supports it, else `Any`; ``None`` is allowed where it is the default."""
    if hint in UNTYPED or default is resource:
        return Any
    wanted = hint | None if default is None and isinstance(hint, type) else hint
    try:
        msgspec.json.Decoder(wanted)
    except (TypeError, NotImplementedError):
        return Any
    return wanted
