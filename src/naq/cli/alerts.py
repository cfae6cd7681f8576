"""``naq alert ls``: which alerts are firing, since when, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from naq.cli.context import JsonOption, Options, options_of

if TYPE_CHECKING:
    from naq.observe.alerts.alert import AlertRecord

__all__ = ["ls"]


def ls(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over, for a week.")] = False,
    schedule: Annotated[str | None, typer.Option("--schedule", help="Only about this schedule.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the alerts that are firing, those that fired last first."""
    from rich.text import Text

    from naq.cli import render
    from naq.cli.running import run
    from naq.clock import SystemClock

    found = [
        record
        for record in run(_alerts(options_of(context)))
        if (everything or record.firing) and schedule in (None, record.alert.schedule_id)
    ]
    if as_json:
        render.show_json([_form(record) for record in found])
        return
    now = SystemClock().now()
    rows = (
        (
            Text("firing", style="bold red") if record.firing else Text("resolved", style="green"),
            record.alert.name,
            record.alert.subject,
            render.ago(record.alert.since, now),
            record.alert.reason,
            "" if not record.untold else f"{len(record.untold)} waiting",
        )
        for record in found
    )
    empty = "there are no alerts" if everything else "no alert is firing"
    render.show_table("", ("", "alert", "about", "since", "why", "not yet sent"), rows, empty)


async def _alerts(options: Options) -> list[AlertRecord]:
    from naq.cli.running import service
    from naq.observe.alerts.memory import stored_alerts
    from naq.store.nats.bucket import KVStoreService

    async with service(options, KVStoreService) as store:
        return await stored_alerts(store)


def _form(record: AlertRecord) -> dict[str, Any]:
    """Plain values: times in epoch seconds."""
    from naq.store.codec import plain_form

    return {"firing": record.firing, **plain_form(record.alert), "untold": len(record.untold)}
