"""Values of users as JSON: what arguments and results may be, and how they come back as annotated types.

Besides what msgspec writes itself (datetimes, UUIDs, dataclasses, attrs classes, ...), a path becomes text, a numpy scalar a
number, a numpy array a list, and a pydantic model a mapping. None of these packages is imported for it.

A value must come back as it was given. So a number that JSON cannot hold (NaN, infinity) and a mapping in which two keys
have the same text (``{1: "a", "1": "b"}``) are refused: they would become ``null``, and lose an entry.
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Protocol, runtime_checkable

import msgspec

from naq.exceptions import InvalidJob, Problem, shown
from naq.jobs.job_id import After

__all__ = ["convert_value", "encode_value", "is_of_unknown_type"]

DEEPEST = 200
"""Levels of nesting that a value may have."""
EXAMPLE = '["eu", 3, {"full": true}]'
SCALARS = (str, int, bool, bytes, type(None))


class _UnknownType(TypeError):
    """No value of a type can be made from JSON values. It is the cause of the `msgspec.ValidationError`."""


def encode_value(value: Any, field: str) -> msgspec.Raw:
    """A value as raw JSON. Raises `InvalidJob` naming ``field`` when it cannot be written so that it comes back the same."""
    try:
        reason = _flaw(value, DEEPEST)
        if reason is None:
            return msgspec.Raw(_encoder.encode(value))
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError, RecursionError) as error:
        reason = str(error)
    raise InvalidJob(Problem(field, shown(value), f"cannot be written as JSON ({reason})", EXAMPLE))


def convert_value(value: Any, wanted: Any) -> Any:
    """A JSON value as an annotated type. Raises `msgspec.ValidationError` when it does not match."""
    return msgspec.convert(value, wanted, str_keys=True, dec_hook=_restored)


def is_of_unknown_type(error: BaseException) -> bool:
    """Whether `convert_value` failed because no value of the type can be made from JSON values."""
    return isinstance(error.__cause__, _UnknownType)


def _flaw(value: Any, depth: int) -> str | None:
    """Why a value would not come back as it was given; ``None`` when it would."""
    if isinstance(value, SCALARS):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value!r} is not a JSON number"
    if depth == 0:
        return f"it is nested more than {DEEPEST} levels deep"
    if isinstance(value, Mapping):
        return _flaw_of_keys(value) or _first_flaw(value.values(), depth)
    if isinstance(value, list | tuple | set | frozenset):
        return _first_flaw(value, depth)
    if isinstance(value, msgspec.Struct):
        return _first_flaw((getattr(value, name) for name in value.__struct_fields__), depth)
    if isinstance(value, After):
        return "a result is an argument only of a job that is enqueued, by itself or in lists and dicts"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _first_flaw((getattr(value, each.name) for each in dataclasses.fields(value)), depth)
    plain = _plain_of(value)
    return None if plain is None else _flaw(plain, depth - 1)


def _first_flaw(values: Iterable[Any], depth: int) -> str | None:
    return next((flaw for each in values if (flaw := _flaw(each, depth - 1)) is not None), None)


def _flaw_of_keys(value: Mapping[Any, Any]) -> str | None:
    if all(isinstance(key, str) for key in value):
        return None
    texts = [_encoder.encode(key).strip(b'"') for key in value]
    twice = next((text for text in texts if texts.count(text) > 1), None)
    return None if twice is None else f"two keys would both be {twice.decode()!r}"


def _plain_of(value: Any) -> Any:
    """A value of another package as plain values; ``None`` when it is not one of the known kinds."""
    kind = type(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if kind.__module__ == "numpy" and callable(listed := getattr(value, "tolist", None)):
        return listed()
    if callable(dumped := getattr(kind, "model_dump", None)):
        return dumped(value, mode="json")
    return None


def _written(value: Any) -> Any:
    """For the encoder: a value that it does not know."""
    plain = _plain_of(value)
    if plain is None:
        raise TypeError(f"a {type(value).__qualname__} is not JSON")
    return plain


@runtime_checkable
class _Model(Protocol):
    """A class of pydantic models."""

    def model_validate(self, value: Any, /) -> Any: ...


def _restored(wanted: type, value: Any) -> Any:
    """For the decoder: a type that it does not know."""
    if issubclass(wanted, PurePath) and isinstance(value, str):
        return wanted(value)
    if wanted.__module__ == "numpy":
        # The constructor of an array takes a shape.
        return sys.modules["numpy"].array(value) if wanted.__qualname__ == "ndarray" else wanted(value)
    if isinstance(wanted, _Model):
        return wanted.model_validate(value)
    kind = TypeError if issubclass(wanted, PurePath) else _UnknownType
    raise kind(f"expected {wanted.__qualname__}, got {type(value).__qualname__}")


_encoder = msgspec.json.Encoder(enc_hook=_written)
