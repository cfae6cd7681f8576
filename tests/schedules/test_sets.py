"""Declared sets: what two applications, and two releases of one, do to each other's schedules."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from naq.exceptions import InvalidInput, InvalidSchedule, SetConflict
from naq.schedules.declared import Change
from naq.schedules.declared_file import read_definitions
from naq.schedules.record import Schedule
from naq.testing import ManualScheduler

Set = Mapping[str, Any]


@pytest.fixture
def scheduler() -> Iterator[ManualScheduler]:
    with ManualScheduler("2026-06-01T00:00:00Z") as made:
        yield made


def start(scheduler: ManualScheduler, schedules: Set, set_name: str = "tasks", **more: Any) -> tuple[Change, ...]:
    """An application starts, and declares its schedules."""
    form = {"schedules": {name: {"job": "shop:greet", "schedule": form} for name, form in schedules.items()}}
    options: dict[str, Any] = {"at_start": True, **more}
    return scheduler.call(scheduler.service.sync(read_definitions(form), set_name, **options))


def by_hand(scheduler: ManualScheduler, schedules: Set, set_name: str = "tasks", **more: Any) -> tuple[Change, ...]:
    """``naq sync``."""
    return start(scheduler, schedules, set_name, at_start=False, **more)


def there(scheduler: ManualScheduler) -> dict[str, Schedule]:
    async def read() -> dict[str, Schedule]:
        pages = [page async for page in scheduler.service.schedules.pages()]
        return {each.schedule_id: each for page in pages for each in page if isinstance(each, Schedule)}

    return scheduler.call(read())


OLD = {"a": "every 6h", "b": "0 9 * * *", "gone": "every 1h"}
NEW = {"a": "every 8h", "b": "0 9 * * *", "new": "every 2h"}


def test_two_applications_whose_module_has_the_same_name_do_not_delete_each_others_schedules(
    scheduler: ManualScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    start(scheduler, {"mine": "every 1h"})
    start(scheduler, {"theirs": "every 1h"})
    start(scheduler, {"mine": "every 1h"})
    assert there(scheduler).keys() == {"mine", "theirs"}
    assert "does not declare these schedules any more, and they go on: mine; to remove them" in caplog.text


def test_two_applications_that_declare_one_set_are_both_named_at_the_start(scheduler: ManualScheduler) -> None:
    start(scheduler, {"mine": "every 1h"}, origin="billing.tasks:app")
    with pytest.raises(SetConflict) as refused:
        start(scheduler, {"theirs": "every 1h"}, origin="shop.tasks:app")
    assert "billing.tasks:app and by shop.tasks:app" in str(refused.value)
    assert "Naq(name=...)" in str(refused.value)
    assert there(scheduler).keys() == {"mine"}


def test_two_sets_that_declare_one_id_are_both_named_at_the_start(scheduler: ManualScheduler) -> None:
    start(scheduler, {"report": "every 1h"}, "billing")
    with pytest.raises(SetConflict, match=r"'shop' declares .*'report' \(of set 'billing'\).* --adopt billing"):
        start(scheduler, {"report": "every 2h", "other": "every 1h"}, "shop")
    assert there(scheduler).keys() == {"report"}, "nothing was written"


@pytest.mark.parametrize("order", list(itertools.permutations(["old", "new", "old", "new"], 4))[:12])
def test_an_old_replica_that_restarts_does_not_undo_the_new_release(
    scheduler: ManualScheduler, order: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    start(scheduler, OLD)
    scheduler.advance("1h")
    start(scheduler, NEW, prune=True)
    before = there(scheduler)
    assert before.keys() == NEW.keys()
    for release in order:
        scheduler.advance("10m")
        start(scheduler, OLD if release == "old" else NEW, prune=True)
    after = there(scheduler)
    assert after.keys() == NEW.keys()
    assert [(after[name].trigger, after[name].change_id) for name in NEW] == [
        (before[name].trigger, before[name].change_id) for name in NEW
    ]
    assert "these definitions were replaced by newer ones (generation 2" in caplog.text


def test_a_release_number_decides_whatever_the_definitions_are(scheduler: ManualScheduler) -> None:
    start(scheduler, NEW, release=8)
    changes = start(scheduler, OLD, release=7)
    assert {str(change.kind) for change in changes} == {"keep"}
    assert there(scheduler).keys() == NEW.keys()
    start(scheduler, OLD, release=9)
    assert there(scheduler).keys() == {*NEW, *OLD}


def test_what_a_user_synchronises_by_hand_is_the_newest(scheduler: ManualScheduler) -> None:
    """A release that was rolled back is declared again by ``naq sync``."""
    start(scheduler, OLD)
    start(scheduler, NEW)
    by_hand(scheduler, OLD, prune=True)
    assert there(scheduler).keys() == OLD.keys()
    start(scheduler, NEW)
    assert there(scheduler).keys() == OLD.keys()


def test_pruning_is_asked_for_and_says_what_it_removed(
    scheduler: ManualScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    by_hand(scheduler, {"a": "every 1h", "b": "every 1h", "c": "every 1h"})
    by_hand(scheduler, {"a": "every 1h"})
    assert there(scheduler).keys() == {"a", "b", "c"}
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        by_hand(scheduler, {"a": "every 1h"}, prune=True)
    assert there(scheduler).keys() == {"a"}
    assert "removed from set 'tasks', which does not declare them any more: b, c" in caplog.text


def test_a_set_that_declares_nothing_any_more_can_be_emptied(scheduler: ManualScheduler) -> None:
    by_hand(scheduler, {"last": "every 1h"})
    scheduler.call(scheduler.service.sync((), "tasks", prune=True))
    assert not there(scheduler)


def test_a_renamed_module_takes_its_schedules_along(scheduler: ManualScheduler) -> None:
    start(scheduler, {"a": "every 6h", "b": "every 1h"}, "tasks")
    before = there(scheduler)
    scheduler.advance("1h")
    assert scheduler.call(scheduler.service.rename_set("tasks", "billing.tasks")) == 2
    assert {str(change.kind) for change in start(scheduler, {"a": "every 6h", "b": "every 1h"}, "billing.tasks")} == {
        "keep"
    }
    assert {name: each.trigger for name, each in there(scheduler).items()} == {
        name: each.trigger for name, each in before.items()
    }


def test_a_replica_from_before_a_rename_changes_nothing(
    scheduler: ManualScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    start(scheduler, OLD, "tasks", origin="tasks:app")
    start(scheduler, NEW, "tasks", origin="tasks:app")
    scheduler.call(scheduler.service.rename_set("tasks", "billing.tasks"))
    start(scheduler, NEW, "billing.tasks", origin="billing.tasks:app")
    before = there(scheduler)
    for schedules in (OLD, NEW):
        start(scheduler, schedules, "tasks", origin="tasks:app")
    start(scheduler, OLD, "billing.tasks", origin="billing.tasks:app")
    assert there(scheduler) == before, "what newer definitions replaced stays replaced under the new name"
    assert "the set was renamed to 'billing.tasks'; to declare it again: naq sync ... --set tasks" in caplog.text
    by_hand(scheduler, {"fresh": "every 1h"}, "tasks")
    assert [str(change.kind) for change in start(scheduler, {"fresh": "every 1h"}, "tasks")] == ["keep"]


@pytest.mark.parametrize(("old", "new"), [("", "tasks"), ("tasks", ""), ("tasks", "tasks")])
def test_a_rename_without_two_names_is_refused(scheduler: ManualScheduler, old: str, new: str) -> None:
    start(scheduler, {"a": "every 6h"})
    before = scheduler.store.revision
    with pytest.raises(InvalidInput):
        scheduler.call(scheduler.service.rename_set(old, new))
    assert scheduler.store.revision == before


def test_an_application_that_never_declared_anything_leaves_no_set(scheduler: ManualScheduler) -> None:
    before = scheduler.store.revision
    assert start(scheduler, {}) == ()
    assert scheduler.store.revision == before


def test_schedules_that_moved_between_two_modules_are_adopted(scheduler: ManualScheduler) -> None:
    """Swapped imports refused both."""
    start(scheduler, {"a": "every 6h"}, "one")
    start(scheduler, {"b": "every 6h"}, "two")
    by_hand(scheduler, {"b": "every 6h"}, "one", adopt=["two"])
    by_hand(scheduler, {"a": "every 6h"}, "two", adopt=["one"])
    assert {name: each.declared_in for name, each in there(scheduler).items()} == {"a": "two", "b": "one"}
    start(scheduler, {"b": "every 6h"}, "one")
    start(scheduler, {"a": "every 6h"}, "two")


def test_an_adopted_schedule_keeps_its_grid(scheduler: ManualScheduler) -> None:
    start(scheduler, {"a": "every 6h"}, "one")
    scheduler.advance("5h")
    by_hand(scheduler, {"a": "every 6h"}, "two", adopt=["one"])
    assert there(scheduler)["a"].next_run_at == scheduler.now + timedelta(hours=1)


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(scheduler: ManualScheduler) -> None:
    before = scheduler.store.revision
    assert [str(change.kind) for change in by_hand(scheduler, NEW, dry_run=True)] == ["create"] * 3
    assert scheduler.store.revision == before
    by_hand(scheduler, NEW)
    before = scheduler.store.revision
    assert [str(change.kind) for change in by_hand(scheduler, NEW, dry_run=True)] == ["keep"] * 3
    by_hand(scheduler, NEW)
    assert scheduler.store.revision == before, "a set that is as it is declared is not written"


def test_an_id_that_is_declared_twice_is_refused(scheduler: ManualScheduler) -> None:
    form = {"schedules": {"a": {"job": "shop:greet", "schedule": "every 1h"}}}
    twice = (*read_definitions(form), *read_definitions(form))
    with pytest.raises(InvalidSchedule, match="declared twice"):
        scheduler.call(scheduler.service.sync(twice, "tasks"))
