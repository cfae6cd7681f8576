"""What is compared, and how each is set up: packages, server, commands. The reasons stand in ``docs/comparison.md``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["PEERS", "Command", "Peer", "Server", "chosen"]

Command = tuple[str, ...]
"""A program of the peer's environment and its arguments; ``{number}`` and ``{directory}`` are filled in."""
HERE = "benchmarks.peers"
CONCURRENCY = "100"
"""Jobs at a time for software that runs many on one event loop."""


class Server(StrEnum):
    """What a peer stores its work in."""

    NATS = "nats"
    """naq's embedded server: each write is synced before it is acknowledged."""
    REDIS = "redis"
    """Redis with its default settings: a snapshot now and then, no append-only file."""
    POSTGRES = "postgres"
    """PostgreSQL with its default settings: each commit is synced before it is acknowledged."""


@dataclass(frozen=True)
class Scheduling:
    """How a peer runs schedules."""

    instance: Command
    """What fires, one of possibly several."""
    several: bool
    """Whether its documentation provides for several at once."""
    before: tuple[Command, ...] = ()
    """Run to their ends first."""
    beside: tuple[Command, ...] = ()
    """Run all the time."""
    recovers_within: float = 0.0
    """Seconds after a kill in which it promises to run what was in the hands of the killed process."""


@dataclass(frozen=True)
class Queueing:
    """How a peer runs jobs."""

    worker: Command
    throughput: Command
    """Enqueues ``{count}`` jobs, waits for their results, and prints how many a second."""
    instants: Command | None
    """Enqueues a job for each of the instants; ``None``: the worker has schedules for them."""
    manner: str
    """How it is made to run something at an instant."""


@dataclass(frozen=True)
class Peer:
    """One piece of software."""

    name: str
    title: str
    server: Server
    packages: tuple[str, ...]
    """Requirements of its virtual environment; none: it is naq itself."""
    shown: str
    """The distribution whose version is printed."""
    scheduling: Scheduling | None = None
    queueing: Queueing | None = None


NAQ = Peer(
    "naq",
    "naq",
    Server.NATS,
    (),
    "naq",
    Scheduling(
        instance=("naq", "scheduler", f"{HERE}.naq.app:app", "--instance-id", "instance-{number}"),
        several=True,
        beside=(("naq", "worker", f"{HERE}.naq.app:app"),),
    ),
)
APSCHEDULER = Peer(
    "apscheduler",
    "APScheduler 3",
    Server.POSTGRES,
    ("APScheduler==3.11.3", "SQLAlchemy==2.1.9", "psycopg2-binary==2.9.13"),
    "APScheduler",
    Scheduling(
        instance=("python", "-m", f"{HERE}.apscheduler.scheduler"),
        several=False,
        before=(("python", "-m", f"{HERE}.apscheduler.create"),),
    ),
)
CELERY = Peer(
    "celery",
    "Celery",
    Server.REDIS,
    ("celery[redis]==5.7.0",),
    "celery",
    Scheduling(
        instance=(
            *("celery", "-A", f"{HERE}.celery.app", "beat"),
            *("-s", "{directory}/beat-{number}", "--pidfile=", "--loglevel", "WARNING"),
        ),
        several=False,
        beside=(("celery", "-A", f"{HERE}.celery.app", "worker", "--loglevel", "WARNING"),),
    ),
    Queueing(
        worker=("celery", "-A", f"{HERE}.celery.app", "worker", "--loglevel", "WARNING"),
        throughput=("python", "-m", f"{HERE}.celery.throughput", "{count}"),
        instants=("python", "-m", f"{HERE}.celery.instants", "{rate}", "{seconds}"),
        manner="apply_async(eta=...)",
    ),
)
ARQ = Peer(
    "arq",
    "arq",
    Server.REDIS,
    ("arq==0.28.0",),
    "arq",
    queueing=Queueing(
        worker=("arq", f"{HERE}.arq.app.WorkerSettings"),
        throughput=("python", "-m", f"{HERE}.arq.throughput", "{count}"),
        instants=None,
        manner="cron(..., microsecond=...)",
    ),
)
PROCRASTINATE = Peer(
    "procrastinate",
    "procrastinate",
    Server.POSTGRES,
    ("procrastinate==3.10.0", "psycopg[binary]==3.3.9"),
    "procrastinate",
    Scheduling(
        instance=("procrastinate", "--app", f"{HERE}.procrastinate.app.app", "worker", "--concurrency", "10"),
        several=True,
        before=(("procrastinate", "--app", f"{HERE}.procrastinate.app.app", "schema", "--apply"),),
        recovers_within=45.0,
    ),
)
PEERS = (NAQ, APSCHEDULER, CELERY, ARQ, PROCRASTINATE)


def chosen(names: str | None, among: Sequence[Peer]) -> list[Peer]:
    """Those whose names are in the list, separated by commas; all of them when there is none."""
    if names is None:
        return list(among)
    wanted = names.split(",")
    unknown = sorted(set(wanted) - {peer.name for peer in among})
    if unknown:
        known = ", ".join(peer.name for peer in among)
        raise SystemExit(f"--only {names}: there is no {unknown[0]!r} here; choose from {known}")
    return [peer for peer in among if peer.name in wanted]
