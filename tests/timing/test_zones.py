"""Zones: changes of offset against the zone files themselves, unknown names, the release of the database."""

from __future__ import annotations

import importlib.resources
import struct
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from naq.exceptions import InvalidSchedule
from naq.timing.cron import Cron
from naq.timing.triggers import CalendarInterval, CalendarUnit, RRule, Trigger
from naq.timing.zone_data import ZoneData, own_directory, tzdata_version, zone_data
from naq.timing.zones import EPOCH, check_zone, get_zone, nearest_zones, resolve, ruled_until, use_zone_data

SECOND = timedelta(seconds=1)
YEARS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2037, 1, 1, tzinfo=UTC))


def file_of(name: str) -> bytes:
    for directory in zoneinfo.TZPATH if zone_data().source == "system" else ():
        if (path := Path(directory) / name).is_file():
            return path.read_bytes()
    folder, _, leaf = name.rpartition("/")
    package = ".".join(["tzdata.zoneinfo", *folder.split("/")] if folder else ["tzdata.zoneinfo"])
    return importlib.resources.files(package).joinpath(leaf).read_bytes()


def changes_in_file(data: bytes) -> tuple[list[tuple[int, int]], int]:
    """(second, new offset) of every change of offset, and where the table ends and the rule begins,
    from the 64-bit block of a TZif file (RFC 8536)."""
    header = struct.Struct(">4sc15x6l")
    _, version, isut, isstd, leap, times, types, chars = header.unpack_from(data)
    assert version >= b"2"
    start = header.size + times * 5 + types * 6 + chars + leap * 8 + isstd + isut
    _, _, isut, isstd, leap, times, types, chars = header.unpack_from(data, start)
    at = start + header.size
    seconds = struct.unpack_from(f">{times}q", data, at)
    kinds = struct.unpack_from(f">{times}B", data, at + 8 * times)
    offsets = [struct.unpack_from(">lBB", data, at + 9 * times + 6 * index)[0] for index in range(types)]
    found, current = [], offsets[0]
    for second, kind in zip(seconds, kinds, strict=True):
        if offsets[kind] != current:
            found.append((second, offsets[kind]))
        current = offsets[kind]
    return found, seconds[-1] if seconds else 0


@pytest.mark.parametrize(
    "name",
    [
        *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut"),
        *("America/Asuncion", "America/St_Johns", "Africa/Casablanca", "Africa/Monrovia", "Antarctica/Troll"),
        *("Asia/Kolkata", "Asia/Pyongyang", "America/Caracas", "Pacific/Kwajalein", "Asia/Gaza", "Africa/Cairo"),
        *("America/Boa_Vista", "Europe/Moscow", "Asia/Kathmandu", "Etc/GMT+12", "Pacific/Kiritimati"),
    ],
)
def test_changes_are_those_of_the_zone_file(name: str) -> None:
    first, last = ((at - EPOCH) // SECOND for at in YEARS)
    changes, table_end = changes_in_file(file_of(name))
    expected = [(second, offset) for second, offset in changes if first < second <= last]
    found = [((change.at - EPOCH) // SECOND, change.after // SECOND) for change in get_zone(name).transitions(*YEARS)]
    assert [change for change in found if change[0] <= table_end] == expected


@pytest.mark.parametrize("name", ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Gaza", "America/Havana"])
def test_segments_join_and_say_what_zoneinfo_says_up_to_2100(name: str) -> None:
    zone = get_zone(name)
    second, end = 0, 130 * 365 * 86_400
    before: int | None = None
    while second < end:
        segment = zone.segment(second)
        assert segment.start <= second < segment.end
        if before is not None:
            assert segment.before == before
        for inside in (second, segment.end - 1):
            at = EPOCH + timedelta(seconds=inside)
            assert at.astimezone(zone.info).utcoffset() == timedelta(seconds=segment.offset)
        assert zone.segment(segment.end).offset == segment.after
        before, second = segment.offset, segment.end


@pytest.mark.parametrize("name", ["Nowhere", "", "../etc/passwd", "/etc/passwd", "Europe", "UTC ", "UTC+1", "\0"])
def test_a_zone_that_cannot_be_loaded_is_one_complaint(name: str) -> None:
    (problem,) = check_zone(name, "daily.timezone")
    assert problem.field == "daily.timezone"
    assert "is no time zone" in problem.reason
    with pytest.raises(InvalidSchedule, match="is no time zone"):
        get_zone(name)


@pytest.mark.parametrize(
    "trigger",
    [
        Cron("0 9 * * *", "Gone/City"),
        CalendarInterval(1, CalendarUnit.DAYS, tz="Gone/City", start=EPOCH.date()),
        RRule("FREQ=DAILY", EPOCH, "Gone/City"),
    ],
    ids=lambda trigger: type(trigger).__name__,
)
def test_a_zone_that_disappeared_raises_for_that_schedule_alone(trigger: Trigger) -> None:
    for ask in (trigger.next_after, trigger.previous, lambda at: trigger.count_between(at, at)):
        with pytest.raises(InvalidSchedule, match="timezone = 'Gone/City'"):
            ask(EPOCH)
    assert "Gone/City" in str(trigger)


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("Berlin", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("America/NewYork", "America/New_York"),
        ("lord howe", "Australia/Lord_Howe"),
    ],
)
def test_near_names_are_offered(written: str, near: str) -> None:
    assert near in nearest_zones(written)


def test_nothing_is_offered_for_nonsense() -> None:
    assert nearest_zones("qqqqqqqqq") == ()


def test_the_release_of_the_database_is_told() -> None:
    assert tzdata_version().endswith(("(system)", "(tzdata package)"))
    assert tzdata_version()[:2] == "20"


def test_without_a_system_database_the_package_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path),))
    assert tzdata_version().endswith("(tzdata package)")
    (tmp_path / "UTC").write_bytes(b"")
    assert tzdata_version() == "unknown release (system)"
    (tmp_path / "tzdata.zi").write_text("# version 2031z\n", encoding="utf-8")
    assert tzdata_version() == "2031z (system)"


def test_the_package_is_used_when_it_is_newer_than_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # With a system at 2025b and the package at 2026f, Vancouver, Casablanca and Havana were an hour off.
    (tmp_path / "America").mkdir()
    for name in ("UTC", "America/Havana"):
        (tmp_path / name).write_bytes(file_of("UTC"))
    (tmp_path / "tzdata.zi").write_text("# version 2019a\n", encoding="utf-8")
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path),))
    get_zone.cache_clear()
    try:
        assert zone_data().source == "tzdata package"
        assert get_zone("America/Havana").offset_at(1_768_478_400) == -5 * 3600, "2026-01-15 is in winter"
    finally:
        get_zone.cache_clear()


@pytest.fixture
def no_own_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(own_directory, "path", None)
    yield
    get_zone.cache_clear()


@pytest.mark.usefixtures("no_own_directory")
def test_a_directory_of_newer_data_is_used(tmp_path: Path) -> None:
    (tmp_path / "Etc").mkdir()
    for name in ("Etc/UTC", "Europe/Berlin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(file_of("UTC"))  # a release in which Berlin has given up its own time
    (tmp_path / "tzdata.zi").write_text("# version 2019a\n", encoding="utf-8")
    use_zone_data(tmp_path)
    assert zone_data().source != "zone_data setting", "it is older"
    (tmp_path / "tzdata.zi").write_text("# version 2999a\n", encoding="utf-8")
    assert tzdata_version() == "2999a (zone_data setting)"
    get_zone.cache_clear()
    assert get_zone("Europe/Berlin").offset_at(1_768_478_400) == 0
    assert get_zone("America/Havana").offset_at(1_768_478_400) == -5 * 3600, "what it does not have is in the others"
    use_zone_data(None)
    assert zone_data().source == "zone_data setting"


@pytest.mark.parametrize(
    ("release", "now", "old"),
    [
        ("2025b", (2026, 6), False),
        ("2025b", (2026, 7), True),
        ("2026a", (2026, 12), False),
        ("unknown", (2026, 7), False),
    ],
)
def test_data_of_last_year_is_old_from_july_on(release: str, now: tuple[int, int], old: bool) -> None:
    assert ZoneData(release, "system").is_old(datetime(*now, 1, tzinfo=UTC)) is old


def test_what_a_zone_lists_by_date_alone_ends() -> None:
    # Gaza's table of Ramadan ends in 2086; Berlin has a rule, Tokyo changes no more.
    table = ruled_until("Asia/Gaza")
    assert table is not None
    assert table.year == 2086
    assert [ruled_until(name) for name in ("Europe/Berlin", "Asia/Tokyo", "UTC")] == [None, None, None]


def test_an_ordinary_wall_time_resolves_to_one_instant() -> None:
    noon = datetime(2026, 7, 1, 12, 0, 0, 250)  # noqa: DTZ001
    assert resolve(noon, "Europe/Berlin") == (datetime(2026, 7, 1, 10, 0, 0, 250, tzinfo=UTC),)
    assert resolve(noon, "UTC") == (datetime(2026, 7, 1, 12, 0, 0, 250, tzinfo=UTC),)
