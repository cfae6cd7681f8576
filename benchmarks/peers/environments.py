"""Each peer's virtual environment, made when it is first needed and kept for the next time. naq's own is that of this process."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from benchmarks.peers.catalogue import Peer

__all__ = ["ROOT", "environment_of", "version_of"]

ROOT = Path(__file__).resolve().parents[2]
"""The repository: where the programs of all peers are found."""
KEPT = ROOT / ".venv-peers"


async def environment_of(peer: Peer) -> Path:
    """The directory of the peer's programs; installs what is missing."""
    if not peer.packages:
        return Path(sys.executable).parent
    directory = KEPT / peer.name
    stamp = directory / ".installed"
    wanted = "\n".join(peer.packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        await _run(sys.executable, "-m", "venv", "--clear", str(directory))
        python = str(directory / "bin" / "python")
        await _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages)
        stamp.write_text(wanted)
    return directory / "bin"


async def version_of(peer: Peer) -> str:
    """The version of its main distribution, as it is installed."""
    python = await environment_of(peer) / "python"
    text = await _run(str(python), "-c", f"from importlib.metadata import version; print(version({peer.shown!r}))")
    return text.strip()


async def _run(*command: str) -> str:
    """Run to the end; its standard output. Ends the program with what it said when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": ""}
    )
    output, errors = await process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{errors.decode()}")
    return output.decode()
