"""Every example in the help of a command is a command line that naq takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from naq.cli import processes
from naq.cli.context import BAD_INPUT, Options
from naq.cli.lazy import LazyCommand
from naq.cli.processes import queue_weights
from naq.cli.root import command as root
from naq.exceptions import InvalidInput
from tests.cli.conftest import Command

GLOBAL = {"--nats-url", "--namespace", "--config", "--data-dir"}
"""Global options of examples that have a value; the test has its own."""
FOR_EVER = {"demo", "run", "scheduler", "worker", "server run", "server stop", "events", "restore"}
"""What does not end by itself, or would touch another server or namespace: these are parsed and not run."""
FILES = {
    "reports.py": "def send(region='eu', number=1): ...",
    "myapp.py": "import naq\n\napp = naq.Naq()\n\n\n@app.job\ndef send(): ...\n",
    "schedules.toml": '[schedules.nightly]\njob = "reports:send"\nschedule = "0 2 * * *"\n',
    "crontab": "0 5 * * * root /usr/bin/true\n",
    "naq.toml": "[naq]\n",
}


def groups(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command and its help text's end, without running it."""
    if isinstance(command, LazyCommand):
        yield path, command.load().epilog
        return
    if command.epilog:
        yield path, command.epilog
    for name, each in command.commands.items():
        yield from groups(each, (*path, name))


EXAMPLES = [
    (path, line.replace("\\[", "["))
    for path, epilog in groups(root())
    for line in epilog.split("\n\n")
    if line not in ("Example:", "Examples:")
]


def words_of(line: str) -> list[str]:
    """The arguments behind ``naq``, as a shell would hand them over."""
    words = shlex.split(re.sub(r"\s[|>].*", "", line))
    assert words.pop(0) == "naq", line
    return words


@pytest.mark.parametrize(("path", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_an_example_is_a_command_line(path: tuple[str, ...], line: str) -> None:
    command: Any = root()
    rest = words_of(line)
    context = command.make_context("naq", rest)
    seen = []
    while hasattr(command, "commands"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        seen.append(name)
        context = command.make_context(name, rest, parent=context)
    if path:
        assert command.callback is not None
        assert tuple(seen) == path or ALIASES.get(tuple(seen)) == path, "it is of another command"
    assert not context.args
    if queues := context.params.get("queue") if path in {("run",), ("worker",)} else None:
        assert Options().with_more(queues=list(queue_weights(queues))).settings.queues


ALIASES = {
    ("schedule", "preview"): ("schedule", "next"),
    ("schedule", "delete"): ("schedule", "rm"),
    ("job", "requeue"): ("job", "retry"),
}


def test_the_examples_are_bad_input_for_no_command(
    naq: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are run, on a namespace of their own: each is done, or asks for something that is not there."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    refused = []
    for path, line in EXAMPLES:
        if not path or " ".join(path) in FOR_EVER:
            continue
        words = words_of(line)
        while words[0] in GLOBAL:
            words = words[2:]
        result = naq(*("crontab" if word == "/etc/crontab" else word for word in words))
        if result.code == BAD_INPUT:
            refused.append((line, result.err))
    assert not refused


def test_a_queue_has_its_weight_beside_it() -> None:
    assert queue_weights(["mail=3", "default"]) == {"mail": 3, "default": None}
    for wrong in ("mail=", "mail=0", "mail=-1", "mail=1.5", "mail=three"):
        with pytest.raises(InvalidInput, match="--queue") as refused:
            queue_weights([wrong])
        assert "mail=3" in str(refused.value)


def test_the_weights_of_the_command_line_are_those_of_the_worker(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.syspath_prepend(str(shop))
    app = processes._app_serving("shop:app", Options(), ["mail=3", "default"])
    assert app.weights == {"mail": 3}
    assert app.settings.queues == ("mail", "default")
