from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from rich.text import Text

from naq.cli import render

T = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_times() -> None:
    assert render.local(T) == render.local(T.timestamp()) == "2030-01-01 21:00:00 JST"
    assert render.utc(T) == "2030-01-01 12:00:00"
    assert render.both_times(T) == "2030-01-01 21:00:00 JST  (2030-01-01 12:00:00 UTC)"
    assert render.local(None) == render.utc(None) == render.both_times(None) == "-"


@pytest.mark.parametrize(
    ("gap", "ago", "wait"),
    [
        (timedelta(hours=1, minutes=2, seconds=3.9), "in 1h2m3s", "in 1h2m3s"),
        (timedelta(0), "in 0s", "in 0s"),
        (timedelta(milliseconds=-200), "0s ago", "in 0s"),
        (timedelta(days=-2), "2d ago", "overdue, 2d ago"),
    ],
)
def test_gaps(gap: timedelta, ago: str, wait: str) -> None:
    assert render.ago(T + gap, T) == ago
    assert render.wait(T + gap, T).plain == wait
    assert render.wait(None, T).plain == render.ago(None, T) == "-"


def test_a_table_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[tuple[str | Text, ...]] = [("[red]no markup[/]", Text("styled", style="red")), ("x" * 300, "")]
    render.show_table("", ("name", "what"), rows, "nothing")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if "no markup" in line] == [["[red]no", "markup[/]", "styled"]]
    assert any("x" * 300 in line for line in lines)
    assert not any("\x1b" in line for line in lines)
    render.show_table("", ("name",), [], "nothing")
    assert capsys.readouterr().out == "nothing\n"


def test_fields_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    render.show_fields("it [x]", [("a", None), ("b", ""), ("c", 0), ("d", [])])
    said = capsys.readouterr().out
    assert said.splitlines()[0].strip() == "it [x]"
    assert [line.split() for line in said.splitlines()[1:]] == [["c", "0"]]
