"""A history as data: what people do and what goes wrong, and when. Drawn from a seed; shrunk by leaving steps out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from typing import Any

__all__ = ["History", "Kind", "Step", "draw"]


class Kind(StrEnum):
    """What happens."""

    # what people do; the target is a person's name, the value begins with a schedule's id
    CREATE = "create"
    REPLACE = "replace"
    PAUSE = "pause"
    RESUME = "resume"
    UPDATE = "update"
    CANCEL = "cancel"
    DELETE = "delete"
    TRIGGER = "trigger"
    DEFER = "defer"
    """Enqueue one job for later."""
    # what goes wrong; the target is a node or a person, the value is how long, and more
    CRASH = "crash"
    """SIGKILL after so many more steps of the process; restarted so many seconds later."""
    FREEZE = "freeze"
    """SIGSTOP, SIGCONT so many seconds later."""
    TERMINATE = "terminate"
    """SIGTERM; restarted so many seconds later."""
    CUT = "cut"
    """Silently cut off: ``both`` ways, or only its ``requests`` or its ``answers`` vanish."""
    DISCONNECT = "disconnect"
    """Its connection is gone, and it knows."""
    LOSE = "lose"
    """So large a share of its requests and answers is lost."""
    SLOW = "slow"
    """Its requests and answers take up to so many seconds."""
    LAG = "lag"
    """Its watches lag by up to so many seconds."""
    STALE = "stale"
    """Half of its reads are answered by a replica that is up to so many seconds behind."""
    DEAFEN = "deafen"
    """Its watches die, and nobody is told."""
    STEP_CLOCK = "step clock"
    """Its wall clock jumps by so many seconds."""
    # what happens to the store
    OUTAGE = "outage"
    """Everybody's connection is gone."""
    FULL = "full"
    """Every transaction is answered with an error."""
    PURGE = "purge"
    """The finished jobs are trimmed: all there are."""
    POWER = "power"
    """Of the next transaction only so many writes are kept, and everybody's connection is gone for so many seconds."""


PEOPLES = (
    Kind.CREATE,
    Kind.REPLACE,
    Kind.PAUSE,
    Kind.RESUME,
    Kind.UPDATE,
    Kind.CANCEL,
    Kind.DELETE,
    Kind.TRIGGER,
    Kind.DEFER,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens at a second of the history."""

    at: float
    kind: Kind
    target: str
    value: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.at:8.3f}  {self.target:<6} {self.kind} {', '.join(map(str, self.value))}"


@dataclass(frozen=True, slots=True)
class History:
    """Everything that happens in one run."""

    seed: int
    nodes: int
    people: int
    length: float
    """Seconds until everything is mended."""
    steps: tuple[Step, ...]

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong."""
        return all(step.kind in PEOPLES or step.kind is Kind.PURGE for step in self.steps)

    def without(self, dropped: set[int]) -> History:
        """The same history without the steps of these numbers."""
        return replace(self, steps=tuple(step for number, step in enumerate(self.steps) if number not in dropped))

    def __str__(self) -> str:
        head = f"seed {self.seed}: {self.nodes} nodes, {self.people} people, {self.length:.0f} s"
        return "\n".join([head, *map(str, self.steps)])


def draw(seed: int) -> History:
    """The history of a seed."""
    random = Random(seed)
    length = random.choice((8.0, 14.0, 24.0))
    nodes, people = random.choice((1, 2, 2, 3, 3)), random.choice((1, 2))
    writer = _Writer(random, length, [f"n{n}" for n in range(nodes)], [f"p{n}" for n in range(people)])
    for number in range(random.randint(1, 4)):
        writer.life_of(f"s{number}")
    for _ in range(random.randint(0, 2)):
        writer.add(Kind.DEFER, random.choice(writer.people), f"job{len(writer.steps)}", random.uniform(-2.0, 8.0))
    for _ in range(random.choice((0, 1, 2, 3, 5, 8))):
        writer.fault()
    return History(seed, nodes, people, length, _with_power_failures(seed, length, writer.steps))


def _with_power_failures(seed: int, length: float, steps: list[Step]) -> tuple[Step, ...]:
    """One history in eight also loses its power, in the middle of transactions. Drawn apart from all else.

    From the first failure on no finished jobs are trimmed: that an enqueued job has ended would be known by its result,
    and there are no results here.
    """
    random = Random(f"power {seed}")
    if random.random() >= 1 / 8:
        return tuple(sorted(steps, key=lambda step: step.at))
    first = random.uniform(0.0, length)
    kept = [step for step in steps if step.kind is not Kind.PURGE or step.at < first]
    for number in range(random.randint(1, 4)):
        at = first if number == 0 else random.uniform(first, length)
        kept.append(Step(round(at, 3), Kind.POWER, "store", (random.randint(0, 6), random.choice((0.2, 1.0, 3.0)))))
    return tuple(sorted(kept, key=lambda step: step.at))


@dataclass(slots=True)
class _Writer:
    random: Random
    length: float
    nodes: list[str]
    people: list[str]
    steps: list[Step] = field(default_factory=list)

    def add(self, kind: Kind, target: str, *value: Any, at: float | None = None) -> None:
        when = self.random.uniform(0.0, self.length) if at is None else at
        self.steps.append(Step(round(when, 3), kind, target, value))

    def life_of(self, schedule_id: str) -> None:
        """One schedule: it is created, and a few things are done to it."""
        random = self.random
        self.add(
            Kind.CREATE, random.choice(self.people), schedule_id, self.form(), at=random.uniform(0, self.length / 3)
        )
        changes: tuple[tuple[int, Kind], ...] = (
            (5, Kind.PAUSE),
            (5, Kind.RESUME),
            (3, Kind.UPDATE),
            (2, Kind.REPLACE),
            (1, Kind.CANCEL),
            (1, Kind.DELETE),
            (2, Kind.CREATE),
            (2, Kind.TRIGGER),
        )
        kinds = random.choices([kind for _, kind in changes], [weight for weight, _ in changes], k=random.randint(0, 6))
        for kind in kinds:
            extra: tuple[Any, ...] = ()
            if kind in (Kind.CREATE, Kind.REPLACE, Kind.UPDATE):
                extra = (self.form(),)
            elif kind is Kind.RESUME:
                extra = (random.random() < 0.3,)
            self.add(kind, random.choice(self.people), schedule_id, *extra)

    def form(self) -> Mapping[str, Any]:
        """A schedule as people write it."""
        random = self.random
        trigger: Mapping[str, Any] = random.choice(
            (
                {"type": "interval", "interval": random.choice((0.5, 1, 2, 3, 7))},
                {"type": "interval", "interval": random.choice((1, 2, 5)), "anchor": "epoch"},
                {"type": "cron", "cron": random.choice(("*/2 * * * * *", "*/5 * * * * *", "1,2,31 * * * * *"))},
                {"type": "once", "run_at": 1893456000 + random.uniform(0, self.length)},
            )
        )
        policy: dict[str, Any] = {}
        if random.random() < 0.6:
            policy |= {"catch_up": None, "coalesce": "all"}
        elif random.random() < 0.5:
            policy["catch_up"] = random.choice((0, 2, 5))
            policy["coalesce"] = random.choice(("latest", "earliest", "all"))
        if random.random() < 0.2:
            policy["max_runs"] = random.randint(1, 5)
        if random.random() < 0.15:
            policy["jitter"] = random.choice((0.3, 2))
        if random.random() < 0.15:
            policy["end_at"] = 1893456000 + random.uniform(2, self.length)
        return {**trigger, **policy}

    def fault(self) -> None:
        """One thing that goes wrong."""
        random = self.random
        node = random.choice(self.nodes)
        anybody = random.choice([*self.nodes, *self.nodes, *self.people])
        soon = random.choice((0.2, 1.0, 3.0, 6.0, 12.0))
        choices: tuple[tuple[int, Callable[[], None]], ...] = (
            (4, lambda: self.add(Kind.CRASH, node, random.randint(0, 60), soon)),
            (4, lambda: self.add(Kind.FREEZE, node, soon)),
            (2, lambda: self.add(Kind.TERMINATE, node, soon)),
            (4, lambda: self.add(Kind.CUT, anybody, soon, random.choice(("both", "requests", "answers")))),
            (3, lambda: self.add(Kind.DISCONNECT, anybody, soon)),
            (4, lambda: self.add(Kind.LOSE, anybody, soon, random.choice((0.1, 0.3, 0.7)))),
            (3, lambda: self.add(Kind.SLOW, anybody, soon, random.choice((0.05, 0.5, 1.5, 4.0)))),
            (3, lambda: self.add(Kind.STALE, anybody, 2 * soon, random.choice((0.01, 0.3, 2.0)))),
            (2, lambda: self.add(Kind.LAG, anybody, soon, random.choice((0.1, 1.0, 5.0)))),
            (3, lambda: self.add(Kind.DEAFEN, node)),
            (3, lambda: self.add(Kind.STEP_CLOCK, anybody, random.choice((-30, -3, -0.5, 0.5, 3, 30)))),
            (1, lambda: self.add(Kind.OUTAGE, "store", soon)),
            (1, lambda: self.add(Kind.FULL, "store", min(soon, 3.0))),
            (3, lambda: self.add(Kind.PURGE, "store")),
        )
        random.choices([choice for _, choice in choices], [weight for weight, _ in choices])[0]()
