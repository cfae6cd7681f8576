"""Crash at every await of the fire path: every point is tried, none is drawn.

The fire path of a leader is run once and its steps are counted; then it is run again for each step, and at that step the
leader is killed, loses its power, is frozen, is cut off, or is told to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pytest

from naq.jobs.job import QueuedJob
from naq.schedules.policy import Coalesce, Policy
from naq.schedules.transitions import new_schedule
from naq.store.codec import encode
from naq.store.keys import deferred_key, schedule_key
from naq.store.port import Put, Write
from naq.timing.triggers import Interval, Once
from tests.simulation.acts import SPEC
from tests.simulation.history import History
from tests.simulation.node import Node, Rhythm
from tests.simulation.world import START, Verdict, World, live

DUE = 2.0
"""Second at which everything is due."""
THROUGH = 0.3
"""Seconds after which it has been fired, when nothing goes wrong."""


@dataclass(frozen=True)
class Scene:
    """What is due at once, and how it is fired."""

    schedules: int
    nodes: int
    batch: int

    @property
    def history(self) -> History:
        return History(self.schedules, self.nodes, 0, DUE + 2.0, ())

    def fill(self, world: World) -> None:
        """Schedules of several kinds and a deferred job, all due at the same instant."""
        due_at = START + timedelta(seconds=DUE)
        policy = Policy(catch_up=None, coalesce=Coalesce.ALL)
        writes: list[Write] = []
        for number in range(self.schedules):
            trigger = Once(due_at) if number % 2 else Interval(timedelta(seconds=1), anchor=due_at)
            record = new_schedule(f"s{number}", SPEC, trigger, policy, START)
            if not number % 2:
                record = record.evolve(next_nominal_at=due_at, next_run_at=due_at)
            writes.append(Put(schedule_key(record.schedule_id), encode(record), 0))
        job = QueuedJob(job_id="later", spec=SPEC, enqueued_at=START, due_at=due_at)
        world.store.commit([*writes, Put(deferred_key("later"), encode(job), 0)])


Strike = Callable[[World, Node], None]


def kill(world: World, node: Node) -> None:
    node.kill()
    world.later(0.5, node.start)


def lose_power(world: World, node: Node) -> None:
    node.kill(power=True)
    world.later(0.5, node.start)


def freeze(world: World, node: Node) -> None:
    """Stopped for so long that somebody else leads, if there is anybody."""
    assert node.process is not None
    node.process.pause()


def disconnect(world: World, node: Node) -> None:
    assert node.client is not None
    node.client.disconnect()
    world.later(1.0, node.mend_link)


def cut_off(world: World, node: Node) -> None:
    assert node.client is not None
    node.client.cut()


def terminate(world: World, node: Node) -> None:
    node.terminate()
    world.later(0.5, node.start)


STRIKES: tuple[Strike, ...] = (kill, lose_power, freeze, disconnect, cut_off, terminate)
SCENES = (
    pytest.param(Scene(schedules=4, nodes=1, batch=50), id="alone"),
    pytest.param(Scene(schedules=4, nodes=2, batch=50), id="with a standby"),
    pytest.param(Scene(schedules=4, nodes=2, batch=1), id="one a transaction"),
    pytest.param(Scene(schedules=140, nodes=2, batch=64), id="several lanes", marks=pytest.mark.soak),
)


def play(scene: Scene, prepare: Callable[[World], None]) -> Verdict:
    """Run a scene; the first node starts a little earlier, so that it leads."""

    def set_up(world: World) -> None:
        scene.fill(world)
        world.nodes[0].start()
        for node in world.nodes[1:]:
            node.link.delay = (0.01, 0.01)
        prepare(world)

    return live(scene.history, rhythm=Rhythm(batch=scene.batch, lease=3.0, resync=4.0), prepare=set_up)


def fire_path(scene: Scene) -> range:
    """The steps of the leader's process from just before the due instant until everything is through."""
    steps: list[int] = []

    def watch(world: World) -> None:
        def look() -> None:
            process = world.nodes[0].process
            assert process is not None and world.nodes[0].leads
            steps.append(process.steps)

        world.later(DUE - 0.03, look)
        world.later(DUE + THROUGH, look)

    verdict = play(scene, watch)
    assert verdict.clean, verdict.complaints
    return range(steps[0] + 1, steps[1] + 1)


def strike_at(scene: Scene, strike: Strike, step: int) -> Verdict:
    """Run a scene with a leader that is struck before one step."""

    def arm(world: World) -> None:
        node = world.nodes[0]
        process = node.process
        assert process is not None
        process.stop_at, process.on_stop = step, partial(strike, world, node)

    return play(scene, arm)


@pytest.mark.parametrize("strike", STRIKES)
@pytest.mark.parametrize("scene", SCENES)
def test_struck_at_every_await_of_the_fire_path(scene: Scene, strike: Strike) -> None:
    path = fire_path(scene)
    assert len(path) > 10
    for step in path:
        verdict = strike_at(scene, strike, step)
        assert verdict.clean, f"{strike.__name__} at step {step}: {verdict.complaints[:5]}\n{verdict.table}"
        assert verdict.fired > scene.schedules


def test_every_step_of_a_start_and_a_take_over() -> None:
    """The first leader is killed at every one of its steps, from the first on."""
    scene = Scene(schedules=2, nodes=2, batch=50)
    for step in range(1, fire_path(scene).stop):
        verdict = strike_at(scene, kill, step)
        assert verdict.clean, f"killed at step {step}: {verdict.complaints[:5]}\n{verdict.table}"
