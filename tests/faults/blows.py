"""The blows of a soak: what is done to a fleet, drawn from a random number generator alone, so that a seed repeats them."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from tests.faults.fleet import Fleet, revive
from tests.faults.proxy import Way

__all__ = ["Blow", "draw"]

LEASE = 5.0
"""Seconds: the default of `leader_lease`."""


@dataclass(frozen=True)
class Blow:
    """One thing to do to a fleet."""

    what: str
    strike: Callable[[Fleet], Awaitable[None]]
    """Does it; returns when the fault is over."""
    seconds: float = 0.0
    """How long it lasts."""


def draw(rng: random.Random, most: timedelta) -> Blow:
    """A blow, or two at the same time, that last no longer than ``most``."""
    kind = rng.choice(STRIKES)
    first = _short(rng, most, kind)
    if rng.random() < 0.7:
        return first
    second = _short(rng, most, rng.choice([each for each in ELSEWHERE if each is not kind]))

    async def both(fleet: Fleet) -> None:
        async with asyncio.TaskGroup() as blows:
            for blow in (first, second):
                blows.create_task(_as_coroutine(blow, fleet))

    return Blow(f"{first.what}, and {second.what}", both, max(first.seconds, second.seconds))


async def _as_coroutine(blow: Blow, fleet: Fleet) -> None:
    await blow.strike(fleet)


def _short(rng: random.Random, most: timedelta, kind: Draw) -> Blow:
    """One of that kind, or of another if that kind takes too long."""
    while (blow := kind(rng)).seconds > most.total_seconds():
        kind = rng.choice(STRIKES)
    return blow


Draw = Callable[[random.Random], Blow]


@dataclass(frozen=True)
class Victim:
    """A scheduler by its part in the election when the blow falls."""

    leads: bool
    number: int

    @classmethod
    def draw(cls, rng: random.Random) -> Victim:
        return cls(rng.random() < 0.7, rng.randrange(100))

    def __str__(self) -> str:
        return "the leader" if self.leads else "a standby"

    def of(self, fleet: Fleet) -> str:
        """Its name."""
        leader = fleet.recorder.leader
        others = sorted(name for name in fleet.schedulers if name != leader)
        return leader if self.leads or not others else others[self.number % len(others)]


def kill_scheduler(rng: random.Random) -> Blow:
    victim, sig = Victim.draw(rng), rng.choice((signal.SIGKILL, signal.SIGTERM))

    async def strike(fleet: Fleet) -> None:
        name = victim.of(fleet)
        fleet.schedulers[name].signal(sig)
        await fleet.schedulers[name].ended()
        await revive(lambda: fleet.start_scheduler(name))

    return Blow(f"{sig.name} of {victim}", strike)


def freeze_scheduler(rng: random.Random) -> Blow:
    victim, seconds = Victim.draw(rng), LEASE * rng.choice((0.5, 1, 3, 20))

    async def strike(fleet: Fleet) -> None:
        process = fleet.schedulers[victim.of(fleet)]
        process.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.signal(signal.SIGCONT)

    return Blow(f"SIGSTOP of {victim} for {seconds:g} s", strike, seconds)


def cut_link(rng: random.Random) -> Blow:
    victim, ways = Victim.draw(rng), rng.choice((tuple(Way), (Way.TO_SERVER,), (Way.FROM_SERVER,)))
    seconds = rng.choice((2.0, 7.0, 20.0, 60.0))

    async def strike(fleet: Fleet) -> None:
        proxy = fleet.proxies[victim.of(fleet)]
        proxy.cut(*ways)
        await asyncio.sleep(seconds)
        proxy.heal()

    which = "both ways" if len(ways) == 2 else f"{ways[0].value} only"
    return Blow(f"{victim} cut off {which} for {seconds:g} s", strike, seconds)


def flap_link(rng: random.Random) -> Blow:
    victim, times = Victim.draw(rng), rng.choice((5, 20))
    down, up = rng.choice((0.2, 0.5, 1.0)), rng.choice((0.2, 0.5))

    async def strike(fleet: Fleet) -> None:
        await fleet.proxies[victim.of(fleet)].flap(times, down, up)

    return Blow(f"link of {victim} flaps {times} times: {down} s cut, {up} s whole", strike, times * (down + up))


def slow_link(rng: random.Random) -> Blow:
    victim, delay, seconds = Victim.draw(rng), rng.choice((0.01, 0.1, 0.3)), rng.choice((3.0, 10.0))

    async def strike(fleet: Fleet) -> None:
        proxy = fleet.proxies[victim.of(fleet)]
        proxy.delay = delay
        await asyncio.sleep(seconds)
        proxy.delay = 0.0

    return Blow(f"link of {victim} takes {delay:g} s each way for {seconds:g} s", strike, seconds)


def break_links(rng: random.Random) -> Blow:
    times = rng.choice((1, 3))

    async def strike(fleet: Fleet) -> None:
        for _ in range(times):
            for proxy in fleet.proxies.values():
                proxy.break_connections()
            await asyncio.sleep(0.3)

    return Blow(f"all links break, {times} times", strike, times * 0.3)


def lose_answers(rng: random.Random) -> Blow:
    count, then_break = rng.choice((1, 3)), rng.random() < 0.5

    async def strike(fleet: Fleet) -> None:
        proxy = fleet.proxies[fleet.recorder.leader]
        before = proxy.lost
        proxy.lose_answers(count, then_break=then_break)
        # It may lose the lead before that many were lost; then the rest is kept.
        for _ in range(40):
            if proxy.lost >= before + count:
                return
            await asyncio.sleep(0.5)
        proxy.keep_answers()

    then = "and its connection breaks" if then_break else "and nothing else"
    return Blow(f"answers of {count} commits of the leader are lost, {then}", strike, 20.0)


def restart_server(rng: random.Random) -> Blow:
    sig, seconds = rng.choice((signal.SIGKILL, signal.SIGTERM)), rng.choice((0.0, 5.0, 30.0, 130.0))

    async def strike(fleet: Fleet) -> None:
        await fleet.server.stop(sig)
        await asyncio.sleep(seconds)
        await fleet.server.start()

    return Blow(f"server away for {seconds:g} s after {sig.name}", strike, seconds)


def freeze_server(rng: random.Random) -> Blow:
    seconds = rng.choice((1.0, 6.0))

    async def strike(fleet: Fleet) -> None:
        fleet.server.pause()
        await asyncio.sleep(seconds)
        fleet.server.resume()

    return Blow(f"SIGSTOP of the server for {seconds:g} s", strike, seconds)


def kill_worker(rng: random.Random) -> Blow:
    number = rng.randrange(100)

    async def strike(fleet: Fleet) -> None:
        names = sorted(fleet.workers)
        name = names[number % len(names)]
        await fleet.workers[name].kill()
        await revive(lambda: fleet.start_worker(name))

    return Blow("kill -9 of a worker", strike)


ELSEWHERE: tuple[Draw, ...] = (restart_server, freeze_server, kill_worker, break_links)
"""What can happen beside a blow at a scheduler."""
STRIKES: tuple[Draw, ...] = (
    kill_scheduler,
    freeze_scheduler,
    cut_link,
    flap_link,
    slow_link,
    lose_answers,
    break_links,
    restart_server,
    freeze_server,
    kill_worker,
)
