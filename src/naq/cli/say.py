"""Lines on standard output and standard error. With `render`, the only place of the command line that prints text."""

from __future__ import annotations

import sys
from typing import Any

from naq.printable import printable

__all__ = ["say", "say_json"]


def say(text: object = "", *, error: bool = False, lines: bool = False) -> None:
    """Print one line, with control characters shown (`naq.printable`). With ``lines`` it may be several."""
    print(printable(str(text), lines=lines), file=sys.stderr if error else sys.stdout, flush=True)


def say_json(document: Any, *, indent: int | None = None) -> None:
    """Print one JSON document: whatever a terminal could act on stands in it as an escape."""
    import json

    print(json.dumps(document, indent=indent, default=str).replace("\x7f", "\\u007f"), flush=True)
