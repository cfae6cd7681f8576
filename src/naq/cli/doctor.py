"""``naq doctor``, ``naq leader``, ``naq config``, ``naq events``: how things stand."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from naq.cli.context import FAILED, JsonOption, Options, options_of
from naq.cli.say import say, say_json

if TYPE_CHECKING:
    from datetime import timedelta

    from naq.events import Event

__all__ = ["config", "doctor", "events", "leader"]


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Look over server, bucket, clock, leader and schedules; exit code 1 when something is wrong."""
    from rich.text import Text

    from naq.cli import render
    from naq.cli.running import run
    from naq.observe.doctor import Finding, Level, check_up

    styles = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}
    findings: list[Finding] = run(check_up(options_of(context).settings))
    if as_json:
        render.show_json([dataclasses.asdict(finding) for finding in findings])
    else:
        rows = (
            (
                Text(str(finding.level), style=styles[finding.level]),
                finding.subject,
                finding.found,
                finding.remedy or "",
                finding.code or "",
            )
            for finding in findings
        )
        render.show_table("", ("", "what", "found", "remedy", "code"), rows, "nothing was checked")
    if any(finding.level is Level.ERROR for finding in findings):
        raise typer.Exit(FAILED)


def leader(context: typer.Context, as_json: JsonOption = False) -> None:
    """Who leads, since when, and when its last heartbeat came; exit code 1 when no instance leads."""
    from naq.cli import render
    from naq.cli.running import run
    from naq.clock import SystemClock

    lease = run(_lease(options_of(context)))
    if as_json:
        render.show_json(lease)
    elif lease is not None:
        now = SystemClock().now()
        render.show_fields(
            "leader",
            [
                ("instance", lease["instance_id"]),
                ("priority", lease["priority"]),
                ("leads since", render.both_times(lease["became_leader_at"])),
                ("last heartbeat", render.ago(lease["last_heartbeat"], now)),
            ],
        )
    else:
        say("no instance leads: is a scheduler running? (naq scheduler, or naq run MODULE:APP)")
    if lease is None:
        raise typer.Exit(FAILED)


async def _lease(options: Options) -> dict[str, Any] | None:
    from naq.cli.running import service
    from naq.clock import SystemClock
    from naq.scheduler.leader import find_leader
    from naq.store.nats.bucket import KVStoreService

    async with service(options, KVStoreService) as store:
        lease = await find_leader(store, store.connection, SystemClock().now())
    if lease is None:
        return None
    return {
        "instance_id": lease.instance_id,
        "priority": lease.priority,
        "became_leader_at": None if lease.became_leader_at is None else lease.became_leader_at.timestamp(),
        "last_heartbeat": None if lease.last_heartbeat is None else lease.last_heartbeat.timestamp(),
    }


def config(context: typer.Context, as_json: JsonOption = False) -> None:
    """The settings in force, without secrets, and where each comes from."""
    from naq.cli import render

    options = options_of(context)
    settings = options.settings
    form = {}
    for declared in dataclasses.fields(settings):
        shown = _without_secret(getattr(settings, declared.name), secret=declared.metadata["secret"])
        form[declared.name] = {"value": shown, "from": options.source(declared.name)}
    if as_json:
        render.show_json(form)
        return
    rows = (
        (
            declared.name,
            _value_text(form[declared.name]["value"]),
            str(form[declared.name]["from"]),
            declared.metadata["doc"],
        )
        for declared in dataclasses.fields(settings)
    )
    render.show_table("", ("key", "value", "from", "meaning"), rows, "")


def _without_secret(value: Any, *, secret: bool) -> Any:
    """A setting as it may be shown: of a list of servers all but user, password, token and query."""
    if isinstance(value, tuple):
        return [_masked(each) for each in value] if secret else list(value)
    return "***" if secret and value is not None else value


def _masked(url: str) -> str:
    scheme, mark, rest = url.rpartition("://")
    place, query, _ = rest.partition("?")
    _, given, host = place.rpartition("@")
    return f"{scheme}{mark}{'***@' if given else ''}{host}{'?***' if query else ''}"


def _value_text(value: Any) -> str:
    return "-" if value in (None, []) else ", ".join(value) if isinstance(value, list) else str(value)


def events(
    context: typer.Context,
    since: Annotated[str | None, typer.Option(help="First those of this long ago: 10m, 1h.")] = None,
    kind: Annotated[list[str] | None, typer.Option("--type", help="Only of this type; may be repeated.")] = None,
    schedule: Annotated[str | None, typer.Option("--schedule", help="Only about this schedule.")] = None,
    job: Annotated[str | None, typer.Option("--job", help="Only about this job.")] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Continue until Ctrl-C.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
) -> None:
    """Show events as they happen."""
    from naq.app.client import check_types
    from naq.cli.running import run
    from naq.timing.duration import parse_duration

    check_types(kind)
    age = parse_duration(since, "--since") if since is not None else None
    run(_events(options_of(context), age, kind, schedule, job, follow, as_json))


async def _events(
    options: Options,
    age: timedelta | None,
    kinds: list[str] | None,
    schedule: str | None,
    job: str | None,
    follow: bool,
    as_json: bool,
) -> None:
    from naq.cli.running import service
    from naq.clock import SystemClock
    from naq.store.nats.event_stream import EventService

    begin = SystemClock().now() - age if age is not None else None
    async with service(options, EventService) as source:
        if not follow:
            for event in await source.get_event_history(types=kinds, schedule_id=schedule, job_id=job, since=begin):
                _show_event(event, as_json)
            return
        async for event in source.stream_events(types=kinds, schedule_id=schedule, job_id=job, since=begin):
            _show_event(event, as_json)


def _show_event(event: Event, as_json: bool) -> None:
    from naq.cli import render
    from naq.store.codec import plain

    if as_json:
        say_json(plain(event))
        return
    about = " ".join(filter(None, (event.schedule_id, event.job_id)))
    why = f"  ({event.reason})" if event.reason else ""
    who = f"  by {event.actor}" if event.actor else ""
    say(f"{render.local(event.timestamp)}  {event.type:34} {about}{why}{who}")
