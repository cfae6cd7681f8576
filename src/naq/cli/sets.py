"""``naq sync``, ``naq import`` and ``naq lint``: schedules as a set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from naq.cli.context import JsonOption, Options, actor, options_of
from naq.cli.say import say
from naq.exceptions import InvalidInput
from naq.text_file import parse_text, read_text_file

if TYPE_CHECKING:
    from naq.schedules.declared import Change, Definition
    from naq.schedules.lint import Finding
    from naq.schedules.sync import SyncOptions

__all__ = ["import_crontab", "lint_schedules", "sync"]


def sync(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="FILE|MODULE:APP", help="A TOML, YAML or JSON file, or an application.")
    ],
    set_name: Annotated[
        str | None, typer.Option("--set", help="Name of the set; default: the file's or module's name.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would change.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what is in the set but not declared any more.")
    ] = False,
    adopt: Annotated[
        list[str] | None, typer.Option(help="A set whose schedules are taken over where they are declared here.")
    ] = None,
) -> None:
    """Bring declared schedules into the store, as a set. Schedules of others are never touched."""
    from naq.cli.running import load_app, run
    from naq.schedules.declared import ChangeKind, plan_blocks
    from naq.schedules.declared_file import read_definitions
    from naq.schedules.sync import SyncOptions

    options = options_of(context)
    path = Path(source)
    origin = None
    if path.suffix.lower() in (".toml", ".yaml", ".yml", ".json"):
        definitions, name = read_definitions(_read_file(path)), path.stem
    else:
        app = load_app(source, options)
        definitions, name, origin = app.definitions(), app.set_name() or source.partition(":")[0], app.origin()
    wanted = SyncOptions(dry_run, prune, tuple(adopt or ()), options.settings.release, origin)
    changes = run(_sync(options, definitions, set_name or name, wanted))
    for block in plan_blocks(changes):
        say(block, lines=True)
    if any(change.kind is ChangeKind.REFUSE for change in changes):
        raise typer.Exit(1)


async def _sync(
    options: Options,
    definitions: tuple[Definition, ...],
    set_name: str,
    wanted: SyncOptions,
) -> tuple[Change, ...]:
    from naq.cli.running import service
    from naq.schedules.service import ScheduleService

    async with service(options, ScheduleService, makes=not wanted.dry_run) as schedules:
        return await schedules.sync(
            definitions,
            set_name,
            dry_run=wanted.dry_run,
            prune=wanted.prune,
            adopt=wanted.adopt,
            release=wanted.release,
            origin=wanted.origin,
            actor=actor(),
        )


def _read_file(path: Path) -> dict[str, Any]:
    text = read_text_file(path, "FILE", "schedules.toml")
    try:
        form = parse_text(text, path.suffix)
    except ValueError as error:
        raise InvalidInput.of("FILE", str(path), f"cannot be read: {error}", "schedules.toml") from None
    if not isinstance(form, dict):
        raise InvalidInput.of("FILE", str(path), "must be a mapping with 'schedules' in it", "schedules.toml")
    return form


def import_crontab(
    file: Annotated[Path, typer.Argument(metavar="CRONTAB", help="A crontab.")],
    tz: Annotated[str | None, typer.Option("--tz", help="Zone of its machine, until a CRON_TZ line.")] = None,
    with_user: Annotated[bool, typer.Option("--with-user", help="Lines name a user, as in /etc/crontab.")] = False,
) -> None:
    """Turn a crontab into a file that 'naq sync' reads (JSON, on standard output); complaints go to standard error."""
    from naq.cli import render
    from naq.schedules.crontab import read_crontab

    text = read_text_file(file, "CRONTAB", "/etc/crontab")
    found = read_crontab(text, tz=tz, with_user=with_user)
    render.show_json(found.form)
    for complaint in found.complaints:
        say(complaint, error=True)
    if any(not complaint.taken for complaint in found.complaints):
        raise typer.Exit(1)


def lint_schedules(context: typer.Context, as_json: JsonOption = False) -> None:
    """Warn of schedules that never fire, pile up on one second, or fall into a DST gap; exit code 1 when there are any."""
    from naq.cli import render
    from naq.cli.running import run

    found: tuple[Finding, ...] = run(_lint(options_of(context)))
    if as_json:
        render.show_json(
            [{"kind": str(each.kind), "schedules": list(each.schedule_ids), "message": each.message} for each in found]
        )
    else:
        for each in found:
            say(each)
        if not found:
            say("no complaints")
    if found:
        raise typer.Exit(1)


async def _lint(options: Options) -> tuple[Finding, ...]:
    from naq.cli.running import services
    from naq.clock import SystemClock
    from naq.queue.service import JobService
    from naq.schedules.lint import lint, unknown_functions
    from naq.schedules.record import Schedule
    from naq.schedules.repository import Unreadable
    from naq.schedules.service import ScheduleService

    schedules: list[Schedule] = []
    async with services(options) as started:
        async for page in (await started.get_service(ScheduleService)).schedules.pages():
            schedules += [each for each in page if not isinstance(each, Unreadable)]
        workers = await (await started.get_service(JobService)).list_workers()
    return (*lint(schedules, SystemClock().now()), *unknown_functions(schedules, workers))
