"""The due-queue against a model: a dictionary that is sorted whenever it is asked."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from naq.scheduler.due_queue import DueQueue

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: int) -> datetime:
    return BEGIN + timedelta(seconds=second)


Records = DueQueue[int, bytes, str]

keys = st.sampled_from("abcdefgh")
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("put", "queue")), keys, st.integers(0, 20)),
        st.tuples(st.sampled_from(("hold", "unqueue", "remove")), keys, st.just(0)),
        st.tuples(st.just("pop"), st.just(""), st.integers(0, 20)),
        st.tuples(st.just("sleep"), st.just(""), st.just(0)),
    ),
    max_size=60,
)


@dataclass
class Model:
    """What is held, what is due when, and a sleeper who goes by `next_at` until told otherwise."""

    held: dict[str, int] = field(default_factory=dict)
    due: dict[str, datetime] = field(default_factory=dict)
    sleeps_until: datetime | None = None
    is_awake: bool = True

    def do(self, queue: Records, verb: str, key: str, second: int, revision: int) -> None:
        is_first = False
        if verb in ("put", "hold"):
            due_at = at(second) if verb == "put" else None
            is_first = queue.put(key, due_at, revision, b"%d" % revision, "active")
            self.held[key] = revision
            self.due.pop(key, None)
            if due_at is not None:
                self.due[key] = due_at
        elif verb == "queue" and key in self.held:
            is_first = queue.queue(key, at(second))
            self.due[key] = at(second)
        elif verb == "unqueue" and key in self.held:
            queue.queue(key, None)
            self.due.pop(key, None)
        elif verb == "remove":
            queue.remove(key)
            self.held.pop(key, None)
            self.due.pop(key, None)
        elif verb == "pop":
            due = sorted((when, name) for name, when in self.due.items() if when <= at(second))
            taken = [key for _, key, *_ in queue.pop_due(at(second), 3)]
            assert taken == [name for _, name in due[:3]]
            for name in taken:
                del self.due[name]
        elif verb == "sleep":
            self.sleeps_until, self.is_awake = queue.next_at(), False
            assert self.sleeps_until == min(self.due.values(), default=None)
        self.is_awake |= is_first
        if not self.is_awake and self.due:
            assert self.sleeps_until is not None
            assert self.sleeps_until <= min(self.due.values()), "a sleeper was not told of an earlier instant"


@given(steps)
def test_it_behaves_as_a_sorted_dictionary(done: list[tuple[str, str, int]]) -> None:
    queue, model = Records(), Model()
    for revision, (verb, key, second) in enumerate(done, 1):
        model.do(queue, verb, key, second, revision)
        assert (len(queue), queue.queued) == (len(model.held), len(model.due))
        assert queue.crowd(at(10), 1) or not [when for when in model.due.values() if when <= at(10)]
        for name in "abcdefgh":
            held = queue.get(name)
            assert (None if held is None else held[1:4]) == (
                (name, model.held[name], b"%d" % model.held[name]) if name in model.held else None
            )


def test_a_crowd_is_seen_without_looking_at_all_of_it() -> None:
    queue: DueQueue[()] = DueQueue()
    for number in range(1000):
        queue.put(f"k{number}", at(number))
    assert queue.crowd(at(63), 64)
    assert not queue.crowd(at(62), 64)


def test_putting_off_again_and_again_does_not_grow_it() -> None:
    queue: DueQueue[()] = DueQueue()
    for number in range(50_000):
        queue.put("k", at(number))
    assert (len(queue), queue.queued) == (1, 1)
    assert len(queue._heap) < 4000
    assert [key for _, key, *_ in queue.pop_due(at(60_000), 10)] == ["k"]


def test_a_record_is_one_tuple_that_the_garbage_collector_leaves_alone() -> None:
    queue = Records()
    queue.put("k", at(1), 1, b"record", "active")
    gc.collect()
    held = queue.get("k")
    assert held is queue._heap[0]
    assert not gc.is_tracked(held)
    queue.put("".join(("k", "")), at(2), 2, b"newer", "active")
    newer = queue.get("k")
    assert newer is not None
    assert newer[1] is held[1], "its key is the same string as before"
