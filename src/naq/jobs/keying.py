"""Keys that are made from a job's arguments: what makes it unique, and what a limit counts by.

A key is made when the job is enqueued, where its function is known, and stored as text. Arguments are taken by name as far as the
signature tells, so ``f(3)`` and ``f(count=3)`` have the same key. A key of more than `LONGEST_TEXT` characters is shortened, with
a digest of the whole.
"""

from __future__ import annotations

import hashlib
import inspect
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from naq.exceptions import InvalidJob, Problem, shown
from naq.jobs.values import encode_value

__all__ = ["UniqueKey", "arguments_key", "escaped", "named_arguments", "unique_text"]

UniqueKey = str | Callable[..., object]
"""Text in which ``{name}`` stands for an argument, or a function that is called with the job's arguments."""

LONGEST_TEXT = 200
EXAMPLE = "'invoice-{number}'"


def unique_text(
    key: UniqueKey | None,
    signature: inspect.Signature | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    field: str,
) -> str:
    """What makes a call unique; ``None``: all of its arguments. Raises `InvalidJob` when it cannot be made from them."""
    if key is None:
        return arguments_key(signature, args, kwargs, field)
    if isinstance(key, str):
        return checked_text(_filled(key, named_arguments(signature, args, kwargs), field), key, field)
    if not callable(key):
        raise _bad(field, key, "must be text, or a function of the job's arguments")
    try:
        value = key(*args, **kwargs)
    except Exception as error:
        raise _bad(field, key, f"raised {type(error).__name__}: {error}") from error
    return checked_text(value, key, field)


def arguments_key(
    signature: inspect.Signature | None, args: Sequence[Any], kwargs: Mapping[str, Any], field: str
) -> str:
    """The arguments as text that does not depend on their order."""
    named = named_arguments(signature, args, kwargs) if signature is not None else None
    value = named if named is not None else [list(args), dict(kwargs)]
    return _shortened(_sorted_json(value, field))


def named_arguments(
    signature: inspect.Signature | None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments by name, with the defaults that are JSON; without a signature those that are given by name."""
    if signature is None:
        return dict(kwargs)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return dict(kwargs)
    given = dict(bound.arguments)
    for each in signature.parameters.values():
        if each.kind is each.VAR_KEYWORD:
            given |= given.pop(each.name, {})
        elif each.name not in given and _is_json(each.default):
            given[each.name] = each.default
    return given


def _is_json(default: Any) -> bool:
    """Whether the default of a parameter can be part of a key; a resource that the worker fills in cannot."""
    try:
        encode_value(default, "default")
    except InvalidJob:
        return False
    return default is not inspect.Parameter.empty


def checked_text(value: object, given: object, field: str) -> str:
    """A key as text. Raises `InvalidJob` for what is neither text nor a number, is empty, or cannot be encoded."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise _bad(field, given, f"must give text or a whole number, not {shown(value)}")
    try:
        return _shortened(str(value))
    except UnicodeEncodeError:
        raise _bad(field, given, "gives text that cannot be encoded as UTF-8") from None


def escaped(text: str) -> str:
    """The text as a key that stands for exactly this text."""
    return text.replace("{", "{{").replace("}", "}}")


def _filled(template: str, arguments: Mapping[str, Any], field: str) -> str:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise _bad(field, template, f"cannot be read: {error}") from None
    filled = ""
    for literal, name, _, _ in parts:
        filled += literal
        if name is None:
            continue
        if name not in arguments:
            have = ", ".join(arguments) or "none"
            raise _bad(field, template, f"{{{name}}} is not an argument that is known by name (known: {have})")
        value = arguments[name]
        filled += value if isinstance(value, str) else _sorted_json(value, field)
    return filled


def _sorted_json(value: Any, field: str) -> str:
    return msgspec.json.encode(msgspec.json.decode(encode_value(value, field)), order="sorted").decode()


def _shortened(text: str) -> str:
    data = text.encode()
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[: LONGEST_TEXT - 40]}~{hashlib.blake2b(data, digest_size=16).hexdigest()}"


def _bad(field: str, value: object, reason: str) -> InvalidJob:
    return InvalidJob(Problem(field, shown(value), reason, EXAMPLE))
