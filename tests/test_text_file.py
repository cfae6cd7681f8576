"""Files that nobody meant well with: one complaint, no traceback, and little time and memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from naq.cli import run
from naq.config import load_settings
from naq.exceptions import ConfigError, InvalidInput, InvalidJob, shown
from naq.jobs.values import encode_value
from naq.text_file import DEEPEST, parse_text, read_text_file

ALIASES = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 8)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {" + ", ".join(f"k{number}: 1" for number in range(8)) + "}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 8)}]}}\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)  # fmt: skip
HOSTILE = {
    "aliases.yaml": ALIASES.encode(),
    "merges.yaml": MERGES.encode(),
    "itself.yaml": b"a: &a [*a]\n",
    "deep.yaml": b"[" * 60 + b"]" * 60,
    "deeper.yaml": b"[" * 3_000 + b"]" * 3_000,
    "indented.yaml": b"".join(b" " * depth + b"a:\n" for depth in range(300)),
    "list-as-key.yaml": b"? [a, b]\n: 1\n",
    "unknown-tag.yaml": b"!!python/object:os.system {}\n",
    "tab.yaml": b"a:\n\t- b\n",
    "date.yaml": b"a: 2026-13-45\n",
    "deep.json": b'{"a":' * 60 + b"1" + b"}" * 60,
    "deeper.json": b"[" * 100_000 + b"]" * 100_000,
    "cut.json": b'{"schedules": ',
    "long-number.json": b'{"a": ' + b"9" * 5000 + b"}",
    "deep.toml": b"a = " + b"[" * 60 + b"]" * 60,
    "deeper.toml": b"a = " + b"[" * 3_000 + b"]" * 3_000,
    "dotted.toml": b".".join([b"a"] * 3_000) + b" = 1\n",
    "twice.toml": b"a = 1\na = 2\n",
    "latin-1.toml": 'note = "Z\xfcrich"\n'.encode("latin-1"),
    "latin-1.yaml": "note: Z\xfcrich\n".encode("latin-1"),
    "utf-16.json": '{"schedules": {}}'.encode("utf-16"),
    "null.yaml": b"a: \x00\n",
    "large.json": b'"' + b"x" * 5_000_000 + b'"',
    "empty.json": b"",
    "a-list.json": b"[]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_sync_answers_a_hostile_file_with_one_complaint(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("naq.text_file.MOST", 5_000)
    file = tmp_path / name
    file.write_bytes(HOSTILE[name])
    capfd.readouterr()
    tracemalloc.start()
    try:
        code = run(["--nats-url", "nats://127.0.0.1:1", "sync", str(file)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    out, err = capfd.readouterr()
    assert (code, out) == (2, ""), err
    assert err.startswith(f"naq: FILE = {str(file)!r}: ")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    assert peak < 60_000_000


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.endswith(".toml")])
def test_a_hostile_configuration_is_one_complaint(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(HOSTILE[name])
    with pytest.raises(ConfigError) as refused:
        load_settings({}, file=file, environment={})
    assert len(refused.value.problems) == 1
    assert str(file) in str(refused.value)


def test_a_configuration_whose_table_is_none(tmp_path: Path) -> None:
    file = tmp_path / "naq.toml"
    file.write_text("naq = 3\n")
    with pytest.raises(ConfigError, match="must be a table"):
        load_settings({}, file=file, environment={})


def test_the_line_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "crontab"
    file.write_bytes(b"# ok\n# Z\xfcrich\n")
    with pytest.raises(InvalidInput, match=r"is not UTF-8 \(line 2\)"):
        read_text_file(file, "CRONTAB", "/etc/crontab")
    file.write_bytes(b"\xef\xbb\xbf# a mark at the beginning, as some editors write it\n")
    assert read_text_file(file, "CRONTAB", "/etc/crontab").startswith("# a mark")


def test_what_people_write_is_read() -> None:
    text = "defaults: &d {tz: UTC, labels: {team: a}}\nschedules:\n  a: {<<: *d, cron: '0 9 * * *'}\n  b: *d\n"
    assert parse_text(text, ".yaml")["schedules"]["a"] == {
        "tz": "UTC",
        "labels": {"team": "a"},
        "cron": "0 9 * * *",
    }
    nested: Any = 1
    for _ in range(DEEPEST - 1):
        nested = [nested]
    assert parse_text(json.dumps(nested), ".json") == nested


@pytest.mark.parametrize("given", ["", "  ", "a\0b"])
def test_a_data_directory_without_a_name_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="data_dir"):
        load_settings({"data_dir": given}, environment={})


def test_the_command_line_refuses_an_empty_data_directory(capfd: pytest.CaptureFixture[str]) -> None:
    """It was the current directory."""
    assert run(["--data-dir", "", "config"]) == 2
    assert "data_dir = '': must name a directory" in capfd.readouterr().err


def test_deep_arguments_on_the_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    deep = "[" * 50_000
    assert run(["--nats-url", "nats://127.0.0.1:1", "job", "add", "m:f", "--args", deep]) == 2
    err = capfd.readouterr().err
    assert err.startswith("naq: --args = ")
    assert len(err) < 1000


def test_a_very_deep_value_is_one_error() -> None:
    """Its own ``repr`` is too deep, too."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidJob, match="nested more than 200 levels deep") as refused:
        encode_value(deep, "result")
    assert len(str(refused.value)) < 500
    while deep:  # or the interpreter takes it apart recursively
        deep = deep[0]


def test_a_value_whose_repr_fails_is_shown() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ValueError("no")

    assert shown(Odd()) == "<a test_a_value_whose_repr_fails_is_shown.<locals>.Odd that cannot be shown: ValueError>"
    assert shown("x" * 10_000_000) == "'" + "x" * 116 + "..."
