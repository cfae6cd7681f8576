"""How answers are printed: tables for people, one JSON document for programs. Only tables load `rich`.

What is shown passes `printable`: control characters that users wrote are seen, and do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from naq.cli.say import say_json
from naq.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "STATUS_STYLES",
    "Block",
    "TimeColumns",
    "ago",
    "both_times",
    "instant",
    "local",
    "show_fields",
    "show_json",
    "show_line",
    "show_table",
    "show_told",
    "status",
    "utc",
    "wait",
]

UNFOLDED = 10_000
ROOM = 36
"""Columns of a terminal that are enough for what may be folded."""
GAP = 3
STATUS_STYLES = {
    "active": "green",
    "paused": "yellow",
    "completed": "cyan",
    "cancelled": "dim",
    "quarantined": "bold red",
    "failed": "bold red",
    "missed": "yellow",
    "abandoned": "yellow",
    "retried": "yellow",
    "running": "green",
    "queued": "blue",
    "deferred": "magenta",
}


def _console() -> Console:
    """Standard output as it is now. In a pipe or a file no line is folded."""
    from rich.console import Console

    found = Console(highlight=False)
    if not found.is_terminal:
        found.width = UNFOLDED
    return found


def show_json(document: Any) -> None:
    """One JSON document."""
    say_json(document, indent=2)


def show_line(*parts: str | Text, style: str = "") -> None:
    """One line, which is never folded; its parts stand side by side."""
    from rich.text import Text

    _console().print(Text("").join(map(_plain, parts)), style=style or None, soft_wrap=True)


def show_table(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[str | Text]], empty: str, unfolded: int = 0
) -> None:
    """A table, or one line that says there is nothing. The first ``unfolded`` columns are not squeezed."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=_plain(title) if title else None,
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for number, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=number < unfolded)
    for row in rows:
        table.add_row(*map(_plain, row))
    if title:
        _console().print()
    _console().print(table if table.row_count else _plain(empty))


def show_told(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[str | Text]], empty: str, below: int = 1
) -> None:
    """As `show_table`, and no cell is squeezed but the last ``below`` of each row: those are folded, or stand beneath the
    row where the terminal leaves no `ROOM` for them."""
    from rich.padding import Padding
    from rich.text import Text

    found = [[_plain(cell) for cell in row] for row in rows]
    longest = [max(map(cell_width, column)) for column in zip(*found, strict=True)]
    widths = [max(width, len(name)) for width, name in zip(longest, headings, strict=False)]
    kept = len(headings) - below
    needed = sum(width + GAP for width in widths[:kept])
    if not found or needed + min(ROOM, sum(widths[kept:])) + GAP * below <= _console().width:
        show_table(title, headings, found, empty, kept)
        return
    out = _console()
    if title:
        out.print("\n" + title, style="italic")
    out.print(_line([Text(name) for name in headings[:kept]], widths[:kept]), style="bold", soft_wrap=True)
    for row in found:
        out.print(_line(row[:kept], widths[:kept]), soft_wrap=True)
        beneath = Text("  ").join(cell for cell in row[kept:] if cell)
        if beneath:
            out.print(Padding(beneath, (0, 0, 0, 4)))


def cell_width(text: Text) -> int:
    """How wide a text is on a terminal: its widest line."""
    return max((line.cell_len for line in text.split()), default=0)


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    from rich.text import Text

    parts = [cell + " " * (width - cell.cell_len) for cell, width in zip(cells, widths, strict=True)]
    whole = Text("  ").join(parts)
    whole.rstrip()
    return whole


def show_fields(title: str, fields: Iterable[tuple[str, Any]]) -> None:
    """One thing, field by field; fields without a value are left out."""
    from rich.table import Table

    table = Table(
        title=_plain(title) if title else None, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0)
    )
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields:
        if value not in (None, "", [], {}, ()):
            table.add_row(_plain(name), _plain(value))
    _console().print(table)


class Block(str):
    """Text of several lines, e.g. a traceback: its line breaks stay."""

    __slots__ = ()


def _plain(value: Any) -> Text:
    """Text as it is: what users wrote is neither markup nor a control character."""
    from rich.text import Span, Text

    if isinstance(value, Block):
        return Text("\n".join(map(printable, value.rstrip().expandtabs().split("\n"))))
    if not isinstance(value, Text):
        return Text(printable(str(value)))
    shown = list(map(printable, value.plain))
    starts = [0, *accumulate(map(len, shown))]
    spans = [Span(starts[span.start], starts[min(span.end, len(shown))], span.style) for span in value.spans]
    return Text("".join(shown), style=value.style, spans=spans)


def status(value: str) -> Text:
    """A status in its colour."""
    from rich.text import Text

    return Text(value, style=STATUS_STYLES.get(value, ""))


def instant(value: float | datetime | None) -> datetime | None:
    """Epoch seconds or a datetime as an aware UTC datetime."""
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value


def local(value: float | datetime | None, zone: tzinfo | None = None) -> str:
    """The time in a zone (this machine's by default), to the second, with the zone's abbreviation; ``-`` for none."""
    found = instant(value)
    return "-" if found is None else found.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def utc(value: float | datetime | None) -> str:
    """UTC, to the second; ``-`` for none."""
    found = instant(value)
    return "-" if found is None else found.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def both_times(value: float | datetime | None, zone: tzinfo | None = None) -> str:
    """The time in a zone (this machine's by default), and UTC where that is another."""
    found = instant(value)
    if found is None:
        return "-"
    is_utc = found.astimezone(zone).utcoffset() == timedelta(0)
    return local(found, zone) if is_utc else f"{local(found, zone)}  ({utc(found)} UTC)"


@dataclass(frozen=True, slots=True)
class TimeColumns:
    """How the times of one table are shown: in a zone, and in UTC beside it unless that is the same."""

    zone: tzinfo | None
    """``None``: this machine's."""
    headings: tuple[str, ...]

    @classmethod
    def of(cls, instants: Iterable[datetime], name: str = "local", zone: tzinfo | None = None) -> TimeColumns:
        """The columns for these instants; ``name`` is the zone's."""
        is_utc = all(each.astimezone(zone).utcoffset() == timedelta(0) for each in instants)
        if is_utc:
            return cls(zone, ("UTC" if zone is None else name,))
        return cls(zone, (name, "UTC"))

    def cells(self, instant: datetime) -> tuple[str, ...]:
        """One instant's cells."""
        return (local(instant, self.zone), utc(instant))[: len(self.headings)]


def wait(value: float | datetime | None, now: datetime) -> Text:
    """``in 5s``, or how long it has been overdue; ``-`` for none."""
    from rich.text import Text

    found = instant(value)
    if found is None:
        return Text("-")
    overdue = now - found >= timedelta(seconds=1)
    return Text(
        f"overdue, {ago(found, now)}" if overdue else ago(max(found, now), now), style="yellow" if overdue else ""
    )


def ago(value: float | datetime | None, now: datetime) -> str:
    """``3m12s ago`` or ``in 5s``; ``-`` for none."""
    from naq.timing.duration import duration_text

    found = instant(value)
    if found is None:
        return "-"
    gap = found - now
    whole = timedelta(seconds=abs(int(gap.total_seconds())))
    return f"in {duration_text(whole)}" if gap >= timedelta(0) else f"{duration_text(whole)} ago"
