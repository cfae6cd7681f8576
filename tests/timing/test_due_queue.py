"""The due-queue against a model: a dictionary that is sorted whenever it is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from naq.timing.due_queue import DueQueue

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: int) -> datetime:
    return BEGIN + timedelta(seconds=second)


keys = st.sampled_from("abcdefgh")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.integers(0, 20)),
        st.tuples(st.just("discard"), keys, st.just(0)),
        st.tuples(st.just("pop"), st.just(""), st.integers(0, 20)),
    ),
    max_size=60,
)


@given(steps)
def test_it_behaves_as_a_sorted_dictionary(done: list[tuple[str, str, int]]) -> None:
    queue, model = DueQueue(), dict[str, datetime]()
    for verb, key, second in done:
        if verb == "put":
            queue.put(key, at(second))
            model[key] = at(second)
        elif verb == "discard":
            queue.discard(key)
            model.pop(key, None)
        else:
            due = sorted((when, name) for name, when in model.items() if when <= at(second))
            taken = queue.pop_due(at(second), 3)
            assert taken == [name for _, name in due[:3]]
            for name in taken:
                del model[name]
        assert len(queue) == len(model)
        assert queue.next_at() == min(model.values(), default=None)
        assert queue.crowd(at(10), 1) or not [when for when in model.values() if when <= at(10)]


def test_a_crowd_is_seen_without_looking_at_all_of_it() -> None:
    queue = DueQueue()
    for number in range(1000):
        queue.put(f"k{number}", at(number))
    assert queue.crowd(at(63), 64)
    assert not queue.crowd(at(62), 64)


def test_putting_off_again_and_again_does_not_grow_it() -> None:
    queue = DueQueue()
    for number in range(50_000):
        queue.put("k", at(number))
    assert len(queue) == 1
    assert len(queue._heap) < 4000
    assert queue.pop_due(at(60_000), 10) == ["k"]
