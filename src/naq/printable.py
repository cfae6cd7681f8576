"""Text of others, made safe to print: job errors, notes, reasons, ids and log lines come from whoever may write to the store.

Printed raw, such text can set a terminal's title, fill its clipboard, clear the screen, or add lines that look like naq's own.
Every face shows what it prints through `printable`.
"""

from __future__ import annotations

import re

__all__ = ["INDENT", "printable"]

INDENT = "    "
"""Before each line after the first, so that no text can begin a line of its own."""
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: colours, title, clipboard, clear screen, line breaks
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # change the order in which the rest of the line is shown
    "\u2028\u2029"  # line breaks
    "\ud800-\udfff]"  # halves of a pair, which no encoding can print
)


def printable(text: str, *, lines: bool = False) -> str:
    """The text with each control character shown as its escape, e.g. ``\\x1b`` or ``\\n``.

    Unsafe are C0 and C1 controls, DEL, the marks that change the direction of text, line and paragraph separators, and
    lone surrogates. With ``lines`` the text may have several lines: line breaks and tabs stay, and each line after the
    first is indented.
    """
    if not lines:
        return _UNSAFE.sub(_escape, text)
    return f"\n{INDENT}".join(_UNSAFE.sub(_escape, line.expandtabs()) for line in text.rstrip().split("\n"))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
