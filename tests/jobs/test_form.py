"""Jobs as users hand them in, and what is stored of them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from naq.exceptions import InvalidJob
from naq.jobs.form import job_form, job_from_mapping, parse_job
from naq.jobs.job import Job, JobSpec
from naq.timing.backoff import Backoff, BackoffKind

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def a_function() -> None: ...


class Thing:
    def method(self) -> None: ...


class TemporaryError(Exception): ...


def test_the_least_that_is_needed() -> None:
    assert parse_job(Job(func=a_function)) == JobSpec(func=f"{__name__}:a_function")
    assert len(msgspec.json.encode(parse_job(Job(func="m:f")))) < 20


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"args": (1, "a")}, {"args": b'[1,"a"]'}),
        ({"args": []}, {"args": b"[]"}),
        ({"kwargs": {"a": [None]}}, {"kwargs": b'{"a":[null]}'}),
        ({"queue": "mail"}, {"queue": "mail"}),
        ({"retries": 3}, {"retries": 3}),
        ({"backoff": 30}, {"backoff": Backoff(BackoffKind.FIXED, 30 * SECOND)}),
        ({"backoff": "2h"}, {"backoff": Backoff(BackoffKind.FIXED, 2 * HOUR, 2 * HOUR)}),
        ({"backoff": 0}, {"backoff": Backoff(BackoffKind.FIXED, 0 * SECOND)}),
        ({"backoff": "linear"}, {"backoff": Backoff(BackoffKind.LINEAR)}),
        ({"backoff": Backoff(jitter=0.0)}, {"backoff": Backoff(jitter=0.0)}),
        ({"backoff": {"kind": "fixed", "delay": "5s"}}, {"backoff": Backoff(BackoffKind.FIXED, 5 * SECOND)}),
        ({"backoff": {"delay": "2h"}}, {"backoff": Backoff(delay=2 * HOUR, longest=2 * HOUR)}),
        ({"retry_on": [ConnectionError]}, {"retry_on": ("ConnectionError",)}),
        ({"retry_on": (TemporaryError,)}, {"retry_on": (f"{__name__}:TemporaryError",)}),
        ({"retry_on": "requests:Timeout"}, {"retry_on": ("requests:Timeout",)}),
        ({"timeout": 30}, {"timeout": 30 * SECOND}),
        ({"timeout": "1h"}, {"timeout": HOUR}),
        ({"timeout": None}, {"timeout": None}),
        ({"result_ttl": HOUR}, {"result_ttl": HOUR}),
        ({"executor": "process"}, {"executor": "process"}),
        ({"depends_on": ["a", "b/c"], "depends_when": "ended"}, {"depends_on": ("a", "b/c"), "depends_when": "ended"}),
        ({"depends_on": "a"}, {"depends_on": ("a",)}),
        ({"max_concurrent": 2}, {"max_concurrent": 2}),
    ],
    ids=str,
)
def test_each_field_is_stored(given: dict[str, Any], stored: dict[str, Any]) -> None:
    spec = parse_job(Job(func="m:f", **given))
    for name, value in stored.items():
        found = getattr(spec, name)
        assert (bytes(found) if isinstance(value, bytes) else found) == value
    assert parse_job(job_from_mapping(job_form(spec))) == spec


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"func": "nothing"}, ["job.func"]),
        ({"func": lambda: None}, ["job.func"]),
        ({"func": Thing().method}, ["job.func"]),
        ({"func": functools.partial(a_function)}, ["job.func"]),
        ({"func": 5}, ["job.func"]),
        ({"job_id": "a b"}, ["job.job_id"]),
        ({"args": 5}, ["job.args"]),
        ({"args": "text"}, ["job.args"]),
        ({"args": [object()]}, ["job.args"]),
        ({"kwargs": [1]}, ["job.kwargs"]),
        ({"kwargs": {1: 2}}, ["job.kwargs"]),
        ({"queue": "a.b"}, ["job.queue"]),
        ({"retries": -1}, ["job.retries"]),
        ({"retries": 1.5}, ["job.retries"]),
        ({"retries": True}, ["job.retries"]),
        ({"backoff": "fast"}, ["job.backoff"]),
        ({"backoff": -1}, ["job.backoff"]),
        ({"backoff": {"jitter": 2, "kynd": "x"}}, ["job.backoff.jitter", "job.backoff.kynd"]),
        ({"retry_on": [5]}, ["job.retry_on"]),
        ({"retry_on": [int]}, ["job.retry_on"]),
        ({"timeout": 0}, ["job.timeout"]),
        ({"result_ttl": "x"}, ["job.result_ttl"]),
        ({"executor": "gpu"}, ["job.executor"]),
        ({"depends_on": ["ok", "not ok"]}, ["job.depends_on"]),
        ({"depends_when": "maybe"}, ["job.depends_when"]),
        ({"max_concurrent": 0}, ["job.max_concurrent"]),
        ({"max_concurrent": 1_000_000}, ["job.max_concurrent"]),
        ({"queue": "", "retries": -1, "timeout": -1}, ["job.queue", "job.retries", "job.timeout"]),
    ],
    ids=lambda value: re.sub(r" at 0x[0-9a-f]+", "", str(value)),
)
def test_a_wrong_job_is_refused_with_every_complaint(given: dict[str, Any], fields: list[str]) -> None:
    func: Callable[..., Any] | str = given.pop("func", "m:f")
    with pytest.raises(InvalidJob) as refused:
        parse_job(Job(func=func, **given))
    assert [problem.field for problem in refused.value.problems] == fields


def test_a_function_or_its_name_alone_is_a_job() -> None:
    assert parse_job("m:f") == parse_job(Job(func="m:f"))
    assert parse_job(a_function) == parse_job(Job(func=a_function))


@pytest.mark.parametrize("given", [None, 3, {"func": "m:f"}])
def test_anything_else_is_refused_with_an_example_of_a_job(given: Any) -> None:
    with pytest.raises(InvalidJob) as refused:
        parse_job(given)
    (problem,) = refused.value.problems
    assert (problem.field, problem.example) == ("job", "'reports:send_daily'")


def test_a_job_as_a_mapping() -> None:
    assert job_from_mapping("m:f") == Job(func="m:f")
    assert job_from_mapping({"func": "m:f", "queue": "mail"}) == Job(func="m:f", queue="mail")
    with pytest.raises(InvalidJob, match="did you mean 'queue'"):
        job_from_mapping({"func": "m:f", "que": "mail"})
