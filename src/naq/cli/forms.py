"""Options of the command line as the services take them: schedules, policies and arguments. The services check them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from naq.exceptions import InvalidInput, InvalidSchedule

__all__ = ["arguments", "changed_trigger", "pairs", "trigger_form"]


def arguments(each: Sequence[str], positional: str | None, keyword: str | None) -> tuple[Any, Any]:
    """A job's arguments: one by one (``each``) or as a JSON array, and a JSON object of keyword arguments."""
    if each and positional is not None:
        raise InvalidInput.of("--arg", list(each), "cannot be combined with --args", "eu")
    args = [_loose(value) for value in each] if positional is None else _json(positional, "--args", '["eu", 3]')
    return args, {} if keyword is None else _json(keyword, "--kwargs", '{"region": "eu"}')


def trigger_form(every: str | None, cron: str | None, at: str | None, tz: str | None) -> dict[str, Any]:
    """The form of a schedule out of the options that say when. Raises `InvalidSchedule` unless exactly one was given."""
    given = [
        {"type": "interval", "interval": every} if every is not None else None,
        {"type": "cron", "cron": cron} if cron is not None else None,
        {"type": "once", "run_at": at} if at is not None else None,
    ]
    chosen: list[dict[str, Any]] = [form for form in given if form is not None]
    if len(chosen) != 1:
        raise InvalidSchedule.of("schedule", [*chosen], "say when with one of --every, --cron, --at", "--every 10s")
    return {**chosen[0], "timezone": tz} if tz is not None else chosen[0]


def changed_trigger(every: str | None, cron: str | None, at: str | None, tz: str | None) -> dict[str, Any]:
    """The keys of a schedule's form that the options change. Raises `InvalidSchedule` for more than one way to say when."""
    when = {"interval": every, "cron": cron, "run_at": at}
    changes = {key: value for key, value in when.items() if value is not None}
    if len(changes) > 1:
        raise InvalidSchedule.of("schedule", changes, "say when with only one of --every, --cron, --at", "--every 10s")
    return changes if tz is None else {**changes, "timezone": tz}


def pairs(policy: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` texts as a mapping; a value that is JSON is that value, any other is text."""
    found: dict[str, Any] = {}
    for item in policy:
        name, equals, value = item.partition("=")
        if not equals:
            raise InvalidSchedule.of("--set", item, "must be NAME=VALUE", "overlap=skip")
        found[name] = _loose(value)
    return found


def _loose(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _json(text: str, field: str, example: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput.of(field, text, f"must be JSON ({error})", example) from None
