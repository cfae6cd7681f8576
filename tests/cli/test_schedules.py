from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from naq.lifecycle import ServiceManager
from naq.store.keys import schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.timing.zone_data import tzdata_version
from tests.cli.conftest import Command, Outcome, Start


def add(naq: Command, name: str, *arguments: str) -> Outcome:
    return naq("schedule", "add", "shop:greet", "--id", name, *arguments)


@pytest.mark.parametrize(
    ("arguments", "when"),
    [
        (["--every", "90s"], "every 1m30s"),
        (["--cron", "0 9 * * MON-FRI", "--tz", "Europe/Berlin"], "at 09:00 on Monday to Friday, Europe/Berlin"),
        (["--at", "2099-01-31T09:00", "--tz", "Europe/Berlin"], "once at 2099-01-31 08:00:00 UTC"),
    ],
)
def test_each_kind_can_be_added_and_shown(naq: Command, arguments: list[str], when: str) -> None:
    added = add(naq, "x", *arguments)
    assert (added.code, added.out, added.err) == (0, "x\n", "")
    shown = naq("schedule", "show", "x")
    assert shown.code == 0
    assert f"when      {when}" in shown.out
    assert "no history yet" in shown.out


def test_an_id_is_made_when_none_is_given(naq: Command) -> None:
    added = naq("schedule", "add", "shop:greet", "--every", "1h")
    assert added.code == 0
    assert [each["schedule_id"] for each in naq("schedule", "ls", "--json").json] == [added.out.strip()]


def test_arguments_and_policies_arrive(naq: Command) -> None:
    add(
        naq,
        "x",
        *("--every", "1h", "--arg", "eu", "--arg", "3", "--arg", "007", "--kwargs", '{"to": null}', "--queue", "mail"),
        *("--retries", "2", "--max-runs", "5", "--set", "overlap=skip", "--set", "jitter=30s"),
    )
    entry = naq("schedule", "show", "x", "--json").json
    assert entry["job"]["args"] == ["eu", 3, "007"]
    assert entry["job"]["kwargs"] == {"to": None}
    assert (entry["job"]["queue"], entry["job"]["retries"], entry["max_runs"]) == ("mail", 2, 5)
    assert (entry["schedule"]["overlap"], entry["schedule"]["jitter"]) == ("skip", 30)


def test_an_id_that_is_taken(naq: Command) -> None:
    add(naq, "x", "--every", "1h")
    again = add(naq, "x", "--every", "2h")
    assert (again.code, again.out) == (1, "")
    assert again.err.startswith("naq: schedule 'x' exists already: use another id")
    assert add(naq, "x", "--every", "2h", "--if-exists", "replace").code == 0
    assert naq("schedule", "show", "x", "--json").json["schedule"]["interval"] == 7200


def test_a_list(naq: Command) -> None:
    nothing = naq("schedule", "ls")
    assert (nothing.code, nothing.out) == (0, "there are no schedules\n")
    assert naq("schedule", "ls", "--json").json == []
    long_id = "a-rather-long-name-that-a-narrow-table-would-have-to-fold-somewhere-in-the-middle-" + "x" * 40
    add(naq, long_id, "--every", "1h")
    add(naq, "other", "--cron", "0 9 * * *")
    naq("schedule", "pause", "other")
    listed = naq("schedule", "ls")
    assert long_id in listed.out, "folded, though nobody sees the edge of a pipe"
    assert [each["schedule_id"] for each in naq("schedule", "ls", "--status", "paused", "--json").json] == ["other"]
    assert naq("schedule", "ls", "--status", "completed").out == "none is completed\n"


def test_json_has_what_a_program_needs(naq: Command) -> None:
    add(naq, "x", "--every", "1h")
    (entry,) = naq("schedule", "ls", "--json").json
    wanted = "schedule_id job schedule created_at next_run_at status runs max_runs last_run_at error_count"
    assert set(wanted.split()) <= entry.keys()
    shown = naq("schedule", "show", "x", "--json").json
    assert entry.items() <= shown.items()
    assert len(shown["next_times"]) == 5
    assert shown["next_times"][0]["nominal_at"] == entry["next_run_at"]
    assert shown["history"] == []


def test_a_life(naq: Command) -> None:
    add(naq, "x", "--every", "1h")
    assert naq("schedule", "pause", "x", "--reason", "the data centre [north] moves").out == "x: paused\n"
    shown = naq("schedule", "show", "x")
    assert "the data centre [north] moves" in shown.out
    assert "will not fire: paused" in shown.out
    again = naq("schedule", "pause", "x")
    assert (again.code, again.out, again.err) == (1, "", "x: there is no such schedule, or it is not active\n")
    assert naq("schedule", "resume", "x").out == "x: resumed\n"
    assert naq("schedule", "resume", "x").code == 1
    assert naq("schedule", "skip", "x", "2").out == "x: will skip\n"
    assert naq("schedule", "aim", "x").out == "x: aimed again\n"
    reasons = [each["reason"] for each in naq("schedule", "next", "x", "-n", "3", "--json").json]
    assert reasons == ["skipped on request", "skipped on request", None]
    assert naq("schedule", "update", "x", "--cron", "0 9 * * *", "--set", "max_runs=7").out == "x: updated\n"
    entry = naq("schedule", "show", "x", "--json").json
    assert (entry["schedule"]["cron"], entry["max_runs"]) == ("0 9 * * *", 7)
    assert naq("schedule", "update", "x", "--set", "job=reports:send", "--set", "retries=2").out == "x: updated\n"
    job = naq("schedule", "show", "x", "--json").json["job"]
    assert (job["func"], job["args"], job["retries"]) == ("reports:send", entry["job"]["args"], 2)
    assert naq("schedule", "cancel", "x").out == "x: cancelled\n"
    assert naq("schedule", "trigger", "x").code == 1
    assert naq("schedule", "rm", "x").out == "x: removed\n"
    assert naq("schedule", "show", "x").code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("show",),
        ("pause",),
        ("resume",),
        ("cancel",),
        ("trigger",),
        ("rm",),
        ("next",),
        ("history",),
        ("skip",),
        ("aim",),
    ],
    ids=lambda arguments: str(arguments[0]),
)
@pytest.mark.parametrize("as_json", [False, True])
def test_one_that_is_not_there(naq: Command, arguments: tuple[str, ...], as_json: bool) -> None:
    if as_json and arguments[0] not in {"show", "next", "history"}:
        return
    result = naq("schedule", *arguments, "nobody", *(["--json"] if as_json else []))
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("nobody: there is no such schedule")


def test_trigger_prints_the_job(naq: Command) -> None:
    add(naq, "x", "--every", "1h")
    first, second = (naq("schedule", "trigger", "x").out.strip() for _ in range(2))
    assert first != second
    assert naq("job", "show", first, "--json").json["status"] == "queued"
    assert {each["job_id"] for each in naq("job", "ls", "--schedule", "x", "--json").json} == {first, second}


def test_backfill_prints_its_id(naq: Command) -> None:
    add(naq, "x", "--cron", "0 9 * * *")
    filled = naq("schedule", "backfill", "x", "2026-01-01", "2026-01-05", "--one-by-one")
    assert filled.code == 0
    assert len(filled.out.split()) == 1
    assert naq("schedule", "backfill", "nobody", "2026-01-01", "2026-01-05").code == 1


def test_explain_marks_what_daylight_saving_moved(command: Command) -> None:
    said = command("schedule", "explain", "30 2 * 3 SUN", "--tz", "Europe/Berlin", "-n", "8")
    assert said.code == 0
    assert said.out.splitlines()[0] == "at 02:30 on Sunday in March, Europe/Berlin"
    assert "DST: " in said.out
    form = command("schedule", "explain", "30 2 * 3 SUN", "--tz", "Europe/Berlin", "-n", "8", "--json").json
    assert len(form["next_times"]) == 8
    assert len([each for each in form["next_times"] if each["dst"]]) in (1, 2)
    assert f"zone data: {tzdata_version()}" in said.out
    assert form["zone_data"] == tzdata_version()


def test_explain_marks_what_lies_beyond_the_zone_datas_table(command: Command) -> None:
    """The database lists the changes of Gaza's clocks by date, until 2086."""
    asked = ("schedule", "explain", "0 9 1 1 *", "--tz", "Asia/Gaza", "-n", "70")
    lines = {line.split()[0][:4]: line for line in command(*asked).out.splitlines() if line.strip()[:2] == "20"}
    assert "beyond the zone data's table of dates" not in lines["2086"]
    assert "beyond the zone data's table of dates" in lines["2087"]
    marked = [each["beyond_rules"] for each in command(*asked, "--json").json["next_times"]]
    assert marked == sorted(marked)
    assert any(marked)


def test_times_are_local_and_utc(naq: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        add(naq, "x", "--at", "2099-01-31T09:00+00:00")
        shown = naq("schedule", "show", "x").out
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert "next run  2099-01-31 18:00:00 JST  (2099-01-31 09:00:00 UTC)" in shown


def test_a_quarantined_one_is_seen_and_removed(naq: Command, config: dict[str, Any]) -> None:
    async def spoil() -> None:
        async with ServiceManager(config) as services:
            await (await services.get_service(KVStoreService)).put(schedule_key("bad"), b"\xffrubbish")

    add(naq, "good", "--every", "1h")
    asyncio.run(spoil())
    assert {each["schedule_id"]: each["status"] for each in naq("schedule", "ls", "--json").json} == {
        "bad": "quarantined",
        "good": "active",
    }
    assert "quarantined" in naq("schedule", "ls").out
    shown = naq("schedule", "show", "bad")
    assert shown.code == 0
    assert "quarantined" in shown.out
    paused = naq("schedule", "pause", "bad")
    assert paused.code == 1
    assert paused.err.startswith("naq: schedule 'bad' is quarantined")
    found = naq("doctor", "--json")
    assert found.code == 1
    assert [each["remedy"] for each in found.json if each["level"] == "error"] == [
        "repair the record, or delete it: naq schedule delete bad"
    ]
    assert naq("schedule", "rm", "bad").out == "bad: removed\n"
    assert naq("doctor").code == 0


def test_sync_a_file(naq: Command, tmp_path: Path) -> None:
    file = tmp_path / "night.toml"
    file.write_text('[schedules.report]\njob = "shop:greet"\nschedule = { cron = "0 9 * * *" }\n')
    dry = naq("sync", str(file), "--dry-run")
    assert dry.code == 0
    assert "report" in dry.out
    assert naq("schedule", "ls", "--json").json == []
    assert naq("sync", str(file)).code == 0
    assert [each["schedule_id"] for each in naq("schedule", "ls", "--json").json] == ["report"]
    assert naq("sync", str(file), "--set", "another").code == 1, "the id belongs to the first set"
    assert naq("sync", str(file), "--set", "another", "--adopt", "night").code == 0
    assert naq("sync", str(file), "--adopt", "another").code == 0
    renamed = naq("schedule", "rename-set", "night", "evening")
    assert (renamed.code, renamed.out) == (0, "night: 1 schedule of set evening now\n")
    assert naq("schedule", "rename-set", "night", "evening").code == 1, "there is none any more"
    assert naq("schedule", "rename-set", "evening", "night").code == 0
    add(naq, "by-hand", "--every", "1h")
    file.write_text("schedules = {}\n")
    assert naq("sync", str(file)).code == 0
    assert len(naq("schedule", "ls", "--json").json) == 2, "nothing goes unless --prune says so"
    assert naq("sync", str(file), "--prune").code == 0
    assert [each["schedule_id"] for each in naq("schedule", "ls", "--json").json] == ["by-hand"]


@pytest.mark.parametrize("text", ["[", "schedules = 3\n", "[schedules.x]\njob = 'shop:greet'\n"])
def test_a_file_that_cannot_be_used(naq: Command, tmp_path: Path, text: str) -> None:
    file = tmp_path / "night.toml"
    file.write_text(text)
    result = naq("sync", str(file))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("naq: ")


def test_import_a_crontab(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "crontab"
    file.write_text("CRON_TZ=Europe/Berlin\n0 9 * * 1-5 /usr/bin/report\n@reboot /usr/bin/start\n")
    result = command("import", str(file))
    assert result.code == 1, "a line could not be taken"
    assert "@reboot" in result.err
    assert len(result.json["schedules"]) == 1


def test_lint(naq: Command) -> None:
    assert naq("lint").out == "no complaints\n"
    add(naq, "never", "--cron", "0 0 30 2 *")
    found = naq("lint", "--json")
    assert found.code == (1 if found.json else 0)


def test_a_removed_schedule_says_who_removed_it_and_when(naq: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    add(naq, "x", "--every", "1h")
    assert naq("schedule", "delete", "x").code == 0
    shown = naq("schedule", "show", "x")
    assert (shown.code, shown.out) == (1, "")
    assert re.match(r"x: it was removed by \S+ at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", shown.err)
    assert "naq schedule history x shows its last times" in shown.err


async def test_a_function_that_no_worker_knows_is_named(naq: Command, start: Start) -> None:
    await start("worker", "shop:app")
    known = await asyncio.to_thread(naq, "schedule", "add", "shop:greet", "--every", "1h", "--id", "good")
    assert (known.code, known.err) == (0, "")
    added = await asyncio.to_thread(naq, "schedule", "add", "shop:nope", "--every", "1h", "--id", "bad")
    assert (added.code, added.out) == (0, "bad\n")
    assert added.err == "bad: no running worker knows the function shop:nope: its jobs wait for one that does\n"
    lint = await asyncio.to_thread(naq, "lint")
    assert (lint.code, lint.out) == (1, "unknown_function: bad: no running worker knows the function shop:nope\n")
