"""``naq schedule preview, explain``: the times to come of a schedule, and of a cron expression."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer

from naq.cli.context import JsonOption, Options, absent, options_of
from naq.cli.say import say

if TYPE_CHECKING:
    from naq.schedules.preview import Upcoming
    from naq.timing.triggers import Trigger

__all__ = ["DEFAULT_COUNT", "NO_SCHEDULE", "Coming", "CountOption", "IdArgument", "explain", "preview", "zone_of"]

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id.")]
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")]
DEFAULT_COUNT = 10
NO_SCHEDULE = "there is no such schedule"


@dataclass(frozen=True)
class Time:
    """A nominal time to come, when it is due, and why it will not fire."""

    nominal_at: datetime
    due_at: datetime
    reason: str | None = None


@dataclass(frozen=True)
class Coming:
    """The next nominal times of a schedule, and the trigger that they come from."""

    times: tuple[Time, ...]
    trigger: Trigger

    @classmethod
    def of(cls, upcoming: Iterable[Upcoming], trigger: Trigger) -> Coming:
        """From a schedule's preview."""
        times = [Time(each.nominal_at, each.due_at, str(each.reason) if each.reason else None) for each in upcoming]
        return cls(tuple(times), trigger)

    def forms(self) -> list[dict[str, Any]]:
        """As plain values: times in epoch seconds."""
        known_until = beyond_rules(self.trigger)
        return [
            {
                "nominal_at": each.nominal_at.timestamp(),
                "due_at": each.due_at.timestamp(),
                "reason": each.reason,
                "dst": self.mark(each),
                "beyond_rules": known_until is not None and each.nominal_at > known_until,
            }
            for each in self.times
        ]

    def mark(self, each: Time) -> str | None:
        """What a change of the clocks did to it."""
        found = self.trigger.mark(each.nominal_at)
        return None if found is None else str(found)

    def show(self, now: datetime) -> None:
        """A table of them, in the schedule's own zone if it has one."""
        from naq.cli import render

        times = render.TimeColumns.of((each.nominal_at for each in self.times), *zone_of(self.trigger))
        rows = []
        known_until = beyond_rules(self.trigger)
        for each in self.times:
            why = "" if each.reason is None else f"will not fire: {each.reason}"
            moved = f"DST: {mark}" if (mark := self.mark(each)) else ""
            late = each.due_at - each.nominal_at
            jitter = f"due {late.total_seconds():.1f} s later" if late else ""
            overdue = "overdue" if each.due_at < now else ""
            late_table = known_until is not None and each.nominal_at > known_until
            beyond = "beyond the zone data's table of dates" if late_table else ""
            remark = "; ".join(filter(None, (overdue, why, moved, jitter, beyond)))
            rows.append((*times.cells(each.nominal_at), remark))
        render.show_told("next times", (*times.headings, ""), rows, "no next time")


def zone_of(trigger: Trigger) -> tuple[str, tzinfo | None]:
    """The name of a trigger's own zone, and the zone; else this machine's."""
    from naq.timing.zones import get_zone

    name = trigger.zone_name
    return ("local", None) if name is None else (name, get_zone(name).info)


def beyond_rules(trigger: Trigger) -> datetime | None:
    """From when on the clocks of the trigger's zone are not known, because the zone data lists their changes by date and ends."""
    from naq.timing.zones import ruled_until

    name, zone = zone_of(trigger)
    return None if zone is None else ruled_until(name)


def preview(
    context: typer.Context, schedule_id: IdArgument, count: CountOption = DEFAULT_COUNT, as_json: JsonOption = False
) -> None:
    """The next nominal times in local time and UTC, with the reason for those that will not fire."""
    from naq.cli import render
    from naq.cli.running import run
    from naq.clock import SystemClock

    coming = run(_coming(options_of(context), schedule_id, count))
    if coming is None:
        raise absent(schedule_id, NO_SCHEDULE)
    if as_json:
        render.show_json(coming.forms())
    else:
        coming.show(SystemClock().now())


async def _coming(options: Options, schedule_id: str, count: int) -> Coming | None:
    from naq.cli.running import service
    from naq.schedules.service import ScheduleService

    async with service(options, ScheduleService) as schedules:
        times = await schedules.next_times(schedule_id, count)
        schedule = await schedules.schedules.get(schedule_id)
        return None if times is None or schedule is None else Coming.of(times, schedule.trigger)


def explain(
    context: typer.Context,
    cron: Annotated[str, typer.Argument(metavar="CRON", help="A cron expression.")],
    tz: Annotated[str, typer.Option("--tz", help="IANA zone.")] = "UTC",
    count: CountOption = DEFAULT_COUNT,
    as_json: JsonOption = False,
    directory: Annotated[
        str | None, typer.Option("--zone-data", envvar="NAQ_ZONE_DATA", help="Directory of more IANA zone data.")
    ] = None,
) -> None:
    """What a cron expression means, and its next times; a time that DST moved is marked. Asks no server."""
    from naq.cli import render
    from naq.clock import SystemClock
    from naq.schedules.forms.kinds.cron import parse_cron
    from naq.timing.zone_data import zone_data
    from naq.timing.zones import use_zone_data

    options = options_of(context)
    if directory is None and options.file is not None:
        directory = options.settings.zone_data
    use_zone_data(directory)
    now = SystemClock().now()
    trigger = parse_cron(cron, tz, now)
    times: list[Time] = []
    instant = trigger.next_after(now)
    while instant is not None and len(times) < count:
        times.append(Time(instant, instant))
        instant = trigger.next_after(instant)
    coming = Coming(tuple(times), trigger)
    if as_json:
        render.show_json({"means": str(trigger), "zone_data": str(zone_data()), "next_times": coming.forms()})
    else:
        say(trigger)
        coming.show(now)
        if tz != "UTC":
            old = ", more than half a year old" if zone_data().is_old(now) else ""
            say(f"zone data: {zone_data()}{old}")
