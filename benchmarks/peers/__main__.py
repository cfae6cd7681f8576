"""``python -m benchmarks.peers jobs`` and ``... schedules`` print tables; each peer is installed when it is first needed."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from benchmarks.peers.catalogue import PEERS, Peer, chosen
from benchmarks.peers.environments import environment_of, version_of
from benchmarks.peers.jobs import Figures, measured_jobs
from benchmarks.peers.schedules import Scenario, Workload, measured
from benchmarks.peers.servers import version_of_server

NOT_PROVIDED = " (against its documentation)"
RESTARTED = " (one, started anew)"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    jobs = commands.add_parser("jobs", help="jobs a second, and how late they start")
    jobs.add_argument("--count", type=int, default=20_000, help="trivial jobs from enqueueing to result")
    jobs.add_argument("--rate", type=int, default=200, help="instants a second at which a function is to start")
    schedules = commands.add_parser("schedules", help="lost and duplicate runs of schedules that are due once a second")
    schedules.add_argument("--schedules", type=int, default=50, help="how many are due each second")
    schedules.add_argument("--kills", type=int, default=4, help="how often what fires is killed")
    for command, seconds in ((jobs, 15), (schedules, 25)):
        command.add_argument("--seconds", type=int, default=seconds, help="for how many seconds")
        command.add_argument("--only", help="names of peers, separated by commas")
    arguments = parser.parse_args()
    among = [peer for peer in PEERS if peer.name == "naq" or _takes_part(peer, arguments.command)]
    peers = chosen(arguments.only, among)
    console = Console(width=140)
    began, load = datetime.now(UTC), os.getloadavg()[0]
    if arguments.command == "jobs":
        table = asyncio.run(_jobs(peers, arguments, console))
    else:
        table = asyncio.run(
            _schedules(peers, Workload(arguments.schedules, arguments.seconds, arguments.kills), console)
        )
    console.print(table)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load average {load:.1f} before"
    console.print(f"{began:%Y-%m-%d %H:%M} UTC, Python {platform.python_version()}, {machine}")
    for line in asyncio.run(_versions(peers)):
        console.print(line)


def _takes_part(peer: Peer, command: str) -> bool:
    return peer.queueing is not None if command == "jobs" else peer.scheduling is not None


async def _versions(peers: Sequence[Peer]) -> list[str]:
    return [f"{peer.title} {await version_of(peer)} on {await version_of_server(peer.server)}" for peer in peers]


async def _jobs(peers: Sequence[Peer], arguments: argparse.Namespace, console: Console) -> Table:
    found: dict[Peer, Figures] = {}
    for peer in peers:
        await environment_of(peer)
        console.print(f"{peer.title} ...")
        found[peer] = await measured_jobs(peer, arguments.count, arguments.rate, arguments.seconds)
    table = Table(title=f"{arguments.count:,} trivial jobs, then {arguments.rate} instants/s for {arguments.seconds} s")
    for heading in ("what", *(peer.title for peer in peers)):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    table.add_row("jobs/s, enqueue to result, one worker", *(f"{each.per_second:,.0f}" for each in found.values()))
    table.add_row("an instant is given by", *(peer.queueing.manner if peer.queueing else "every(1)" for peer in peers))
    table.add_row("instants without a start", *(str(each.expected - len(each.lateness)) for each in found.values()))
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        row = (f"{each.late(share):.1f} ms" for each in found.values())
        table.add_row(f"instant to the function's start, {name}", *row)
    return table


async def _schedules(peers: Sequence[Peer], workload: Workload, console: Console) -> Table:
    table = Table(title=f"{workload.schedules} schedules, due once a second, for {workload.seconds} s")
    for heading in ("what", "peer", "due", "lost (LF)", "twice (DF)", "late p50", "late p99", "latest"):
        table.add_column(heading, justify="left" if heading in {"what", "peer"} else "right")
    for scenario in Scenario:
        for peer in peers:
            await environment_of(peer)
            console.print(f"{scenario}: {peer.title} ...")
            verdict = await measured(peer, scenario, workload)
            figures = (str(verdict.targets), str(verdict.lost), str(verdict.duplicate))
            late = (f"{verdict.late(share):,.1f} ms" for share in (0.5, 0.99, 1.0))
            table.add_row(scenario, peer.title + _remark(peer, scenario), *figures, *late)
        table.add_section()
    return table


def _remark(peer: Peer, scenario: Scenario) -> str:
    if peer.scheduling is None or peer.scheduling.several:
        return ""
    return {Scenario.ONE: "", Scenario.TWO: NOT_PROVIDED, Scenario.KILL: RESTARTED}[scenario]


if __name__ == "__main__":
    main()
