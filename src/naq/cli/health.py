"""``naq health live, ready``: one question for a container's or a load balancer's check, answered by the exit code."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import typer

from naq.cli.context import FAILED, JsonOption, options_of
from naq.cli.say import say

if TYPE_CHECKING:
    from naq.observe.doctor import Health

__all__ = ["live", "ready"]


def live(context: typer.Context, as_json: JsonOption = False) -> None:
    """Does the server answer? Exit code 1 when not."""
    from naq.cli.running import run
    from naq.observe.doctor import live as ask

    _answer(run(ask(options_of(context).settings)), as_json)


def ready(context: typer.Context, as_json: JsonOption = False) -> None:
    """Do schedules fire, and can jobs be enqueued? Exit code 1 when not."""
    from naq.cli.running import run
    from naq.observe.doctor import ready as ask

    _answer(run(ask(options_of(context).settings)), as_json)


def _answer(health: Health, as_json: bool) -> None:
    from naq.cli import render

    if as_json:
        findings = [dataclasses.asdict(finding) for finding in health.findings]
        render.show_json({"well": health.well, "findings": findings})
    else:
        say("well" if health.well else "not well")
        for finding in health.findings:
            say(f"{finding.level}: {finding.code}: {finding.found} -> {finding.remedy}")
    if not health.well:
        raise typer.Exit(FAILED)
