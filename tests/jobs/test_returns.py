"""A result comes back as the function is annotated to return it, where the function is known."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel

from naq.exceptions import JobFailed, ResultUnfit
from naq.jobs.job import JobStatus
from naq.jobs.outcome import returned
from naq.jobs.records import StoredResult
from naq.jobs.returns import value_of
from naq.jobs.signature import returned_type
from naq.jobs.values import convert_value

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-not-found,import-untyped,unused-ignore]


class Model(BaseModel):
    number: int
    path: Path


@dataclasses.dataclass
class Data:
    at: datetime


class Item(msgspec.Struct):
    wait: timedelta


class Color(Enum):
    RED = "red"


async def model() -> Model: ...  # type: ignore[empty-body]
def models() -> dict[str, list[Model]]: ...  # type: ignore[empty-body]
def data() -> Data | None: ...
async def item() -> Item: ...  # type: ignore[empty-body]
def moment() -> datetime: ...  # type: ignore[empty-body]
def path() -> Path: ...  # type: ignore[empty-body]
def several() -> tuple[int, date, Color, UUID, Decimal]: ...  # type: ignore[empty-body]
def some() -> set[int]: ...  # type: ignore[empty-body]
def nothing() -> None: ...
def anything() -> Any: ...
def awaited() -> Awaitable[int]: ...  # type: ignore[empty-body]
def frame() -> DataFrame: ...
def bare(): ...  # type: ignore[no-untyped-def]


def passed_on(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper


NOW = datetime(2026, 3, 1, tzinfo=UTC)


def stored(value: Any, status: JobStatus = JobStatus.COMPLETED) -> StoredResult:
    outcome = returned(value)
    return StoredResult(job_id="a", status=status, value=outcome.value, error_type=outcome.complaint)


@pytest.mark.parametrize(
    ("func", "value"),
    [
        (model, Model(number=1, path=Path("/x"))),
        (passed_on(model), Model(number=1, path=Path("/x"))),
        (models, {"a": [Model(number=1, path=Path("/x"))]}),
        (data, Data(NOW)),
        (data, None),
        (item, Item(timedelta(seconds=3))),
        (moment, NOW),
        (path, Path("/a/b")),
        (several, (1, date(2026, 3, 1), Color.RED, UUID(int=7), Decimal("1.10"))),
        (some, {1, 2}),
        (nothing, None),
        (anything, {"a": [1]}),
        (awaited, 3),
        (frame, [[1, 2]]),
        (bare, [1]),
    ],
)
def test_a_result_is_what_the_function_returned(func: Callable[..., Any], value: Any) -> None:
    found = value_of(stored(value), func)
    assert found == value
    assert type(found) is type(value)
    assert value_of(stored(value)) == msgspec.json.decode(stored(value).value), "JSON values where it is not known"


@pytest.mark.parametrize(("func", "value"), [(model, {"number": "x"}), (moment, 3.5), (nothing, 3), (some, [[]])])
def test_a_value_that_no_longer_fits_is_an_error_that_says_so(func: Callable[..., Any], value: Any) -> None:
    with pytest.raises(
        ResultUnfit, match=rf"(?s)job 'a': completed, but .* {func.__name__}, annotated to return .*get_job"
    ):
        value_of(stored(value), func)


def test_how_a_job_failed_matters_more_than_the_type() -> None:
    with pytest.raises(JobFailed):
        value_of(stored(None, JobStatus.FAILED), model)
    with pytest.raises(JobFailed):
        value_of(stored(object()), model)
    assert returned_type(frame) is Any


def test_an_annotated_array_holds_the_values_and_not_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in: numpy itself is not among the packages of the tests."""
    module = ModuleType("numpy")

    class ndarray:  # noqa: N801 - its real name
        def __init__(self, shape: Any) -> None:
            self.values = ("made of", shape)

    def array(values: Any) -> ndarray:
        made = ndarray(())
        made.values = values
        return made

    ndarray.__module__, ndarray.__qualname__ = "numpy", "ndarray"
    module.array = array  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "numpy", module)
    assert convert_value([1, 2, 3], ndarray).values == [1, 2, 3]
