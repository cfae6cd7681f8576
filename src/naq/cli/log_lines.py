"""How the log lines of commands, schedulers and workers look on standard error."""

from __future__ import annotations

import logging

from naq.printable import INDENT, printable

__all__ = ["LineFormatter"]


class LineFormatter(logging.Formatter):
    """One record, one line: line breaks and other controls in the message are shown, and a traceback stands indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """The record's line, without its traceback."""
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, and its traceback beneath."""
        record.message = record.getMessage()
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        line = self.formatMessage(record)
        trace = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
        stack = self.formatStack(record.stack_info) if record.stack_info else ""
        beneath = "\n".join(filter(None, (trace, stack)))
        return f"{line}\n{INDENT}{printable(beneath, lines=True)}" if beneath else line
