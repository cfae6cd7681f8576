"""Leadership as a table: what an instance does about the lease, given what it saw and how long ago."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from naq.scheduler.lease import Decision, Lease, LeaseSeen, Term, decide

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TTL = 5.0


def held(term: str = "theirs", priority: int = 1) -> Lease:
    return Lease(instance_id="them", term=term, priority=priority, ttl=TTL)


def resigned(successor: str | None = None) -> Lease:
    return Lease(instance_id="them", ttl=0, successor=successor)


def my_term(renewed: float) -> Term:
    return Term("mine", 7, (1,) * 8, renewed, TTL, NOW)


@pytest.mark.parametrize(
    ("seen", "term", "monotonic", "priority", "expected"),
    [
        pytest.param(
            LeaseSeen(None, 0, 0), None, 0, 1, Decision.ACQUIRE, id="there is no lease: a lone instance leads"
        ),
        pytest.param(LeaseSeen(held(), 5, 0), None, 4.9, 1, Decision.ASK, id="somebody leads, seen changing recently"),
        pytest.param(LeaseSeen(held(), 5, 0), None, 5.0, 1, Decision.ACQUIRE, id="unchanged for its whole ttl"),
        pytest.param(LeaseSeen(held(), 5, 0, suspect=True), None, 0.1, 1, Decision.ACQUIRE, id="its holder is gone"),
        pytest.param(LeaseSeen(held(), 5, 0), None, 1, 2, Decision.ASK_FOR_HANDOVER, id="my priority is higher"),
        pytest.param(LeaseSeen(held(priority=3), 5, 0), None, 1, 2, Decision.ASK, id="my priority is lower"),
        pytest.param(LeaseSeen(resigned(), 5, 0), None, 0, 1, Decision.ACQUIRE, id="resigned: taken at once"),
        pytest.param(LeaseSeen(resigned("me"), 5, 0), None, 0, 1, Decision.ACQUIRE, id="resigned to me"),
        pytest.param(
            LeaseSeen(resigned("other"), 5, 0), None, 0.5, 1, Decision.WAIT, id="resigned to another: its turn"
        ),
        pytest.param(
            LeaseSeen(resigned("other"), 5, 0), None, 1.0, 1, Decision.ACQUIRE, id="the successor did not come"
        ),
        pytest.param(LeaseSeen(held("mine"), 7, 0), my_term(0), 0.9, 1, Decision.WAIT, id="I lead, renewed recently"),
        pytest.param(LeaseSeen(held("mine"), 7, 0), my_term(0), 1.0, 1, Decision.RENEW, id="I lead, time to renew"),
        pytest.param(
            LeaseSeen(held("mine"), 7, 0), my_term(0), 3.9, 1, Decision.RENEW, id="not renewed, still trusted"
        ),
        pytest.param(
            LeaseSeen(held("mine"), 7, 0), my_term(0), 4.0, 1, Decision.STEP_DOWN, id="not renewed: trust is over"
        ),
        pytest.param(LeaseSeen(held("mine"), 9, 0), my_term(0), 0.5, 1, Decision.WAIT, id="my own renewal came back"),
        pytest.param(LeaseSeen(held("new"), 9, 0), my_term(0), 0.5, 1, Decision.STEP_DOWN, id="another term is newer"),
        pytest.param(LeaseSeen(None, 9, 0), my_term(0), 0.5, 1, Decision.STEP_DOWN, id="rubbish was written over it"),
    ],
)
def test_decisions(seen: LeaseSeen, term: Term | None, monotonic: float, priority: int, expected: Decision) -> None:
    assert decide("me", priority, seen, term, monotonic, heartbeat=1.0) is expected


def test_a_leader_stops_trusting_its_lease_before_others_may_take_it() -> None:
    term = my_term(100.0)
    assert term.trusted(103.9)
    assert not term.trusted(104.0)
    assert term.trusted_until < 100.0 + TTL
