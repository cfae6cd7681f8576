"""``naq server ...``: the NATS server that naq runs itself."""

from __future__ import annotations

from typing import Any

import typer

from naq.cli.context import FAILED, JsonOption, Options, options_of
from naq.cli.say import say

__all__ = ["run_server", "status", "stop"]


def run_server(context: typer.Context) -> None:
    """Keep the embedded server running while no other naq process does, until Ctrl-C or SIGTERM."""
    from naq.cli.running import run

    run(_keep(options_of(context)))


async def _keep(options: Options) -> None:
    from naq.cli.running import until_stopped
    from naq.store.embedded.server import EmbeddedServer

    embedded = EmbeddedServer(options.settings.data_dir)
    with until_stopped() as stopped:
        address = await embedded.join()
        try:
            say(f"naq server ready {address.url} pid={embedded.pid}")
            await stopped.wait()
        finally:
            await embedded.leave()


def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """What runs in the data directory; exit code 1 when no server does."""
    from naq.cli import render
    from naq.store.embedded.server import describe

    settings = options_of(context).settings
    found = describe(settings.data_dir)
    if found is None:
        if as_json:
            render.show_json(None)
        else:
            say(f"no embedded server runs in {settings.data_dir}")
        raise typer.Exit(FAILED)
    fields: dict[str, Any] = {
        "url": found.url,
        "pid": found.pid,
        "version": found.version,
        "answers": found.answers,
        "members": list(found.members),
        "data_dir": str(settings.data_dir),
        "log_file": str(found.log_file),
    }
    if as_json:
        render.show_json(fields)
    else:
        render.show_fields("embedded server", fields.items())


def stop(context: typer.Context) -> None:
    """Stop the embedded server for all its users; exit code 1 when none ran."""
    from naq.cli.running import run
    from naq.store.embedded.server import stop as stop_server

    settings = options_of(context).settings
    if not run(stop_server(settings.data_dir)):
        say(f"no embedded server runs in {settings.data_dir}")
        raise typer.Exit(FAILED)
    say("stopped")
