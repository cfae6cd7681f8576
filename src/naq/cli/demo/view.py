"""How ``naq demo`` looks: one live table, or a line now and then where there is no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from naq.cli import render
from naq.cli.demo.check import Watch, lateness
from naq.schedules.record import Schedule, ScheduleStatus
from naq.timing.duration import duration_text

__all__ = ["View"]

LIT = timedelta(milliseconds=400)
"""How long a fire can be seen."""
LATE, VERY_LATE = 25.0, 250.0
"""Milliseconds from which on lateness is yellow, and red."""


@dataclass(frozen=True)
class View:
    """One moment."""

    now: datetime
    began: datetime
    leader: str | None
    records: Sequence[Schedule]
    watch: Watch

    def picture(self) -> Panel:
        """The live table."""
        table = Table(expand=True, header_style="bold", box=None, padding=(0, 1), pad_edge=False)
        table.add_column("", width=1)
        for heading in ("schedule", "when"):
            table.add_column(heading, overflow="fold")
        for heading in ("next run", "last run", "late", "fires", "done"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        for record in self.records:
            table.add_row(*self._row(record))
        title = Text.assemble((" naq demo ", "bold"), f"· {self.now.astimezone():%H:%M:%S} ")
        inside = Group(table, Text(""), *self._facts())
        return Panel(inside, title=title, subtitle=" Ctrl-C ends it ", border_style="blue", padding=(1, 2))

    def line(self) -> str:
        """The same in a line."""
        return (
            f"{self.now.astimezone():%H:%M:%S}  leader {self.leader or 'nobody'}  schedules {len(self.records)}  "
            f"fires {self.watch.total}  jobs finished {self.watch.runs.total()}  lateness {self._lateness()}"
        )

    def _row(self, record: Schedule) -> list[Text]:
        fires = self.watch.fires.get(record.schedule_id, [])
        lit = bool(fires) and self.now - fires[-1].at < LIT
        late = [lateness(record, fired) for fired in fires[-1:]]
        return [
            Text("●" if lit else "·", style="bold green" if lit else "dim"),
            Text(record.schedule_id, style="bold" if lit else ""),
            Text(str(record.trigger), style="dim"),
            Text(self._wait(record)),
            Text(f"{fires[-1].at.astimezone():%H:%M:%S}" if fires else "-"),
            Text(f"{late[0]:.1f} ms", style=_colour(late[0])) if late else Text("-"),
            Text(str(len(fires))),
            Text(str(self.watch.finished[record.schedule_id])),
            self._remark(record),
        ]

    def _wait(self, record: Schedule) -> str:
        if record.next_run_at is None:
            return "-"
        wait = max(record.next_run_at - self.now, timedelta())
        if wait < timedelta(minutes=1):
            return f"{wait.total_seconds():.1f} s"
        return duration_text(timedelta(minutes=wait // timedelta(minutes=1)))

    def _remark(self, record: Schedule) -> Text:
        if record.skipped:
            return Text(f"{record.skipped} skipped, busy", style="yellow")
        if record.status is not ScheduleStatus.ACTIVE:
            return render.status(str(record.status))
        if record.policy.max_runs is not None:
            return Text(f"of {record.policy.max_runs}", style="dim")
        return Text(f"± {duration_text(record.policy.jitter)}" if record.policy.jitter else "", style="dim")

    def _facts(self) -> list[Text]:
        waited = duration_text(timedelta(seconds=int((self.now - self.began).total_seconds())))
        failed = ("", "") if not self.watch.failed else (f"   {self.watch.failed} failed", "bold red")
        return [
            Text.assemble(("leader ", "bold"), self.leader or "nobody", ("   running for ", "bold"), waited),
            Text.assemble(
                ("fires ", "bold"),
                str(self.watch.total),
                ("   jobs finished ", "bold"),
                str(self.watch.runs.total()),
                failed,
                ("   lateness ", "bold"),
                self._lateness(),
            ),
        ]

    def _lateness(self) -> str:
        late = sorted(
            lateness(record, fired)
            for record in self.records
            for fired in self.watch.fires.get(record.schedule_id, [])[-500:]
        )
        if not late:
            return "-"
        return f"p50 {late[len(late) // 2]:.1f} ms, p99 {late[int(len(late) * 0.99)]:.1f} ms"


def _colour(milliseconds: float) -> str:
    return "green" if milliseconds < LATE else "yellow" if milliseconds < VERY_LATE else "bold red"
