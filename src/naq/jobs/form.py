"""Turning a user's job into its stored form (`parse_job`). All problems are collected and reported together."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from naq.durations import read_duration
from naq.exceptions import InvalidInput, InvalidJob, Problem, shown
from naq.jobs.job import Job, JobSpec
from naq.jobs.keying import UniqueKey, escaped, unique_text
from naq.jobs.signature import call_signature, check_arguments, refuse_generator
from naq.jobs.values import encode_value
from naq.parsing import MISSING, Reader, seconds
from naq.store.codec import function_name
from naq.store.keys import check_job_id, check_queue
from naq.timing.backoff import Backoff, BackoffKind
from naq.timing.duration import LONGEST, parse_duration

__all__ = [
    "CHANGEABLE",
    "DEFAULTS",
    "as_job",
    "changed_spec",
    "job_form",
    "job_from_mapping",
    "parse_job",
    "with_keys",
    "with_options",
]

EXECUTORS = ("auto", "process")
ENDINGS = ("succeeded", "failed", "ended")
MOST_CONCURRENT = 1000
"""Slots that a function with ``max_concurrent`` may have: each is a key in the store."""
JOB_KEYS = tuple(Job.__dataclass_fields__)
CHANGEABLE = tuple(key for key in JOB_KEYS if key != "job_id")
"""What of a stored job can be changed."""

DEFAULTS = Job(func="naq:declared")

EXAMPLES: Mapping[str, str] = {
    "func": "'reports:send_daily'",
    "job_id": "'report-2026'",
    "args": "['eu', 3]",
    "kwargs": "{'full': True}",
    "queue": "'mail'",
    "retries": "3",
    "backoff": "'30s'",
    "retry_on": "[ConnectionError]",
    "timeout": "30",
    "result_ttl": "3600",
    "executor": "'process'",
    "depends_on": "['extract-1']",
    "depends_when": "'succeeded'",
    "max_concurrent": "2",
    "key": "'{account}'",
    "unique_for": "'1h'",
    "unique_key": "'invoice-{number}'",
    "expires": "'5m'",
    "kind": "'exponential'",
    "delay": "'30s'",
    "longest": "'1h'",
    "jitter": "0.1",
}


def as_job(job: Job | Callable[..., Any] | str, path: str = "job") -> Job:
    """A `Job`, from a `Job`, a function, or a function name. Raises `InvalidJob` for anything else."""
    if isinstance(job, Job):
        return job
    if isinstance(job, str) or callable(job):
        return Job(func=job)
    raise InvalidJob.of(path, job, "must be a Job, a function, or a function name", "reports:send_daily")


def parse_job(job: Job | Callable[..., Any] | str, path: str = "job", *, call: bool = True) -> JobSpec:
    """The stored form of a job, which may be given as for `as_job`.

    Raises `InvalidJob` with every problem, each naming its field (``job.queue``), also when the function is known and
    cannot be called with the arguments. ``call=False``: there are no arguments yet, only options are checked.
    """
    problems: list[Problem] = []
    given = as_job(job, path)
    reader = Reader({name: getattr(given, name) for name in JOB_KEYS}, path, problems, EXAMPLES)
    _job_id(reader)
    values = {
        "func": _caught(reader, "func", lambda value, field: function_name(value, field)),
        "args": _json(reader, "args", list, "must be a list or tuple of JSON values"),
        "kwargs": _json(reader, "kwargs", dict, "must be a mapping of names to JSON values"),
        "queue": _caught(reader, "queue", check_queue),
        "retries": reader.integer("retries", at_least=0),
        "backoff": _backoff(reader),
        "retry_on": _retry_on(reader),
        "timeout": reader.duration("timeout", longest=LONGEST),
        "result_ttl": reader.duration("result_ttl", longest=LONGEST),
        "executor": _one_of(reader, "executor", EXECUTORS),
        "depends_on": _depends_on(reader),
        "depends_when": _one_of(reader, "depends_when", ENDINGS),
        "expires": reader.duration("expires", longest=LONGEST),
        "max_concurrent": reader.integer("max_concurrent", at_least=1, at_most=MOST_CONCURRENT),
    }
    if callable(given.func):
        problems += _problems_of_call(given, path, call and not problems)
    values |= _unique(given, reader, call and not problems)
    values |= _key(given, reader, call and not problems)
    if problems:
        raise InvalidJob(*problems)
    return JobSpec(**{name: value for name, value in values.items() if value is not None})


def with_options(job: Job, options: Mapping[str, Any]) -> Job:
    """A job with these options, where it leaves them at their default."""
    left = {name: value for name, value in options.items() if getattr(job, name) == getattr(DEFAULTS, name)}
    return dataclasses.replace(job, **left) if left else job


def with_keys(job: Job, signature: inspect.Signature | None) -> Job:
    """A job with the texts of its keys, if it has some, made with the signature of its function.

    Raises `InvalidJob` when one cannot be made.
    """
    keys: dict[str, UniqueKey | None] = {}
    if job.unique_for is not None or job.unique_key is not None:
        keys["unique_key"] = job.unique_key
    if job.key is not None:
        keys["key"] = job.key
    texts: dict[str, Any] = {
        name: escaped(unique_text(key, signature, job.args, job.kwargs, f"job.{name}")) for name, key in keys.items()
    }
    return dataclasses.replace(job, **texts) if texts else job


def _problems_of_call(job: Job, path: str, call: bool) -> Sequence[Problem]:
    """Why the function of a job cannot be called as it is asked for."""
    assert callable(job.func)
    try:
        refuse_generator(job.func, f"{path}.func")
        if call:
            check_arguments(job.func, job.args, job.kwargs)
    except InvalidJob as error:
        return error.problems
    return ()


def _unique(job: Job, reader: Reader, call: bool) -> dict[str, Any]:
    """What makes a job unique, and for how long; nothing when it need not be."""
    held = reader.duration("unique_for", positive=False, longest=LONGEST)
    key = _taken_key("unique_key", reader)
    if (job.unique_for is None and key is None) or reader.problems:
        return {}
    values = {"unique_for": held or timedelta(0)}
    return values | _key_text("unique_key", key, job, reader) if call else values


def _key(job: Job, reader: Reader, call: bool) -> dict[str, Any]:
    """What ``max_concurrent`` counts by."""
    key = _taken_key("key", reader)
    if key is None:
        return {}
    if job.max_concurrent is None:
        reader.complain("key", key, "says what max_concurrent counts by, which must be given too")
    return _key_text("key", key, job, reader) if call and not reader.problems else {}


def _taken_key(name: str, reader: Reader) -> Any:
    key = reader.take(name)
    if key is not None and not isinstance(key, str) and not callable(key):
        reader.complain(name, key, "must be text, or a function of the job's arguments")
    return key


def _key_text(name: str, key: UniqueKey | None, job: Job, reader: Reader) -> dict[str, Any]:
    """The text of a key, made from the job's arguments; a key that cannot be made is complained of."""
    signature = call_signature(job.func) if callable(job.func) else None
    try:
        return {name: unique_text(key, signature, job.args, job.kwargs, reader.field(name))}
    except InvalidJob as error:
        reader.problems.extend(error.problems)
        return {}


def job_from_mapping(form: Mapping[str, Any] | str, path: str = "job") -> Job:
    """A `Job` from a mapping of its fields, or from a function name. Raises `InvalidJob`."""
    if isinstance(form, str):
        return Job(func=form)
    problems: list[Problem] = []
    reader = Reader(form, path, problems, EXAMPLES)
    values = {key: reader.take(key) for key in JOB_KEYS if reader.has(key)}
    if "func" not in values:
        reader.complain("func", MISSING, "it must be given")
    reader.finish(JOB_KEYS)
    if problems:
        raise InvalidJob(*problems)
    return Job(**values)


def changed_spec(spec: JobSpec, changes: Mapping[str, Any], path: str = "job", *, call: bool = True) -> JobSpec:
    """A stored job with some of the fields of `Job` changed; those that are not named stay.

    Raises `InvalidJob` with every problem, also when the function is given and cannot be called with the arguments
    (``call=False``: these are not known yet).
    """
    if "job_id" in changes:
        raise InvalidJob.of(
            f"{path}.job_id", changes["job_id"], "the id of a stored job does not change", "(leave it out)"
        )
    given = parse_job(job_from_mapping({"func": spec.func, **changes}, path), path, call=False)
    named = {name: getattr(given, name) for name in changes}
    if spec.pickled and not named.keys().isdisjoint(("args", "kwargs")):
        named |= {"args": given.args, "kwargs": given.kwargs, "pickled": False}
    after = msgspec.structs.replace(spec, **named)
    func = changes.get("func")
    if call and callable(func) and not after.pickled:
        check_arguments(func, msgspec.json.decode(after.args), msgspec.json.decode(after.kwargs))
    return after


def job_form(spec: JobSpec) -> dict[str, Any]:
    """What a job runs and how, as plain values; `job_from_mapping` reads it again."""
    form: dict[str, Any] = {"args": [], "kwargs": {}, "queue": spec.queue}
    form |= msgspec.json.decode(msgspec.json.encode(spec))
    for name in ("timeout", "result_ttl", "unique_for", "expires"):
        if name in form:
            form[name] = seconds(getattr(spec, name))
    form |= {name: escaped(form[name]) for name in ("unique_key", "key") if name in form}
    if "backoff" in form:
        backoff = spec.backoff
        form["backoff"] = {"kind": str(backoff.kind), "delay": seconds(backoff.delay)}
        form["backoff"] |= {"longest": seconds(backoff.longest), "jitter": backoff.jitter}
    return form


def _caught(reader: Reader, key: str, read: Any) -> Any:
    value = reader.take(key)
    try:
        return read(value, reader.field(key))
    except InvalidInput as error:
        reader.problems.extend(error.problems)
        return None


def _job_id(reader: Reader) -> None:
    if reader.has("job_id"):
        _caught(reader, "job_id", lambda value, field: None if value is None else check_job_id(value, field))


def _json(reader: Reader, key: str, kind: type[list[Any] | dict[str, Any]], reason: str) -> msgspec.Raw | None:
    value = reader.take(key)
    wanted = Mapping if kind is dict else Sequence
    if not isinstance(value, wanted) or isinstance(value, str | bytes):
        reader.complain(key, value, reason)
        return None
    if not value:
        return None
    if isinstance(value, Mapping) and not all(isinstance(name, str) for name in value):
        reader.complain(key, value, reason)
        return None
    try:
        return encode_value(kind(value), reader.field(key))
    except InvalidInput as error:
        reader.problems.extend(error.problems)
        return None


def _backoff(reader: Reader) -> Backoff | None:
    value = reader.take("backoff")
    if value is None or value == Backoff():
        return None
    if isinstance(value, Backoff):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return _backoff_from(Reader(value, reader.field("backoff"), reader.problems, EXAMPLES))
    if isinstance(value, str) and value.lower() in set(BackoffKind):
        return Backoff(kind=BackoffKind(value.lower()))
    if read_duration(value) is None:
        kinds = ", ".join(BackoffKind)
        reader.complain("backoff", value, f"must be seconds, a duration like '30s', a Backoff, or one of {kinds}")
        return None
    try:
        delay = parse_duration(value, reader.field("backoff"), positive=False)
    except InvalidInput as error:
        reader.problems.extend(error.problems)
        return None
    return Backoff(kind=BackoffKind.FIXED, delay=delay, longest=max(delay, timedelta(hours=1)))


def _backoff_from(reader: Reader) -> Backoff:
    default = Backoff()
    jitter = reader.take("jitter")
    if jitter is MISSING:
        jitter = default.jitter
    elif isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
        reader.complain("jitter", jitter, "must be a fraction from 0 to 1")
        jitter = default.jitter
    kind = reader.choice("kind", BackoffKind) or default.kind
    delay = reader.duration("delay", positive=False, longest=LONGEST)
    longest = reader.duration("longest", longest=LONGEST)
    reader.finish(("kind", "delay", "longest", "jitter"))
    delay = default.delay if delay is None else delay
    longest = max(default.longest, delay) if longest is None else longest
    return Backoff(kind, delay, longest, float(jitter))


def _retry_on(reader: Reader) -> tuple[str, ...] | None:
    value = reader.take("retry_on")
    names: list[str] = []
    for item in value if isinstance(value, Sequence) and not isinstance(value, str) else (value,):
        name = _exception_name(item)
        if name is None:
            reader.complain("retry_on", item, "must be an exception class or the name of one")
        else:
            names.append(name)
    return tuple(names)


def _exception_name(item: object) -> str | None:
    if isinstance(item, type) and issubclass(item, BaseException):
        return item.__qualname__ if item.__module__ == "builtins" else f"{item.__module__}:{item.__qualname__}"
    if isinstance(item, str) and all(part.isidentifier() for part in item.replace(":", ".").split(".")):
        return item
    return None


def _depends_on(reader: Reader) -> tuple[str, ...] | None:
    value = reader.take("depends_on")
    ids: list[str] = []
    for item in (value,) if isinstance(value, str) or not isinstance(value, Sequence) else value:
        try:
            ids.append(check_job_id(item, reader.field("depends_on")))
        except InvalidInput as error:
            reader.problems.extend(error.problems)
    return tuple(ids)


def _one_of(reader: Reader, key: str, valid: tuple[str, ...]) -> str | None:
    value = reader.take(key)
    if value not in valid:
        reader.problems.append(
            Problem(reader.field(key), shown(value), f"must be one of {', '.join(valid)}", EXAMPLES[key])
        )
        return None
    return str(value)
