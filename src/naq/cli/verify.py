"""``naq verify``: did everything fire that should have, and if not, what, and why."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from naq.cli.context import FAILED, JsonOption, Options, options_of
from naq.cli.say import say

if TYPE_CHECKING:
    from naq.observe.verify.verdict import Figures, Matter, NotFired, Verdict

__all__ = ["verdict_form", "verify"]

MOST = 50
"""Matters of each sort that are shown to people; ``--json`` has all."""
STYLES = {"overdue": "yellow", "unproven": "dim"}
HEADINGS = {"nominal_times": "nominal times", "not_fired": "not fired"}


def verify(
    context: typer.Context,
    schedule_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[SCHEDULE]...", help="Only these; all if none is given.")
    ] = None,
    since: Annotated[str, typer.Option(help="So long ago (24h, 30m), or a time (ISO; without a zone: UTC).")] = "24h",
    patience: Annotated[str, typer.Option(help="How late a fire may be before it is overdue.")] = "10s",
    as_json: JsonOption = False,
) -> None:
    """Did everything fire that should have? Exit code 1 when a fire is lost, duplicate, unexplained or overdue.

    Goes by each schedule's definition, record and counters, and by what is left of its fires: jobs, results, history, events.
    What left no trace, and cannot be proved to be lost, is told as unproven; that alone is no alarm. Changes nothing.
    """
    from naq.cli import render
    from naq.cli.running import run
    from naq.clock import SystemClock
    from naq.observe.verify.window import read_since

    begin = read_since(since, SystemClock().now(), "--since")
    verdict = run(_verify(options_of(context), schedule_ids or [], begin, patience))
    if as_json:
        render.show_json(verdict_form(verdict))
    else:
        _show(verdict)
    for name in verdict.absent:
        say(f"{name}: there is no such schedule", error=True)
    if not verdict.clean:
        raise typer.Exit(FAILED)


async def _verify(options: Options, schedule_ids: list[str], since: datetime, patience: str) -> Verdict:
    from naq.cli.running import service
    from naq.observe.verify.service import VerifyService

    async with service(options, VerifyService) as verifier:
        return await verifier.verify(*schedule_ids, since=since, patience=patience)


def _show(verdict: Verdict) -> None:
    from rich.text import Text

    from naq.cli import render
    from naq.observe.verify.verdict import Figures, Kind

    columns = {HEADINGS.get(each.name, each.name): getattr(verdict.figures, each.name) for each in fields(Figures)}
    columns |= {str(kind): verdict.count(kind) for kind in (Kind.DUPLICATE, Kind.UNEXPLAINED)}
    title = f"since {render.both_times(verdict.since)}"
    render.show_table(title, list(columns), [list(map(str, columns.values()))], "")
    for matters in (verdict.findings, verdict.unproven):
        for matter in matters[:MOST]:
            _show_matter(matter)
        if len(matters) > MOST:
            say(f"... and {len(matters) - MOST} more: --json has all")
    for each in verdict.shortened[:MOST]:
        render.show_line(f"{each.schedule_id}: judged since {render.utc(each.since)} UTC: {each.why}", style="dim")
    for not_fired in verdict.not_fired[:MOST]:
        _show_not_fired(not_fired)
    if len(verdict.not_fired) > MOST:
        say(f"... and {len(verdict.not_fired) - MOST} more: --json has all")
    if verdict.clean:
        rest = f", but for {verdict.figures.unproven} of which no trace is left" if verdict.unproven else ""
        count = sum(each.count for each in verdict.not_fired)
        rest += f"; {count} did not, for the reasons above" if count else ""
        render.show_line(Text("✓", style="bold green"), f" all that should have fired did{rest}")


def _show_not_fired(each: NotFired) -> None:
    from rich.text import Text

    from naq.cli import render

    until = "" if each.count == 1 else f" to {render.utc(each.last_at)} UTC ({each.count})"
    when = f"{render.utc(each.first_at)} UTC{until}"
    render.show_line(Text("not fired   ", style="yellow"), f"{each.schedule_id} {when}: {each.reason}")


def _show_matter(matter: Matter) -> None:
    """What, when, why, what to do next: one line each for the matter and for the remedy."""
    from rich.text import Text

    from naq.cli import render

    when = "" if matter.nominal_at is None else f" {render.utc(matter.nominal_at)} UTC"
    if matter.until is not None:
        when += f" to {render.utc(matter.until)} UTC"
    many = f" ({matter.count})" if matter.count > 1 else ""
    what = Text(f"{matter.kind:11} ", style=STYLES.get(str(matter.kind), "bold red"))
    render.show_line(what, f"{matter.schedule_id}{when}{many}: {matter.why}")
    render.show_line(f"            -> {matter.remedy}", style="dim")


def verdict_form(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain values: times in epoch seconds."""
    return {
        "clean": verdict.clean,
        "since": verdict.since.timestamp(),
        "as_of": verdict.as_of.timestamp(),
        "figures": _form(verdict.figures),
        "findings": [_form(matter) for matter in verdict.findings],
        "unproven": [_form(matter) for matter in verdict.unproven],
        "shortened": [_form(each) for each in verdict.shortened],
        "absent": list(verdict.absent),
        "not_fired": [_form(each) for each in verdict.not_fired],
    }


def _form(record: Figures | Matter | Any) -> dict[str, Any]:
    form = {}
    for each in fields(record):
        value = getattr(record, each.name)
        form[each.name] = value.timestamp() if isinstance(value, datetime) else value
    return form
