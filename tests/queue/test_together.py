"""Twenty thousand who wait for their results must not ask the server all at once, or each again when it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from naq.exceptions import JobUnknown, StoreUnavailable
from naq.queue.service import JobService
from naq.queue.together import AT_ONCE, Together
from naq.store.nats.bucket import KVStoreService
from tests.worker.conftest import until


class Reads:
    """A store that remembers how it was asked; each answer waits until it is let go."""

    def __init__(self) -> None:
        self.pages: list[list[str]] = []
        self.under_way = 0
        self.gate = asyncio.Event()
        self.away = False

    async def __call__(self, keys: Sequence[str]) -> Mapping[str, str]:
        self.pages.append(list(keys))
        self.under_way += 1
        assert self.under_way == 1, "two reads at a time"
        await self.gate.wait()
        self.under_way -= 1
        if self.away:
            raise StoreUnavailable("no answer")
        return {key: key.upper() for key in keys if key != "absent"}


async def test_many_questions_become_few_reads() -> None:
    reads = Reads()
    together = Together(reads)
    asked = [asyncio.ensure_future(together.ask(f"k{number}")) for number in range(5 * AT_ONCE)]
    await asyncio.sleep(0)
    reads.gate.set()
    assert await asyncio.gather(*asked) == [f"K{number}" for number in range(5 * AT_ONCE)]
    assert [len(page) for page in reads.pages] == [AT_ONCE] * 5


async def test_what_is_asked_while_a_read_is_under_way_is_read_after_it() -> None:
    """An answer is never older than its question."""
    reads = Reads()
    together = Together(reads)
    first = asyncio.ensure_future(together.ask("a"))
    await until(lambda: _is(reads.under_way == 1))
    second = [asyncio.ensure_future(together.ask(key)) for key in ("a", "b", "a", "absent")]
    await asyncio.sleep(0)
    reads.gate.set()
    assert await first == "A"
    assert await asyncio.gather(*second) == ["A", "B", "A", None]
    assert reads.pages == [["a"], ["a", "b", "absent"]]


async def test_who_gave_up_is_forgotten_and_the_others_are_answered() -> None:
    reads = Reads()
    together = Together(reads)
    impatient, patient = (asyncio.ensure_future(together.ask("a")) for _ in range(2))
    await until(lambda: _is(reads.under_way == 1))
    impatient.cancel()
    reads.gate.set()
    assert await patient == "A"


async def test_a_store_that_is_away_is_told_to_each_and_asked_again_by_the_next() -> None:
    reads = Reads()
    together = Together(reads)
    reads.gate.set()
    reads.away = True
    answers = await asyncio.gather(together.ask("a"), together.ask("b"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable, StoreUnavailable]
    reads.away = False
    assert await together.ask("a") == "A"


async def test_who_still_asks_at_the_end_is_cancelled() -> None:
    reads = Reads()
    together = Together(reads)
    asked = asyncio.ensure_future(together.ask("a"))
    await until(lambda: _is(reads.under_way == 1))
    await together.stop()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_a_thousand_who_wait_for_results_ask_for_none_alone(
    jobs: JobService, kv: KVStoreService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for the end at first, nor whether there is such a job: each alone, they kept a server busy for minutes."""
    connection = kv.connection
    alone: list[str] = []
    ask = connection.ask

    async def counted(subject: str, payload: bytes, timeout: float | None = None) -> tuple[bytes, bytes]:
        alone.append(subject)
        return await ask(subject, payload, timeout)

    monkeypatch.setattr(connection, "ask", counted)
    monkeypatch.setattr("naq.queue.service.LOOK_AFTER", 0.2)
    ends = await asyncio.gather(
        *(jobs.wait(f"nobody-{number}", timeout=60) for number in range(1000)), return_exceptions=True
    )
    assert {type(end) for end in ends} == {JobUnknown}
    assert [subject for subject in alone if "nobody" in subject] == []


async def _is(answer: bool) -> bool:
    return answer
