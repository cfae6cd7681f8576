"""``naq permissions``: what a role may do on the NATS server, as its configuration or as commands for ``nsc``."""

from __future__ import annotations

import json
import shlex
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from naq.cli.context import options_of
from naq.cli.say import say, say_json
from naq.store.permissions import Role

if TYPE_CHECKING:
    from naq.store.permissions import Permissions

__all__ = ["Format", "as_nsc", "as_server", "permissions"]

ANSWER_WITHIN = "10s"
"""How long after a question its answer is let through."""


class Format(StrEnum):
    """How permissions are written."""

    SERVER = "server"
    NSC = "nsc"
    JSON = "json"


def permissions(
    context: typer.Context,
    role: Annotated[list[Role], typer.Option(help="What the process does; may be repeated.")],
    namespace: Annotated[str | None, typer.Option(help="In which namespace; default: that of the settings.")] = None,
    queue: Annotated[
        list[str] | None, typer.Option(help="Take jobs only from this queue, and limit only this; may be repeated.")
    ] = None,
    inbox: Annotated[str | None, typer.Option(help="The user's own inbox_prefix, e.g. _INBOX_worker.")] = None,
    form: Annotated[
        Format, typer.Option("--format", help="For nats-server.conf, for nsc, or as data.")
    ] = Format.SERVER,
) -> None:
    """The NATS permissions of a role: all that it needs, and no more. Asks no server."""
    from naq.store.keys import Namespace
    from naq.store.permissions import permissions as permissions_of

    settings = options_of(context).with_more(namespace=namespace, inbox_prefix=inbox).settings
    found = permissions_of(role, Namespace(settings.namespace), queues=queue or (), inbox=settings.inbox_prefix)
    match form:
        case Format.SERVER:
            say(as_server(found), lines=True)
        case Format.NSC:
            say(as_nsc(found, "-".join(("naq", *role)), settings.namespace), lines=True)
        case Format.JSON:
            say_json({"publish": found.publish, "subscribe": found.subscribe, "allow_responses": found.answers})


def as_server(found: Permissions) -> str:
    """The ``permissions`` of a user in the configuration of ``nats-server``."""

    def allowed(action: str, subjects: tuple[str, ...]) -> list[str]:
        return [f"  {action}: {{ allow: [", *(f"    {json.dumps(subject)}" for subject in subjects), "  ] }"]

    answers = [f'  allow_responses: {{ max: 1, expires: "{ANSWER_WITHIN}" }}'] if found.answers else []
    lines = [*allowed("publish", found.publish), *allowed("subscribe", found.subscribe), *answers]
    return "\n".join(["permissions: {", *lines, "}"])


def as_nsc(found: Permissions, user: str, account: str) -> str:
    """The command of ``nsc`` that adds a user with these permissions."""
    answers = [f"--allow-pub-response=1 --response-ttl {ANSWER_WITHIN}"] if found.answers else []
    lines = [
        f"nsc add user --account {shlex.quote(account)} --name {shlex.quote(user)}",
        *(f"--allow-pub {shlex.quote(subject)}" for subject in found.publish),
        *(f"--allow-sub {shlex.quote(subject)}" for subject in found.subscribe),
        *answers,
    ]
    return " \\\n  ".join(lines)
