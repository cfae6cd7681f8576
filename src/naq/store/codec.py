"""The only place where records become bytes and bytes become records; and the names of functions.

Every stored record carries its version ``v``, except for the lease, which all versions must be able to read. A record of a
newer version, and bytes that are not a record, are refused as `RecordUnreadable` and are never deleted. The form is JSON, so
that a person can read the bucket with any NATS client.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from naq.exceptions import InvalidJob, Problem, RecordUnreadable, shown

__all__ = ["Keyed", "decode", "encodable_text", "encode", "function_name", "plain", "plain_form"]

VERSION = 1
DEEPEST = 50
"""Nesting depth up to which a record with invalid text is repaired."""

T = TypeVar("T")
_encoder = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class Keyed(msgspec.Struct, frozen=True, gc=False):
    """A record that says what it is about, as its key does: they must agree. Permissions are given by key, so a record is
    never believed over it."""

    def fits(self, key: str) -> bool:
        """Whether this record may be stored at ``key``."""
        raise NotImplementedError


class _Versioned(msgspec.Struct):
    v: int = 1


_version_decoder = msgspec.json.Decoder(_Versioned)


def encode(record: msgspec.Struct | Sequence[msgspec.Struct]) -> bytes:
    """The record as JSON bytes. It always succeeds.

    Text that UTF-8 cannot hold (a lone surrogate, as in a file name that is not UTF-8) is written with backslash escapes,
    and a value that JSON cannot hold as its ``repr``: one bad text must not keep a record, or a group of them, from
    being written.
    """
    try:
        return _encoder.encode(record)
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError):
        return _encoder.encode(_encodable(record, DEEPEST))


def encodable_text(text: str) -> str:
    """The text with backslash escapes for characters that UTF-8 cannot encode."""
    return text.encode("utf-8", "backslashreplace").decode()


def _encodable(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return encodable_text(value)
    if depth == 0:
        return "..."
    if isinstance(value, msgspec.Struct):
        given = {name: getattr(value, name) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **{name: _encodable(each, depth - 1) for name, each in given.items()})
    if isinstance(value, Mapping):
        return {
            encodable_text(key if isinstance(key, str) else repr(key)): _encodable(each, depth - 1)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_encodable(each, depth - 1) for each in value]
    try:
        _encoder.encode(value)
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError):
        return encodable_text(repr(value))
    return value


def plain(value: Any) -> Any:
    """A record, or one of its fields, as plain JSON values."""
    return msgspec.json.decode(_encoder.encode(value))


def plain_form(record: msgspec.Struct) -> dict[str, Any]:
    """A record as plain values for users: times in epoch seconds, durations in seconds, enums as text, no version."""
    return {name: _plain_value(getattr(record, name)) for name in record.__struct_fields__ if name != "v"}


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, msgspec.Struct):
        return plain_form(value)
    if isinstance(value, msgspec.Raw):
        return msgspec.json.decode(value)
    if isinstance(value, Mapping):
        return {key: _plain_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(each) for each in value]
    return value


def decode(kind: type[T], key: str, value: bytes) -> T:
    """Read ``value``, found at ``key``, as a record of type ``kind``. Raises `RecordUnreadable`."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        record: T = decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(key, value, str(error)) from None
    if getattr(record, "v", 1) > VERSION:
        raise _unreadable(key, value, "")
    if isinstance(record, Keyed) and not record.fits(key):
        raise _unreadable(key, value, "it says that it belongs to another key")
    return record


def _unreadable(key: str, value: bytes, reason: str) -> RecordUnreadable:
    try:
        version = _version_decoder.decode(value).v
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        version = 0
    if version > VERSION:
        text = f"it has version {version}, and this naq reads up to {VERSION}: upgrade this instance"
        return RecordUnreadable(key, text, newer=True)
    return RecordUnreadable(key, f"{reason} in {shown(value[:80])}")


def function_name(func: Callable[..., Any] | str, field: str = "job.func") -> str:
    """``module:qualname`` of a function that another process can import.

    Raises `InvalidJob` for a lambda, a function inside a function, a bound method, or text of another form. A function of
    a script is named by the script's file: ``app:report`` for ``app.py``.
    """
    if isinstance(func, str):
        module, colon, qualname = func.partition(":")
        parts = [*module.split("."), *qualname.split(".")]
        if not colon or not all(part.isidentifier() for part in parts):
            raise _bad_function(func, field, "must be a function name of the form module:qualname")
        return func
    module = str(getattr(func, "__module__", None) or "")
    qualname = str(getattr(func, "__qualname__", None) or "")
    if not callable(func) or not module or not qualname:
        raise _bad_function(func, field, "must be a function")
    if "<lambda>" in qualname:
        raise _bad_function(func, field, "must be a function that other processes can import, not a lambda: use def")
    if "<locals>" in qualname:
        raise _bad_function(
            func,
            field,
            "is defined inside a function, where other processes cannot import it: move it out",
        )
    if getattr(func, "__self__", None) is not None and not isinstance(func.__self__, type):  # type: ignore[attr-defined]
        raise _bad_function(
            func, field, "is a method bound to an object: use a function, and pass the data as arguments"
        )
    return f"{main_module_name() if module == '__main__' else module}:{qualname}"


def main_module_name() -> str:
    """The name under which another process imports the module that this process runs as ``__main__``."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def _bad_function(func: object, field: str, reason: str) -> InvalidJob:
    return InvalidJob(Problem(field, shown(func), reason, "'reports:send_daily' or a function of a module"))
