"""``naq backup`` and ``naq restore``: a whole namespace into a file, and out of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naq.cli.context import JsonOption, Options, options_of
from naq.cli.say import say, say_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from naq.observe.backup.file import Foot

__all__ = ["backup", "restore"]

EVERY = 10_000
"""Records after which a line on standard error says how many there are."""


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write it, e.g. naq-backup.gz.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write everything into one file, as it is at one moment, while schedulers and workers go on."""
    from naq.cli.running import run

    _show(run(_make(options_of(context), file, force)), f"backed up to {file}", as_json)


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that 'naq backup' wrote.")],
    check: Annotated[bool, typer.Option("--check", help="Only read it to its end. Asks no server.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a backup into an empty namespace. If it is interrupted, the same command begins again."""
    from naq.cli.running import run
    from naq.observe.backup.file import survey

    if check:
        _show(survey(file).foot, f"{file} is whole", as_json)
    else:
        _show(run(_restore(options_of(context), file)), f"restored from {file}", as_json)


async def _make(options: Options, file: Path, force: bool) -> Foot:
    from naq.cli.running import service
    from naq.observe.backup.making import BackupService

    async with service(options, BackupService) as maker:
        return await maker.make(file, replace=force, progress=_progress())


async def _restore(options: Options, file: Path) -> Foot:
    from naq.cli.running import service
    from naq.observe.backup.restoring import RestoreService

    async with service(options, RestoreService, makes=True) as restorer:
        return await restorer.restore(file, progress=_progress())


def _progress() -> Callable[[int], None]:
    """Says now and then how many records there are."""
    said = 0

    def tell(count: int) -> None:
        nonlocal said
        if count - said >= EVERY:
            said = count
            say(f"{count:,} records", error=True)

    return tell


def _show(foot: Foot, what: str, as_json: bool) -> None:
    if as_json:
        say_json({"at": foot.at.timestamp(), "counts": foot.counts, "sha256": foot.sha256})
        return
    counts = ", ".join(f"{count:,} of {family}" for family, count in foot.counts.items())
    say(f"{what}: as of {foot.at.isoformat(timespec='milliseconds')}, records: {counts}, sha256 {foot.sha256}")
