"""Declared options for processes without the module: what `@app.job` declared, by the function's name.

A process that runs an application writes the options of its functions to ``function.<name>`` (`publish`). Whoever enqueues or
schedules a function by name alone takes them from there (`complete`), so the job gets the same queue, retries and limits as one
that was enqueued where the function can be imported. The last process that started counts.

A function that makes a key of the arguments (``unique_key=lambda ...``) cannot be written down: jobs by name are refused then.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from naq.clock import Clock
from naq.exceptions import InvalidInput, InvalidJob
from naq.jobs.form import as_job, job_form, parse_job, with_keys, with_options
from naq.jobs.job import Job
from naq.jobs.signature import call_signature
from naq.jobs.values import encode_value
from naq.store.codec import encode, function_name
from naq.store.keys import function_key
from naq.store.port import Committed, Put, Store, Write
from naq.store.records import readable, readable_one

__all__ = ["DeclaredFunction", "PublishedFunctions", "publish"]

KNOWN_FOR = 2.0
"""Seconds for which a declaration is not read again."""
ATTEMPTS = 5
KEYS = ("unique_key", "key")
"""Options that may be functions."""
NOT_JSON = object()
"""Stands for a default that cannot be part of a key."""
KINDS = {
    int(kind): kind
    for kind in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.VAR_KEYWORD,
    )
}

log = logging.getLogger(__name__)


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One parameter of a declared function."""

    name: str
    kind: int
    """As `inspect.Parameter` numbers it."""
    optional: bool = False
    default: str = ""
    """As JSON; empty: it has none, or one that is not JSON."""


class DeclaredFunction(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was declared of a function, as it is stored."""

    v: int = 1
    func: str
    options: dict[str, Any] = {}
    """Options of `naq.Job` as plain values, those that were declared."""
    parameters: tuple[Parameter, ...] | None = None
    """``None``: its signature is unknown."""
    withheld: tuple[str, ...] = ()
    """Declared options that cannot be written down."""


async def publish(store: Store, functions: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]]) -> None:
    """Write the declared options of functions, by the names that jobs use, where they differ from what is there. Raises
    `StoreError`."""
    wanted = {function_key(name): _declared(name, *declared) for name, declared in functions.items()}
    for _ in range(ATTEMPTS):
        entries = await store.get_many(list(wanted))
        there = {entry.key: record for entry, record in readable(DeclaredFunction, entries.values(), log)}
        writes: list[Write] = []
        for key, record in wanted.items():
            if key in entries and key not in there:
                continue  # written by a newer naq
            if there.get(key) != record and (key in entries or record.options or record.withheld):
                writes.append(Put(key, encode(record), entries[key].revision if key in entries else 0))
        if not writes or isinstance(await store.transact(writes), Committed):
            return
    log.warning("the declared options of %d functions are not written: other processes change them", len(wanted))


class PublishedFunctions:
    """The declarations in a store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[float, DeclaredFunction | None]] = {}

    async def complete(self, wanted: Job | Callable[..., Any] | str) -> Job:
        """A job by name with the options that its function was declared with, where it leaves them at their default; any other
        job as it is. Raises `InvalidJob` when a declared option needs the function itself, and `StoreError`."""
        job = as_job(wanted)
        if not isinstance(job.func, str):
            return job
        try:
            declared = await self._declared(function_name(job.func))
        except InvalidInput:
            return job  # parsing it says what is wrong
        return job if declared is None else _completed(job, declared)

    async def _declared(self, name: str) -> DeclaredFunction | None:
        now = self._clock.monotonic()
        known = self._known.get(name)
        if known is None or now - known[0] > KNOWN_FOR:
            found = readable_one(DeclaredFunction, await self._store.get(function_key(name)), log)
            known = self._known[name] = (now, found)
        return known[1]


def _completed(job: Job, declared: DeclaredFunction) -> Job:
    complete = with_options(job, declared.options)
    for name in declared.withheld:
        if getattr(complete, name) is None:
            reason = f"{declared.func} was declared with a function as {name}, and by name alone it is not known here"
            raise InvalidJob.of(f"job.{name}", None, f"{reason}: enqueue the function itself, or give the {name}", "x")
    return with_keys(complete, _signature(declared))


def _declared(name: str, func: Callable[..., Any], options: Mapping[str, Any]) -> DeclaredFunction:
    withheld = tuple(each for each, value in options.items() if each in KEYS and callable(value))
    own = {each: value for each, value in options.items() if each not in withheld}
    form = job_form(parse_job(Job(func=name, **own), call=False))
    form |= {each: own[each] for each in KEYS if each in own}
    kept = {each: form[each] for each in own if each in form}
    return DeclaredFunction(func=name, options=kept, parameters=_parameters(func), withheld=withheld)


def _parameters(func: Callable[..., Any]) -> tuple[Parameter, ...] | None:
    signature = call_signature(func)
    return None if signature is None else tuple(_parameter(each) for each in signature.parameters.values())


def _parameter(each: inspect.Parameter) -> Parameter:
    optional = each.default is not each.empty
    try:
        default = bytes(encode_value(each.default, each.name)).decode() if optional else ""
    except InvalidJob:
        default = ""
    return Parameter(name=each.name, kind=int(each.kind), optional=optional, default=default)


def _signature(declared: DeclaredFunction) -> inspect.Signature | None:
    if declared.parameters is None:
        return None
    return inspect.Signature([_stored_parameter(each) for each in declared.parameters])


def _stored_parameter(each: Parameter) -> inspect.Parameter:
    default: Any = inspect.Parameter.empty
    if each.optional:
        default = msgspec.json.decode(each.default) if each.default else NOT_JSON
    return inspect.Parameter(each.name, KINDS[each.kind], default=default)
