"""Every code block of ``docs/howto`` and of the quickstart is run, in its page's order, or says in the page why not.

A page's Python blocks are one program, those with tests in them are run by pytest; its shell blocks are run by bash, while a
small application is at work. Configuration is read by whoever it is for. A block that no test can run has a line above it that
readers see: ``*Not run by a test: <reason>.*``
"""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from naq.config import load_settings
from naq.store.embedded.program import find_program
from tests.faults.world import Process

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs/howto").glob("*.md")), ROOT / "docs/quickstart.md"]
BLOCK = re.compile(
    r"(?:^ *\*Not run by a test: (?P<reason>[^*\n]{10,})\.\*\n+)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.M | re.S,
)
SHELL, PYTHON, CONFIGURATION, OUTPUT = "sh", "python", ("toml", "ini", "conf"), ""
APPLICATION = """
from naq import Naq, every

app = Naq(name="docs")


@app.schedule(every("1h"), id="daily-report")
async def daily_report() -> str:
    return "sent"
"""
PRELUDE = "from naq import Naq\n\napp = Naq(name='docs')\n\n\n"
"""What a page's program may begin with: pages speak of ``app`` as the reader's application."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    reason: str | None
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        body = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.M)
        found.append(Block(match["language"], body, match["reason"], text.count("\n", 0, match.start("text"))))
    assert text.count("```") == 2 * len(found), f"{page.name}: a block is not closed"
    return found


def test_every_block_is_of_a_kind_that_is_run() -> None:
    known = {SHELL, PYTHON, *CONFIGURATION, OUTPUT}
    unknown = [f"{page.name}:{each.line}" for page in PAGES for each in blocks(page) if each.language not in known]
    assert not unknown


def test_a_reason_stands_only_above_code() -> None:
    """A reason that belongs to no block, or to what nobody would run, hides nothing."""
    for page in PAGES:
        reasons = page.read_text().count("*Not run by a test:")
        assert reasons == sum(each.reason is not None and each.language != OUTPUT for each in blocks(page)), page.name


@dataclass(frozen=True)
class Reader:
    """Somebody who does what a page says."""

    directory: Path
    environment: dict[str, str]

    async def do(self, *words: str) -> None:
        """Run a command to its end; it must succeed."""
        process = await asyncio.create_subprocess_exec(
            *words,
            cwd=self.directory,
            env={**os.environ, **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(120):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, f"{words[-1]}\n{output.decode()}"

    def path(self, name: str, text: str) -> str:
        """A file in the reader's folder."""
        (self.directory / name).write_text(text)
        return str(self.directory / name)


@asynccontextmanager
async def reading(directory: Path, nats_url: str, name: str, application: str) -> AsyncIterator[Reader]:
    """A reader whose application is at work."""
    environment = {
        "NAQ_NATS_URL": nats_url,
        "NAQ_NAMESPACE": f"docs{secrets.token_hex(4)}",
        "NAQ_DATA_DIR": str(directory / "data"),
        "PYTHONPATH": f"{directory}:{os.environ.get('PYTHONPATH', '')}",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CHAT_HOOK": "http://127.0.0.1:9/hook",
        "CHAT_SECRET": "s3cr3t-s3cr3t-s3cr3t",
        **{f"{user}_PASSWORD": "pw" for user in ("SCHEDULER", "WORKER", "CLIENT", "VIEWER")},
    }
    reader = Reader(directory, environment)
    reader.path(f"{name}.py", application)
    process = Process(["run", f"{name}:app"], environment, logs=True)
    await process.start("ready")
    try:
        yield reader
    finally:
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
async def test_a_page_does_what_it_says(page: Path, tmp_path: Path, nats_url: str) -> None:
    todo = [each for each in blocks(page) if each.reason is None]
    name, application = "reports", APPLICATION
    if page.stem == "quickstart":
        name, application = "myapp", next(each.text for each in todo if each.language == PYTHON)
    async with reading(tmp_path, nats_url, name, application) as reader:
        for each in todo:
            await _follow(each, reader)
        programs = [each.text for each in todo if each.language == PYTHON]
        tests = [text for text in programs if "def test_" in text]
        program = "\n\n".join(text for text in programs if text not in tests)
        if program:
            await reader.do(sys.executable, reader.path("program.py", PRELUDE + program))
        for number, text in enumerate(tests):
            words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path))
            await reader.do(sys.executable, *words, reader.path(f"test_{number}.py", text))


async def _follow(each: Block, reader: Reader) -> None:
    """Run a shell block, or have a configuration read."""
    match each.language:
        case "sh":
            if "jq" in each.text and shutil.which("jq") is None:
                pytest.skip("this machine has no jq")
            await reader.do("bash", "-e", "-o", "pipefail", "-c", each.text)
        case "toml":
            load_settings({}, file=reader.path("naq.toml", each.text))
        case "ini":
            configparser.ConfigParser(strict=False, interpolation=None).read_string(each.text)
        case "conf":
            await reader.do(str(find_program()), "-t", "-c", reader.path("nats-server.conf", each.text))
