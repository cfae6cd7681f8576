"""A job that runs a command through a shell, e.g. one that came from a crontab.

A worker must allow it: ``allow_functions = ["naq.shell:run"]``. Then anyone who can write jobs can run commands as the
worker's user.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

__all__ = ["run"]

KEPT = 10_000
"""How many characters at the end of the output are kept in the result."""


def run(
    command: str, *, shell: str = "/bin/sh", env: Mapping[str, str] | None = None, stdin: str | None = None
) -> dict[str, Any]:
    """Run ``command``; the end of what it wrote, as ``{"stdout": ..., "stderr": ...}``.

    ``env`` is laid over the worker's environment. Raises `subprocess.CalledProcessError` when the command fails.
    """
    variables = [f"{name}={value}" for name, value in (env or {}).items()]
    done = subprocess.run(
        ["env", *variables, shell, "-c", command],
        input=stdin or "",
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    return {"stdout": done.stdout[-KEPT:], "stderr": done.stderr[-KEPT:]}
