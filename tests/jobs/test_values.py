"""Arguments and results come back as they were given, or are refused."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from naq.exceptions import InvalidJob
from naq.jobs.form import parse_job
from naq.jobs.job import Job, JobSpec
from naq.jobs.outcome import returned
from naq.jobs.target import make_target
from naq.jobs.values import convert_value, encode_value


class Order(BaseModel):
    number: int
    path: Path


@dataclasses.dataclass
class Box:
    value: Any


class Crate(msgspec.Struct):
    value: Any


NAN = float("nan")
LOST: dict[str, Any] = {
    "NaN": NAN,
    "infinity": [1, float("-inf")],
    "deep inside": {"a": [{"b": (1.0, NAN)}]},
    "two keys of one text": {1: "a", "1": "b"},
    "in a dataclass": Box(NAN),
    "in a struct": Crate({1: 1, "1": 2}),
    "text that is not UTF-8": "\udcff",
    "an object": object(),
}


@pytest.mark.parametrize("value", LOST.values(), ids=LOST)
def test_a_value_that_would_not_come_back_is_refused_before_it_is_stored(value: Any) -> None:
    for job in (Job(func="m:f", args=[value]), Job(func="m:f", kwargs={"x": value})):
        with pytest.raises(InvalidJob, match=r"job\.(args|kwargs)"):
            parse_job(job)
    result = returned(value)
    assert result.value == msgspec.Raw(b"null")
    assert "nothing was kept of it" in (result.complaint or "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_any_json_value_comes_back_as_it_was_given(value: Any) -> None:
    assert msgspec.json.decode(encode_value(value, "args")) == value


@given(st.dictionaries(st.integers(-5, 5) | st.integers(-5, 5).map(str), st.integers(), max_size=6))
def test_no_entry_of_a_mapping_is_lost(value: dict[Any, int]) -> None:
    try:
        kept = msgspec.json.decode(encode_value(value, "args"))
    except InvalidJob:
        assert len({str(key) for key in value}) < len(value)
    else:
        assert len(kept) == len(value)


def order_of(order: Order, path: Path, later: list[Order]) -> None: ...


def test_models_and_paths_go_in_and_come_back_as_annotated() -> None:
    order = Order(number=3, path=Path("a/b"))
    spec = parse_job(Job(func=order_of, args=[order, Path("/tmp/x")], kwargs={"later": [order]}))
    args, kwargs = make_target("m:f", order_of).arguments(spec)
    assert args == [order, Path("/tmp/x")]
    assert kwargs == {"later": [order]}
    assert returned(order).complaint is None


def test_a_model_that_does_not_fit_is_a_bad_argument() -> None:
    spec = JobSpec(func="m:f", args=msgspec.Raw(b'[{"number": "x"}, "p", []]'))
    with pytest.raises(InvalidJob, match="argument 1 does not match its annotation"):
        make_target("m:f", order_of).arguments(spec)


def test_numpy_scalars_and_arrays_are_numbers_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins: numpy itself is not among the packages of the tests."""
    module = ModuleType("numpy")

    class Float64:
        def __init__(self, value: Any) -> None:
            self.value = value

        def tolist(self) -> Any:
            return self.value

    Float64.__module__ = "numpy"
    monkeypatch.setitem(sys.modules, "numpy", module)
    assert encode_value([Float64(1.5), Float64([1, 2])], "args") == msgspec.Raw(b"[1.5,[1,2]]")
    with pytest.raises(InvalidJob):
        encode_value(Float64(NAN), "args")
    assert convert_value(2.5, Float64).value == 2.5
