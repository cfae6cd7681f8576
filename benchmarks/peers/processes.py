"""Processes of a peer: started together with their children, killed alone, stopped all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.environments import ROOT

__all__ = ["Place", "Process"]

PATIENCE = 10.0
"""Seconds that a process has to end by itself."""
RESTART_AFTER = 0.1
"""Seconds after which a supervisor starts a process anew: the default of systemd's ``RestartSec``."""


@dataclass
class Place:
    """Where a peer's processes run: its programs, a directory for what they write, and their environment variables."""

    programs: Path
    directory: Path
    variables: Mapping[str, str]
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.directory / "log"

    async def start(self, command: Sequence[str], **values: object) -> Process:
        """Start a command of the peer's, with the values filled in."""
        program, *arguments = [part.format(directory=self.directory, **values) for part in command]
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                str(self.programs / program),
                *arguments,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.variables},
                start_new_session=True,
            )
        return Process(process, self)

    async def finish(self, command: Sequence[str], **values: object) -> str:
        """Run a command to its end; its standard output. Ends the program with the log when it fails."""
        process = await self.start(command, **values)
        return await process.finish()


class Process:
    """One process with its children."""

    def __init__(self, process: asyncio.subprocess.Process, place: Place) -> None:
        self._process = process
        self._place = place
        self._output = bytearray()
        self._reader = asyncio.create_task(self._read())

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def finish(self) -> str:
        """Wait for its end; its standard output. Ends the program with the log when it fails."""
        code = await self._process.wait()
        await self._reader
        if code != 0:
            raise SystemExit(f"a program of the comparison ended with {code}:\n{self.said()}")
        return self._output.decode()

    def said(self) -> str:
        """What it printed, and the end of the log."""
        return self._output.decode(errors="replace") + self._place.log.read_text(errors="replace")[-4000:]

    async def kill(self) -> None:
        """SIGKILL to the process alone, as the kernel does when memory is short."""
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL to it and all its children; returns when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(65536):
            self._output += data
