"""The README's tutorial, done as it is written: its files, its commands, its program, in its order."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.world import Process

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^>]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    mark: str
    language: str
    text: str


def blocks(path: Path) -> Iterator[Block]:
    for found in BLOCK.finditer(path.read_text()):
        yield Block(found["mark"] or "", found["language"], found["text"])


@pytest.mark.slow
async def test_the_tutorial(tmp_path: Path) -> None:
    environment = {"NAQ_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(tmp_path)}
    everything = {**os.environ, **environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    running: list[Process] = []
    did: list[str] = []
    try:
        for block in blocks(ROOT / "README.md"):
            kind, _, argument = block.mark.partition(": ")
            did.append(kind)
            match kind:
                case "file":
                    (tmp_path / argument).write_text(block.text)
                case "background":
                    program, *arguments = block.text.split()
                    assert program == "naq"
                    process = Process(arguments, environment)
                    running.append(process)
                    await process.start(argument)
                case "run":
                    for line in block.text.splitlines():
                        done = subprocess.run(  # noqa: ASYNC221  one command after the other, as a person does
                            ["bash", "-c", line],
                            cwd=tmp_path,
                            env=everything,
                            capture_output=True,
                            text=True,
                            timeout=60,
                        )
                        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
                case "script":
                    done = subprocess.run(  # noqa: ASYNC221
                        [sys.executable, "-c", block.text],
                        cwd=tmp_path,
                        env=everything,
                        capture_output=True,
                        text=True,
                        timeout=60,
                    )
                    assert done.returncode == 0, done.stderr
                    assert "report for asia sent" in done.stdout
                    assert "heartbeat" in done.stdout
        await running[0].line("alive")
    finally:
        for process in running:
            if process.running:
                process.signal(signal.SIGTERM)
            assert await process.ended() == 0
    assert did.count("file") == did.count("background") == did.count("script") == 1
    assert did.count("run") == 2


def test_every_link_leads_somewhere() -> None:
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    broken = []
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


HOSTS_ALLOWED = re.compile(
    r"127\.0\.0\.1|localhost|(?:[\w-]+\.)*example(?:\.(?:org|com|net|test))?|[\w.-]+\.(?:test|invalid|local)|\w{1,6}|\.{3}|"
    r"www\.w3\.org|www\.rfc-editor\.org|docs\.nats\.io|github\.com|www\.apache\.org|unicode\.org|cldr\.unicode\.org"
)
"""Hosts of examples and of standards and software that the text is about. Bare words are the names of examples (``nats://a``)."""
URL = re.compile(r"\b(?:https?|nats|tls|wss?)://(?:[^\s/@'\"`]*@)?([\w.-]+)")
ABSOLUTE = re.compile(r"(?<![\w.:/}\])>*-])/(?:home|root|work|Users|mnt|workspace)/[\w.-]+")
"""A path on somebody's machine."""


def tracked_texts() -> Iterator[tuple[str, str]]:
    """Every text file of the repository, by its name."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".md", ".py", ".toml", ".txt", ".svg", ""} and path.is_file():
            yield name, path.read_text(errors="replace")


def test_nothing_names_a_machine_or_a_host() -> None:
    """Told by form: the path of a home or work directory, and the host of a URL that is neither an example nor a standard's."""
    found = []
    for name, text in tracked_texts():
        found += [f"{name}: {path}" for path in ABSOLUTE.findall(text)]
        if not name.startswith(("docs/", "LICENSES/")):  # pages may link to what they write about
            found += [f"{name}: {host}" for host in URL.findall(text) if not HOSTS_ALLOWED.fullmatch(host)]
    assert not found


def test_the_generated_reference_is_up_to_date() -> None:
    program = [
        sys.executable,
        "-c",
        "import json, docs.make_reference as m; print(json.dumps({name: page() for name, page in m.PAGES.items()}))",
    ]
    written = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name, page in json.loads(written).items():
        assert (ROOT / "docs/reference" / name).read_text() == page, f"{name}: python docs/make_reference.py"
