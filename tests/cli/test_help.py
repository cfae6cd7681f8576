from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from naq.cli.root import app
from tests.cli.conftest import Command


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that lead to it."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, each in below.items():
        yield from commands(each, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


def test_all_that_was_promised_is_there() -> None:
    promised = {
        "demo, run, scheduler, worker, workers, leader, events, doctor, config, sync, import, lint",
        "server run, server status, server stop",
        "schedule add, schedule ls, schedule show, schedule pause, schedule resume, schedule cancel, schedule trigger",
        "schedule rm, schedule update, schedule next, schedule history, schedule explain, schedule skip, schedule backfill",
        "job ls, job show, job retry, job cancel, job dead, job purge, queue purge, queue show, queue limit, alert ls, verify",
    }
    wanted = {name for line in promised for name in line.split(", ")}
    assert wanted == {" ".join(path) for path in ALL}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_says_what_it_does_and_shows_an_example(path: tuple[str, ...], command: Command) -> None:
    result = command(*path, "--help")
    assert result.code == 0
    assert result.err == ""
    _, example, lines = result.out.partition("Example")
    assert example, "no example"
    assert f"naq {' '.join(path)}" in lines or path[-1] in lines
    assert (ALL[path].help or "").strip()


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_says_what_it_is(path: tuple[str, ...]) -> None:
    silent = [each.name for each in ALL[path].params if not getattr(each, "help", None)]
    assert not silent


@pytest.mark.parametrize(
    "path", [path for path in ALL if path[-1] in {"ls", "show", "status", "dead", "history", "next"}]
)
def test_whatever_lists_or_shows_also_speaks_json(path: tuple[str, ...]) -> None:
    assert any("--json" in each.opts for each in ALL[path].params)


def test_without_a_command_it_helps(command: Command) -> None:
    result = command()
    assert result.code in (0, 2)  # which of them depends on the version of Typer
    assert "naq demo" in result.out + result.err


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "naq", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("naq 0.")


def test_explain_and_help_need_no_server_and_load_none() -> None:
    program = "import sys; from naq.cli import run; run(['schedule', 'explain', '0 9 * * *']); sys.exit('yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("at 09:00")
