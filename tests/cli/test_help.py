from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer._completion_classes import FishComplete, PowerShellComplete, ZshComplete

from naq.cli.completion import Fish, PowerShell, Zsh
from naq.cli.lazy import LazyCommand
from naq.cli.root import command as root
from tests.cli.conftest import Command


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that lead to it."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command.load() if isinstance(command, LazyCommand) else command
        return
    for name, each in below.items():
        yield from commands(each, (*path, name))


ALL = dict(commands(root()))


def test_all_that_was_promised_is_there() -> None:
    promised = {
        "demo, run, scheduler, worker, workers, leader, events, doctor, config, sync, import, lint, permissions, backup, restore",
        "server run, server status, server stop, store replicas",
        "schedule add, schedule ls, schedule show, schedule pause, schedule resume, schedule cancel, schedule trigger",
        "schedule delete, schedule update, schedule preview, schedule history, schedule explain",
        "schedule skip, schedule aim, schedule backfill, schedule rename-set, alert ls, verify",
        "health live, health ready",
        "job add, job ls, job show, job requeue, job cancel, job dead, job purge, queue purge, queue show, queue limit",
    }
    wanted = {name for line in promised for name in line.split(", ")}
    earlier = {"schedule rm", "schedule next", "job retry"}
    assert wanted | earlier == {" ".join(path) for path in ALL}
    assert all(ALL[tuple(name.split())].hidden for name in earlier)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_says_what_it_does_and_shows_an_example(path: tuple[str, ...], command: Command) -> None:
    result = command(*path, "--help")
    assert result.code == 0
    assert result.err == ""
    _, example, lines = result.out.partition("Example")
    assert example, "no example"
    assert f"naq {' '.join(path)}" in lines or path[-1] in lines or ALL[path].hidden
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


def test_the_list_of_commands_says_what_their_docstrings_say() -> None:
    """Help and completion show a command without importing it."""

    def listed(command: Any) -> Iterator[LazyCommand]:
        for each in command.commands.values():
            if isinstance(each, LazyCommand):
                yield each
            else:
                yield from listed(each)

    different = [
        each.where
        for each in listed(root())
        if (each.load().help or "").split("\n\n")[0].replace("\n", " ").strip() != each.help
    ]
    assert not different


PROGRAM = """
import sys
from naq.cli import run
code = run({arguments!r})
print("loaded", *sorted(name for name in sys.modules if name.split(".")[0] in {roots!r}))
sys.exit(code)
"""


def loaded_by(
    *arguments: str, roots: tuple[str, ...] = ("naq", "nats", "rich", "msgspec", "typer", "asyncio")
) -> set[str]:
    """The modules of some packages that a command loads."""
    program = PROGRAM.format(arguments=list(arguments), roots=set(roots))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_version_loads_no_more_than_it_needs() -> None:
    assert loaded_by("--version") == {"naq", "naq.cli", "naq.durations", "naq.exceptions", "naq.lazy_names"}


def test_help_loads_no_services_and_no_client() -> None:
    loaded = loaded_by("--help", roots=("naq", "nats", "msgspec", "asyncio"))
    assert loaded == {
        *(
            "naq",
            "naq.cli",
            "naq.cli.completion",
            "naq.cli.context",
            "naq.cli.lazy",
            "naq.cli.overview",
            "naq.cli.root",
            "naq.cli.say",
        ),
        "naq.cli.schedule_commands",
        *("naq.durations", "naq.exceptions", "naq.lazy_names", "naq.printable"),
    }


NETWORK = ("nats", "asyncio", "naq.store.nats", "naq.store.embedded", "naq.lifecycle", "tomllib")
RULES = (
    "naq.timing.rrule",
    "naq.timing.calendar_interval",
    "naq.timing.ics",
    "naq.timing.triggers",
    "naq.timing.counting",
)
RECORDS = (
    "naq.jobs",
    "naq.schedules.record",
    "naq.schedules.policy",
    "naq.schedules.forms.specification",
    "naq.timing.exclusions",
)
SERVICES = ("naq.app", "naq.queue", "naq.worker", "naq.observe", "naq.scheduler", "naq.schedules.service")
MAY_NOT_LOAD = {
    ("--help",): (*NETWORK, "naq.config", *SERVICES, "naq.timing", "naq.schedules", "naq.jobs", "msgspec"),
    ("schedule", "explain", "0 9 * * *"): (*NETWORK, *SERVICES, *RULES, *RECORDS, "json"),
    ("schedule", "explain", "0 9 * * *", "--json"): (*NETWORK, *SERVICES, *RULES, *RECORDS, "rich"),
    ("schedule", "ls"): (
        *(
            "naq.app",
            "naq.queue",
            "naq.worker",
            "naq.observe.diagnosis.service",
            "naq.observe.verify",
            "naq.observe.alerts",
        ),
        *("naq.schedules.service", "naq.schedules.repository", "naq.schedules.forms", "naq.schedules.planning.plan"),
        *("naq.scheduler.service", "naq.scheduler.firing", "naq.store.embedded", "nkeys"),
        *("naq.timing.rrule_clock", "naq.timing.counting", "naq.timing.allowed", "naq.timing.ics"),
    ),
}
"""Start costs processor time, and most of it is what is imported: each of these takes part in it and is not needed there."""


@pytest.mark.parametrize("arguments", MAY_NOT_LOAD, ids=" ".join)
def test_a_command_loads_only_what_it_needs(arguments: tuple[str, ...], options: list[str]) -> None:
    needs_server = arguments == ("schedule", "ls")
    if needs_server:
        add = ("schedule", "add", "reports:send", "--every", "1h", "--id", "a")
        loaded_by(*options, *add)
    loaded = loaded_by(
        *(options if needs_server else ()),
        *arguments,
        roots=("naq", "nats", "nkeys", "rich", "msgspec", "asyncio", "json", "tomllib"),
    )
    forbidden = MAY_NOT_LOAD[arguments]
    assert not {name for name in loaded for each in forbidden if name == each or name.startswith(f"{each}.")}
    assert "naq.cli" in loaded


def completions(words: str, tmp_path: Path) -> tuple[list[str], set[str]]:
    """What one TAB offers after some words, and the modules that it loads."""
    program = (
        "import sys, atexit; atexit.register(lambda: print('loaded', *sys.modules, file=sys.stderr));"
        "from naq.cli import main; main()"
    )
    environment = {**os.environ, "_NAQ_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    names = re.findall(r'"([\w-]+)":', done.stdout)
    return names, set(done.stderr.splitlines()[-1].split()[1:])


def test_a_tab_completes_commands_without_loading_them(tmp_path: Path) -> None:
    for words, expected in (("naq ", "schedule"), ("naq schedule ", "preview"), ("naq schedule pa", "pause")):
        names, loaded = completions(words, tmp_path)
        assert expected in names
        assert not loaded & {"msgspec", "nats", "asyncio", "rich", "logging", "naq.cli.schedules", "naq.config"}


@pytest.mark.parametrize(
    ("kind", "typers"), [(Zsh, ZshComplete), (Fish, FishComplete), (PowerShell, PowerShellComplete)]
)
def test_a_tab_shows_what_typer_would_show(kind: Any, typers: Any) -> None:
    top = root()
    context = top.make_context("naq", ["leader"], resilient_parsing=True)
    words = ["", "--", *top.commands]
    items = [item for word in words for item in top.shell_complete(context, word)]
    items += [
        item for each in top.commands.values() if hasattr(each, "commands") for item in each.shell_complete(context, "")
    ]
    assert len(items) > 50
    for item in items:
        ours, theirs = (each(top, {}, "naq", "_NAQ_COMPLETE").format_completion(item) for each in (kind, typers))
        assert " ".join(ours.split()) == " ".join(theirs.split())
