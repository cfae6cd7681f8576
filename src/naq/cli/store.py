"""``naq store ...``: the streams of a namespace."""

from __future__ import annotations

from typing import Annotated

import typer

from naq.cli.context import Options, options_of
from naq.cli.say import say
from naq.exceptions import InvalidInput

__all__ = ["replicas"]

POSSIBLE = (1, 3, 5)


def replicas(
    context: typer.Context,
    count: Annotated[int, typer.Argument(metavar="COUNT", help="1, 3 or 5.")],
) -> None:
    """Give all streams of the namespace so many replicas. The data stay, and everything runs on."""
    from naq.cli.running import run

    if count not in POSSIBLE:
        raise InvalidInput.of("COUNT", count, "must be 1, 3 or 5", 3)
    run(_replicas(options_of(context), count))


async def _replicas(options: Options, count: int) -> None:
    from naq.cli.running import services
    from naq.store.nats.connection import ConnectionService
    from naq.store.nats.namespaces import set_replicas

    async with services(options) as started:
        changed = await set_replicas(await started.get_service(ConnectionService), count)
    for each in changed:
        say(f"{each.stream}: {each.replicas} -> {count}")
    if not changed:
        say(f"all streams have {count} already")
    elif options.settings.replicas != count:
        say(f"set replicas = {count} in the configuration, too: streams that are made again have what it says")
