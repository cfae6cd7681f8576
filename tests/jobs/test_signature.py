"""What is read from a function's signature: its context, conversions, and arguments that do not fit."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from naq import Naq
from naq.exceptions import InvalidJob
from naq.jobs.context import JobContext
from naq.jobs.form import parse_job
from naq.jobs.functions import Registry
from naq.jobs.job import Job, JobSpec
from naq.jobs.target import make_target

if TYPE_CHECKING:
    from nowhere import DataFrame  # type: ignore[import-not-found]

AT = "2026-03-01T12:00:00Z"


def call(func: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    spec = JobSpec(
        func="m:f", args=msgspec.Raw(msgspec.json.encode(args)), kwargs=msgspec.Raw(msgspec.json.encode(kwargs))
    )
    return make_target("m:f", func).arguments(spec)


def with_a_frame(context: JobContext, frame: DataFrame, at: datetime) -> DataFrame: ...
def with_a_hidden_context(context: nowhere.JobContext, at: datetime) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def test_an_annotation_that_cannot_be_resolved_concerns_its_own_parameter_alone() -> None:
    target = make_target("m:f", with_a_frame)
    assert target.takes_context
    args, _ = call(with_a_frame, [1, 2], AT)
    assert args[0] == [1, 2]
    assert isinstance(args[1], datetime)
    assert make_target("m:f", with_a_hidden_context).takes_context
    assert isinstance(call(with_a_hidden_context, AT)[0][0], datetime)


def test_what_stays_unknown_is_said_once_by_name(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry()
    name = registry.add(with_a_frame)
    with caplog.at_level(logging.WARNING):
        registry.target(name)
        registry.target(name)
    (record,) = caplog.records
    assert "'frame'" in record.getMessage()
    assert "DataFrame" in record.getMessage()


def timed(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper


def with_session(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func("the session", *args, **kwargs)

    return wrapper


def with_own_parameters(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapper(at: datetime) -> Any:
        return func("the session", at)

    return wrapper


class Session:
    pass


@timed
def plain(at: datetime, count: int) -> tuple[Any, ...]:
    return at, count


@timed
@with_session
def injected(session: Session, at: datetime, count: int) -> tuple[Any, ...]:
    return session, at, count


@with_own_parameters
def narrowed(session: Session, at: datetime) -> tuple[Any, ...]:
    return session, at


@pytest.mark.parametrize("func", [plain, injected])
def test_a_decorated_function_gets_each_argument_as_its_own_parameter_is_annotated(func: Callable[..., Any]) -> None:
    args, kwargs = call(func, AT, 3)
    assert func(*args, **kwargs)[-2:] == (datetime.fromisoformat(AT), 3)
    args, kwargs = call(func, AT, count=3)
    assert func(*args, **kwargs)[-2:] == (datetime.fromisoformat(AT), 3)


def test_a_decorator_with_parameters_of_its_own_says_what_the_arguments_are() -> None:
    args, kwargs = call(narrowed, AT)
    assert narrowed(*args, **kwargs) == ("the session", datetime.fromisoformat(AT))


def rows() -> Iterator[int]:
    yield 1


async def pages() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("func", [rows, pages])
def test_a_generator_function_is_refused_where_it_is_declared(func: Callable[..., Any]) -> None:
    with pytest.raises(InvalidJob, match="generator"):
        Naq("nats://127.0.0.1:1").job(func)
    with pytest.raises(InvalidJob, match="generator"):
        parse_job(func)
    with pytest.raises(InvalidJob, match="generator"):
        make_target("m:f", func)


def send(context: JobContext, region: str, *, full: bool = False) -> None: ...


WRONG: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "one too few": ([], {}),
    "one too many": (["eu", 1], {}),
    "a misspelt name": (["eu"], {"fulll": True}),
    "one twice": (["eu"], {"region": "us"}),
}


@pytest.mark.parametrize(("args", "kwargs"), WRONG.values(), ids=WRONG)
def test_arguments_that_do_not_fit_are_refused_before_anything_is_stored(
    args: list[Any], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(InvalidJob, match="do not fit send"):
        parse_job(Job(func=send, args=args, kwargs=kwargs))
    parse_job(Job(func=send, args=["eu"], kwargs={"full": True}))
    parse_job(Job(func=send), call=False)
