"""Refunds by forms: a worked preview, two names, the 30 days, the bank's three working days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.clock_work import clocks_of
from central.clocks import ClockState, Subject
from central.hub import Hub
from central.refund_desk import RefundDesk, worked
from central.refunds import Claim, Method, refund
from central.web import create_app
from contract.clock import UnixMicros
from tests.central.kit import START, Central, settings
from tests.central.signing import client_as
from tests.central.test_intake import OFFICER, an_alarm, desk_of

SECOND = Actor("qian", frozenset({Role.REVIEWER}), frozenset({"370000"}))
DAY_US = 86400 * 1_000_000
CLAIMS = [Claim(name, 10_000, START) for name in "abc"]


@pytest.fixture
def cased(either: Central) -> Central:
    desk_of(either).take(OFFICER, [an_alarm()], "form")
    return either


def test_pro_rata_takes_two_names_a_notice_and_three_working_days(cased: Central) -> None:
    desk = RefundDesk(cased.store, cased.clock)
    row = desk.propose(OFFICER, 1, "**** 0123", 10_000, CLAIMS, traced=False)
    assert row.shares == [["a", 3334], ["b", 3333], ["c", 3333]]
    with pytest.raises(RuleError, match="two names"):
        desk.approve(OFFICER, row.id, 1)
    row = desk.approve(SECOND, row.id, 1)
    assert row.state == "NOTICED"
    with pytest.raises(RuleError, match="30 days"):
        desk.decide(SECOND, row.id, 2)
    assert row.notice_until is not None
    cased.clock.advance(row.notice_until - cased.clock.wall())
    row = desk.decide(SECOND, row.id, 2)
    row = desk.done(OFFICER, row.id, 3)
    clocks = {c.kind: c for c in clocks_of(cased.store.happenings([1])).clocks}
    now = cased.clock.wall()
    assert clocks[Subject.REFUND_NOTICE].due_at == row.notice_until
    assert clocks[Subject.REFUND_NOTICE].state(now) is ClockState.OVER
    assert clocks[Subject.BANK_REFUND].state(now) is ClockState.MET
    assert row.state == "DONE"
    actions = [r.action for r in cased.store.audit_rows(20) if r.action.startswith("refund")]
    assert actions == ["refund.done", "refund.decide", "refund.approve", "refund.propose"]


def test_a_direct_refund_is_decided_with_the_second_name(cased: Central) -> None:
    desk = RefundDesk(cased.store, cased.clock)
    row = desk.propose(OFFICER, 1, "**** 0123", 500, CLAIMS[:1], traced=False)
    assert desk.approve(SECOND, row.id, 1).state == "DECIDED"
    with pytest.raises(RuleError, match="not taken back"):
        desk.withdraw(SECOND, row.id, 2, "objection")
    cased.clock.advance(9 * DAY_US)
    clock = next(
        c for c in clocks_of(cased.store.happenings([1])).clocks if c.kind is Subject.BANK_REFUND
    )
    assert clock.state(cased.clock.wall()) is ClockState.BREACHED


def test_an_objection_ends_a_notice(cased: Central) -> None:
    desk = RefundDesk(cased.store, cased.clock)
    row = desk.propose(OFFICER, 1, "**** 0123", 10_000, CLAIMS, traced=False)
    desk.approve(SECOND, row.id, 1)
    assert desk.withdraw(SECOND, row.id, 2, "a further victim").state == "WITHDRAWN"
    with pytest.raises(RuleError):
        desk.decide(SECOND, row.id, 3)


@given(
    st.integers(1, 10**11), st.lists(st.integers(1, 10**11), min_size=1, max_size=6), st.booleans()
)
def test_the_work_shown_gives_the_shares(held: int, losses: list[int], traced: bool) -> None:
    claims = [Claim(str(n), loss, UnixMicros(n)) for n, loss in enumerate(losses)]
    found = refund(held, claims, traced=traced)
    steps = worked(held, claims, found)
    assert {s.victim: s.share_fen for s in steps} == dict(found.shares)
    if found.method is Method.PRO_RATA:
        assert all(s.share_fen - s.floor_fen in {0, 1} for s in steps)
        more = [s.remainder for s in steps if s.share_fen > s.floor_fen]
        none = [s.remainder for s in steps if s.share_fen == s.floor_fen]
        assert not more or not none or min(more) >= max(none)


@pytest.fixture
def app(central: Central) -> FastAPI:
    desk_of(central).take(OFFICER, [an_alarm()], "form")
    return create_app(central.store, Hub(), settings(central.path.parent), clock=central.clock)


@pytest.fixture
def people(app: FastAPI) -> Iterator[dict[str, httpx.Client]]:
    who = {"lin": Role.DUTY_OFFICER, "qian": Role.REVIEWER, "he": Role.CARRIER}
    with ExitStack() as stack:
        yield {n: stack.enter_context(client_as(app, n, [r])) for n, r in who.items()}


def test_a_refund_by_forms(people: dict[str, httpx.Client]) -> None:
    lin, qian = people["lin"], people["qian"]
    page = lin.get("/cases/1/refunds?lang=en").text
    assert "A-000017 王**; 28000.00;" in page
    assert 'value="sleep"' not in lin.get("/cases/1").text  # a fraud has no air to go off
    fields = {
        "account": "**** 0123", "yuan": "100.00",
        "claims": "a; 100; 2026-01-02 10:00:00\nb; 100; 2026-01-02 10:01\nc；100；2026-01-02T10:02",
    }  # fmt: skip
    bad = lin.post("/cases/1/refunds/preview", data={**fields, "claims": "a; x; y\nb"})
    assert bad.status_code == 422
    assert "line 2:" in bad.text
    shown = lin.post("/cases/1/refunds/preview", data=fields)
    assert 'data-preview="pro_rata"' in shown.text
    assert "¥33.34" in shown.text
    assert lin.post("/cases/1/refunds", data=fields).status_code == 303
    assert lin.post("/refunds/1/approve", data={"version": 1}).status_code == 403
    assert qian.post("/refunds/1/approve", data={"version": 7}).status_code == 409
    assert qian.post("/refunds/1/approve", data={"version": 1}).status_code == 303
    assert qian.post("/refunds/1/decide", data={"version": 2}).status_code == 422
    decide = qian.get("/cases/1/refunds").text.split('action="/refunds/1/decide"')[1]
    assert "disabled" in decide.split("</form>")[0]  # while the notice runs
    assert 'data-refund-state="NOTICED"' in qian.get("/refunds").text
    assert people["he"].get("/refunds").status_code == 403
    exported = qian.get("/api/exports/refunds.csv")
    assert exported.text.count("3334") == 1
    assert "NOTICED" in exported.text
